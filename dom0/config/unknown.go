// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// unknown returns the first key of a document that Config has no field for, with
// its line, or nil. The decoder can look for them too, but it collects all of them
// with their surroundings: for a hostile file of 64 KiB more than dom0's memory.
//
// Preconditions: the document was decoded without an error.
func unknown(data []byte) (key []string, line int) {
	var p unstable.Parser
	var table []string
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		var at uint32
		if e.Kind == unstable.KeyValue {
			key, at = foreign(table, e)
		} else {
			if table, at = keyOf(e); !known(table) {
				key = table
			}
		}
		if key != nil {
			return key, 1 + bytes.Count(data[:at], []byte("\n"))
		}
	}
	return nil, 0
}

// foreign returns the first unknown key of a pair below table, and its offset.
func foreign(table []string, pair *unstable.Node) (key []string, at uint32) {
	k, at := keyOf(pair)
	k = append(slices.Clone(table), k...)
	if !known(k) {
		return k, at
	}
	return foreignIn(k, pair.Value())
}

// foreignIn looks into the tables that are the value of key.
func foreignIn(key []string, value *unstable.Node) (bad []string, at uint32) {
	for it := value.Children(); it.Next(); {
		n := it.Node()
		switch {
		case value.Kind == unstable.InlineTable && n.Kind == unstable.KeyValue:
			bad, at = foreign(key, n)
		case value.Kind == unstable.Array:
			bad, at = foreignIn(key, n)
		}
		if bad != nil {
			break
		}
	}
	return bad, at
}

// keyOf returns the key of an expression and where it is.
func keyOf(e *unstable.Node) (key []string, at uint32) {
	for it := e.Key(); it.Next(); {
		if key == nil {
			at = it.Node().Raw.Offset
		}
		key = append(key, string(it.Node().Data))
	}
	return key, at
}

func known(key []string) bool {
	_, ok := field(reflect.TypeFor[Config](), key)
	return ok
}
