// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package iso

import (
	"bytes"
	"strings"

	"ringo/dom0/files/tree"
)

// maxPieces is how many records a file has at most: each holds up to 4 GiB.
const maxPieces = 4096

// records calls f with the records of a folder, until it returns false.
func (n *node) records(f func(record) bool) error {
	p := n.pieces[0]
	if n.refuse != nil {
		return n.refuse
	}
	if p.size > tree.MaxFolder {
		return tree.ErrLong
	}
	b := make([]byte, sector)
	for off := uint64(0); off < p.size; off += sector {
		b = b[:min(sector, p.size-off)]
		if err := n.v.read(b, p.at+off); err != nil {
			return err
		}
		for s := b; len(s) > 0 && s[0] != 0; s = s[s[0]:] {
			if int(s[0]) < recordLeast || int(s[0]) > len(s) {
				return damaged("an entry of a folder has no end")
			}
			if !f(record(s[:s[0]])) {
				return nil
			}
		}
	}
	return nil
}

// Each implements [tree.Node].
func (n *node) Each(f func(tree.Entry) bool) error {
	if !n.info.Mode.IsDir() {
		return errKind
	}
	var file *node // one of which there are more records
	var failed error
	err := n.records(func(r record) bool {
		id := r.identifier()
		if len(id) == 1 && id[0] <= 1 || r.flags()&flagAssociated != 0 { // this folder, and that above it
			return true
		}
		if file != nil {
			file.add(r)
		} else {
			file = n.v.node(r)
		}
		if r.flags()&flagMore != 0 && len(file.pieces) < maxPieces {
			return true
		}
		var name string
		if name, failed = file.describe(r, id); failed != nil {
			return false
		}
		x := file
		file = nil
		return name == "" || f(tree.Entry{Name: name, Load: func() (tree.Node, error) { return x, nil }})
	})
	if err == nil {
		err = failed
	}
	return err
}

// describe returns the name that a record gives to n, and takes what else it says of
// it; "" stands for a file that is not here.
func (n *node) describe(r record, id []byte) (string, error) {
	switch n.v.naming {
	case rockRidge:
		return n.ridge(r, id)
	case joliet:
		return withoutVersion(text16(id)), nil
	}
	return withoutVersion(string(id)), nil
}

// withoutVersion is a name without ";1", and without the dot of a name that has no
// extension.
func withoutVersion(s string) string {
	if i := strings.LastIndexByte(s, ';'); i > 0 {
		s = s[:i]
	}
	return strings.TrimSuffix(s, ".")
}

// indicator looks for SUSP's field SP in the root ("SUSP", "Description of the SP
// System Use Entry"), and for anything of Rock Ridge. It returns how many bytes come
// before the fields in other records.
func (n *node) indicator() (skip int, has bool, err error) {
	err = n.records(func(r record) bool {
		use := r.systemUse()
		if len(use) >= 7 && bytes.HasPrefix(use, []byte("SP\x07\x01\xbe\xef")) {
			skip = int(use[6])
			for _, id := range []string{"RR", "PX", "ER", "CE"} {
				has = has || bytes.Contains(use, []byte(id))
			}
		}
		return false // the first record is the root's own
	})
	return skip, has, err
}
