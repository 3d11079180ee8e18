// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package debug

import (
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	var l Log
	p := Port{&l}
	p.Write(0, 1, 'a'|'x'<<8, 0)
	p.Write(0, 4, 'b'|'c'<<8|'d'<<16|'e'<<24, 0)
	if got := string(l.Text()); got != "abcde" {
		t.Errorf("%q", got)
	}
	if p.Read(0, 1, 0)&0xff != 0xe9 {
		t.Error("no port")
	}
	for range LogSize {
		p.Write(0, 2, '1'|'2'<<8, 0)
	}
	if got := string(l.Text()); got != strings.Repeat("12", LogSize/2) {
		t.Errorf("%d bytes, %q...", len(got), got[:10])
	}
	if n := testing.AllocsPerRun(10, func() { p.Write(0, 1, 1, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestExit(t *testing.T) {
	var got []uint32
	e := Exit(func(c uint32) { got = append(got, c) })
	e.Write(0, 1, 0x1234, 0)
	e.Write(0, 4, 0xdeadbeef, 0)
	if len(got) != 2 || got[0] != 0x34 || got[1] != 0xdeadbeef || e.Read(0, 1, 0) != 0 {
		t.Errorf("%#x", got)
	}
}
