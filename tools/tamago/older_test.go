// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package tamago

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLower builds a package of a module that wants a later Go, as one that does not.
func TestLower(t *testing.T) {
	src, dir := t.TempDir(), t.TempDir()
	files := map[string]string{
		"go.mod":       "module example.org/late\n\ngo 1.26.9\n\nrequire example.org/other v1.0.0\n",
		"late.go":      "package late\n",
		"inner/one.go": "package inner\n",
	}
	for name, text := range files {
		at := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := needed{Path: "example.org/late", Dir: src, GoMod: filepath.Join(src, "go.mod")}
	got, err := lower(m, dir, "1.26.0")
	if err != nil {
		t.Fatal(err)
	}
	files["go.mod"] = "module example.org/late\n\ngo 1.26.0\n\nrequire example.org/other v1.0.0\n"
	for name, want := range files {
		if b, err := os.ReadFile(filepath.Join(got, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v, want %q", name, b, err, want)
		}
	}
	if again, err := lower(m, dir, "1.26.0"); again != got || err != nil {
		t.Errorf("once more: %s, %v, want %s", again, err, got)
	}
	moved := t.TempDir()
	if err := os.CopyFS(moved, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(src); err != nil {
		t.Fatal(err)
	}
	m.Dir, m.GoMod = moved, filepath.Join(moved, "go.mod")
	again, err := lower(m, dir, "1.26.0")
	if b, rerr := os.ReadFile(filepath.Join(again, "late.go")); again != got || err != nil || rerr != nil || string(b) != files["late.go"] {
		t.Errorf("from another place: %s, %v, %q, %v, want %s", again, err, b, rerr, got)
	}
	if other, err := lower(m, dir, "1.26.1"); other == got || err != nil {
		t.Errorf("for another release: %s, %v", other, err)
	}
}
