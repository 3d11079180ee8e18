// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import "testing"

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
		return string(b[:in.Read(b)])
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
	in.Type(make([]byte, size+10))
	n := 0
	for s := read(); s != ""; s = read() {
		n += len(s)
	}
	if n != size {
		t.Errorf("kept %d bytes, want %d", n, size)
	}
}
