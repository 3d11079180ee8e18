// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCodeLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"a/a.go", "// c\n\npackage a\n\n/* x\ny */\nvar b = 1 // c\n", 2},
		{"a/a.go", "package a\n\nvar s = `one\n// two\n\nfour`\n", 5},
		{"a/a.go", "package a\n\nfunc f() {\n\t// only this\n}\n", 3},
		{"a/a.go", "package a\n\nfunc f() { g(); h() }\n", 2},
		{"a/a.s", "// c\n#include \"x.h\"\n\n\tRET // c\n", 2},
	} {
		f, err := parse(c.name, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.codeLines(); got != c.want {
			t.Errorf("%q: %d lines, want %d", c.text, got, c.want)
		}
	}
}

func TestLineBudgets(t *testing.T) {
	tree := func(table string, names ...string) []*File {
		files := []*File{{Name: architecture, Text: table}}
		for _, n := range names {
			f, err := parse(n, "package a\n\nvar b = 1\n")
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		return files
	}
	const table = "| the hypervisor | 4 | x |\n| the kernel layer | 2 | y |\n"
	for _, c := range []struct {
		files []*File
		found []string
	}{
		{tree(table, "hv/a.go", "mm/pt/b.go", "boot/kernel/a.go"), nil},
		{tree(table, "hv/a.go", "hv/b_test.go", "hv/x/xtest/a.go", "dom0/a.go", "tests/hv/a.go"), nil},
		{tree(table, "hv/a.go", "svm/a.go", "boot/mb/a.go"), []string{"the hypervisor has 6 code lines, at most 4"}},
		{tree(table, "boot/kernel/a.go", "boot/kernel/b.go"), []string{"the kernel layer has 4 code lines, at most 2"}},
		{tree("| the kernel layer | 9 | y |\n"), []string{"no line budget of the hypervisor"}},
	} {
		var found []string
		for i, line := range lineBudgets(c.files) {
			if i < len(c.found) && strings.Contains(line, c.found[i]) {
				line = c.found[i]
			}
			found = append(found, line)
		}
		if diff := cmp.Diff(c.found, found); diff != "" {
			t.Error(diff)
		}
	}
}
