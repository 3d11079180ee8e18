// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"debug/elf"
	"debug/gosym"
	"fmt"
	"path/filepath"
	"strings"
)

// symbols are the functions of the two programs, which are linked at the same
// address.
type symbols struct{ hv, dom0 *gosym.Table }

// loadSymbols reads the tables that every Go program has for its own tracebacks.
func loadSymbols(hv, dom0 string) (s symbols, err error) {
	if s.hv, err = table(hv); err != nil {
		return s, err
	}
	s.dom0, err = table(dom0)
	return s, err
}

func table(path string) (*gosym.Table, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, lines := f.Section(".text"), f.Section(".gopclntab")
	if text == nil || lines == nil {
		return nil, fmt.Errorf("%s: not a Go program", path)
	}
	b, err := lines.Data()
	if err != nil {
		return nil, err
	}
	return gosym.NewTable(nil, gosym.NewLineTable(b, text.Addr))
}

// The borders of the guest's window (tests/guests/micro): its loop runs there, and
// nothing else does.
const (
	windowBase = 4 << 30
	windowEnd  = 5 << 30
)

// linux stands for all addresses of a Linux guest.
const linux = 1 << 63

// name says what pc belongs to: the program, and there the function and the line.
func (s symbols) name(pc uint64, guest bool) (function, line string) {
	who, t := "hv", s.hv
	switch {
	case guest && pc >= windowBase && pc < windowEnd:
		return "guest", "guest"
	case guest && pc == linux:
		return "Linux", "Linux"
	case guest:
		who, t = "dom0", s.dom0
	}
	file, n, fn := t.PCToLine(pc)
	if fn == nil {
		return who + " ?", fmt.Sprintf("%s %#x", who, pc)
	}
	function = who + " " + strings.TrimPrefix(fn.Name, "ringo/")
	return function, fmt.Sprintf("%s %s:%d", function, filepath.Base(file), n)
}
