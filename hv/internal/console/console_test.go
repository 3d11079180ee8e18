// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"strings"
	"testing"
)

func TestInput(t *testing.T) {
	keys, arrived, state := "", 0, ""
	in := &Input{
		Arrived: func() { arrived++ },
		Key:     func(k byte) { keys += string(k) },
		Switched: func(hv bool) {
			state = "dom0"
			if hv {
				state = "hv"
			}
		},
	}
	read := func() string {
		b := make([]byte, 16)
		n, _, _ := in.Read(b)
		return string(b[:n])
	}
	in.Type([]byte("ab"))
	if arrived != 1 || read() != "ab" {
		t.Error("dom0 did not get its input with one notice")
	}
	in.Type([]byte("\x01\x01x\x01"))
	if got := read(); got != "\x01\x01x\x01" || state != "" {
		t.Errorf("single Ctrl-A: %q, switched to %q", got, state)
	}
	in.Type([]byte("y\x01\x01\x01qr\x01\x01\x01z"))
	if keys != "qr" || state != "dom0" {
		t.Errorf("keys %q, state %q; want qr, dom0", keys, state)
	}
	if got := read(); got != "yz" {
		t.Errorf("dom0 got %q, want yz: the switching keys are not input", got)
	}
}

// What finds the queue full is lost up to where dom0 has read all before it, and
// dom0 is told there, once.
func TestLost(t *testing.T) {
	arrived := 0
	in := &Input{Arrived: func() { arrived++ }, Switched: func(bool) {}, Key: func(byte) {}}
	want := func(max int, text string, lost uint64, line bool) {
		t.Helper()
		b := make([]byte, max)
		n, l, ln := in.Read(b)
		if string(b[:n]) != text || l != lost || ln != line {
			t.Errorf("%.20q... (%d bytes), %d lost, line %v; want %.20q... (%d), %d, %v", b[:n], n, l, ln, text, len(text), lost, line)
		}
	}
	full := strings.Repeat("x", size)
	in.Type([]byte(full + "abc\n"))
	want(1, "x", 0, false)
	in.Type([]byte("de")) // there is room, but behind a gap
	want(size, full[1:], 6, false)
	want(10, "", 0, false)
	in.Type([]byte(full + "abc\r"))
	want(size, full, 4, true)
	in.Type([]byte("list\n"))
	want(10, "list\n", 0, false)
	if arrived != 3 {
		t.Errorf("%d notices, want 3", arrived)
	}
	in.Overrun(3)
	if arrived != 4 {
		t.Error("no notice of what the line lost")
	}
	in.Type([]byte("st\n"))
	want(10, "", 6, true)
	in.Type([]byte("\x01\x01\x01"))
	in.Overrun(1)
	in.Type([]byte("\x01\x01\x01y"))
	want(10, "y", 0, false)
}
