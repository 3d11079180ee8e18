// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"ringo/dom0/config/near"
)

// MaxFile is the largest configuration file, in bytes.
const MaxFile = 64 << 10

// Parse reads a TOML file over the defaults. file is its name, for messages and
// for the default of Name. The result is not validated yet: the command line may
// change it.
//
// Files are hostile input. What is allocated is bounded for a file of [MaxFile]
// bytes, and a decoder that panics fails the one request.
func Parse(file string, data []byte) (c *Config, err error) {
	defer func() {
		if p := recover(); p != nil {
			c, err = nil, fmt.Errorf("%s: not understood (the decoder failed: %v)", file, p)
		}
	}()
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: %d bytes are too large for a configuration: at most %d", file, len(data), MaxFile)
	}
	c = Default()
	if err := toml.Unmarshal(data, c); err != nil {
		return nil, explain(file, data, err)
	}
	if key, line := unknown(data); key != nil {
		return nil, fmt.Errorf("%s:%d: unknown key %q%s", file, line, short(strings.Join(key, ".")), hint(key))
	}
	if c.Name == "" {
		c.Name = baseName(file)
	}
	return c, nil
}

// baseName is the default name of a domain: that of the file without folders,
// boot: and extension.
func baseName(file string) string {
	b := path.Base(strings.TrimPrefix(file, "boot:"))
	return strings.TrimSuffix(b, path.Ext(b))
}

// explain turns an error of the decoder into one line: file, line, key, remedy.
func explain(file string, data []byte, err error) error {
	var size *sizeError
	if errors.As(err, &size) { // the decoder gives no position for these
		return fmt.Errorf("%s:%d: memory: %w", file, lineOf(data, size.text), size)
	}
	var de *toml.DecodeError
	if !errors.As(err, &de) {
		return fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "toml: "))
	}
	row, _ := de.Position()
	msg := strings.TrimPrefix(de.Error(), "toml: ")
	if f, ok := field(reflect.TypeFor[Config](), de.Key()); ok {
		if strings.HasPrefix(msg, "cannot decode") || strings.HasPrefix(msg, "type mismatch") || strings.Contains(msg, "cannot be stored") {
			msg = "want " + kind(f)
		}
		msg = strings.Join(de.Key(), ".") + ": " + msg
	}
	return fmt.Errorf("%s:%d: %s", file, row, short(msg))
}

// short is s, or its beginning, for messages.
func short(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// lineOf returns the number of the first line that sets memory to text.
func lineOf(data []byte, text string) int {
	for i, l := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "memory") && strings.Contains(l, text) {
			return i + 1
		}
	}
	return 1
}

// kind names the values of a type, for people.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Size]():
		return `a size such as "512MiB"`
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.String:
		return "a string in quotes"
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Struct:
		return "a list in brackets"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "tables in double brackets, [[...]]"
	}
	return "a table"
}

// hint proposes a key of the same table, or where a key of that name belongs.
func hint(key []string) string {
	t := reflect.TypeFor[Config]()
	for i, k := range key {
		names := fieldNames(t)
		if !slices.Contains(names, k) {
			if i == 0 {
				if full, ok := flat[k]; ok {
					return fmt.Sprintf(" (did you mean %q?)", full)
				}
			}
			if w, ok := near.Word(k, names); ok {
				return fmt.Sprintf(" (did you mean %q?)", strings.Join(append(slices.Clone(key[:i]), w), "."))
			}
			return fmt.Sprintf(" (known: %s)", strings.Join(names, ", "))
		}
		t, _ = field(t, []string{k})
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			break
		}
	}
	return ""
}

// fieldNames returns the TOML keys of a structure in order.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		names = append(names, name)
	}
	return names
}

// field returns the type behind a dotted key.
func field(t reflect.Type, key []string) (reflect.Type, bool) {
	if len(key) == 0 {
		return nil, false
	}
	for _, k := range key {
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil, false
		}
		i := slices.Index(fieldNames(t), strings.ToLower(k)) // as the decoder has it
		if i < 0 {
			return nil, false
		}
		t = t.Field(i).Type
	}
	return t, true
}
