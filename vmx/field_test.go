// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Width and type bits of an encoding (SDM Vol. 3, Table "Structure of VMCS
// Component Encoding").
var widths = map[string]uint64{"16": 0, "64": 1, "32": 2, "Nat": 3}

var kinds = map[string]uint64{"ctl": 0, "exit": 1, "guest": 2, "host": 3}

// Every constant of field.go stands in the group and has the type that its own
// bits say.
func TestFieldEncodings(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "field.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, typ := s.Names[0].Name, s.Type.(*ast.Ident).Name
		val, err := strconv.ParseUint(s.Values[0].(*ast.BasicLit).Value, 0, 32)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkField(t, name, typ, val)
		if other, ok := seen[val]; ok {
			t.Errorf("%s and %s are both %#x", name, other, val)
		}
		seen[val] = name
		return true
	})
	if len(seen) < 80 {
		t.Errorf("%d fields only: is the test looking at them?", len(seen))
	}
}

func checkField(t *testing.T, name, typ string, val uint64) {
	readOnly := strings.HasPrefix(typ, "ro")
	width, ok := widths[strings.TrimPrefix(strings.TrimPrefix(typ, "ro"), "field")]
	if !ok {
		t.Errorf("%s has no field type", name)
	}
	if got := val >> 13 & 3; got != width {
		t.Errorf("%s is %s, but %#x has width %d", name, typ, val, got)
	}
	for prefix, kind := range kinds {
		if strings.HasPrefix(name, prefix) {
			if got := val >> 10 & 3; got != kind {
				t.Errorf("%s: %#x has type %d", name, val, got)
			}
			if readOnly != (kind == 1) {
				t.Errorf("%s: only exit information is read-only", name)
			}
		}
	}
	if val&1 != 0 || val>>15 != 0 || val&(1<<12) != 0 {
		t.Errorf("%s: %#x is the high half of a field, or has reserved bits", name, val)
	}
}

// The fields of a group of segment registers follow each other.
func TestSlots(t *testing.T) {
	seen := map[uint32]slot{}
	for s, f := range fieldOf {
		if f == 0 {
			t.Errorf("slot %d has no field", s)
		}
		if other, ok := seen[f]; ok {
			t.Errorf("slots %d and %d are both %#x", s, other, f)
		}
		seen[f] = slot(s)
	}
	if numSlots > 64 {
		t.Errorf("%d slots do not fit a word", numSlots)
	}
	if fieldOf[sAccess+2] != uint32(guestSSAccess) || stable&volatile != 0 || stable|volatile != 1<<numSlots-1 {
		t.Error("slots are out of order")
	}
}
