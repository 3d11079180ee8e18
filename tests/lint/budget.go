// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"fmt"
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// budget bounds the code lines of a part of the tree: lines that are neither
// blank nor comment, of Go and assembly, without tests and fakes.
type budget struct {
	row  string // how ARCHITECTURE.md calls it, where the number stands
	dirs []string
	not  []string // folders below dirs that do not count
}

var budgets = []budget{
	{"the hypervisor", []string{"hv", "svm", "vmx", "mm", "boot"}, []string{"boot/kernel"}},
	{"the kernel layer", []string{"boot/kernel"}, nil},
}

// lineBudgets holds the parts to the numbers of ARCHITECTURE.md, "Size".
func lineBudgets(files []*File) []string {
	var bad []string
	for _, b := range budgets {
		lines := 0
		for _, f := range files {
			if f.in(b.dirs...) && !f.in(b.not...) && f.counts() {
				lines += f.codeLines()
			}
		}
		most, err := allowance(files, b.row)
		switch {
		case err != nil:
			bad = append(bad, err.Error())
		case lines > most:
			bad = append(bad, fmt.Sprintf("%s: %s has %d code lines, at most %d: shorten it, or raise the number there and say why", architecture, b.row, lines, most))
		}
	}
	return bad
}

const architecture = "ARCHITECTURE.md"

// allowance reads a row "| name | number | ..." of ARCHITECTURE.md.
func allowance(files []*File, row string) (int, error) {
	re := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(row) + ` \| ([0-9]+) \|`)
	for _, f := range files {
		if f.Name != architecture {
			continue
		}
		if m := re.FindStringSubmatch(f.Text); m != nil {
			return strconv.Atoi(m[1])
		}
	}
	return 0, fmt.Errorf("%s: no line budget of %s", architecture, row)
}

// counts reports whether the file is code of the product.
func (f *File) counts() bool {
	switch path.Ext(f.Name) {
	case ".go", ".s", ".h":
		return !f.isTest() && !strings.HasSuffix(path.Dir(f.Name), "test")
	}
	return false
}

// codeLines is the number of lines with code on them.
func (f *File) codeLines() (n int) {
	if f.Go == nil {
		for line := range strings.Lines(f.Text) {
			if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "//") {
				n++
			}
		}
		return n
	}
	set := token.NewFileSet()
	file := set.AddFile(f.Name, -1, len(f.Text))
	var s scanner.Scanner
	s.Init(file, []byte(f.Text), nil, 0) // without comments
	last := 0
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return n
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue
		}
		first := set.Position(pos).Line
		end := first + strings.Count(lit, "\n") // of a raw string
		if n += end - max(first, last+1) + 1; end > last {
			last = end
		}
	}
}
