// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dbg

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	var got []string
	SetSink(func(b []byte) { got = append(got, string(b)) })
	defer sink.Store(nil)
	At(Info).S("memory: ").MiB(512 << 20).S(" at ").X(0x100000).End()
	At(Warning).S("odd ").U(42).End()
	At(Debug).S("hidden").End()
	At(Error).S(strings.Repeat("x", 500)).End()
	want := []string{
		"ringo: memory: 512 MiB at 0x100000\n",
		"ringo: warning: odd 42\n",
		"ringo: error: " + strings.Repeat("x", 239-len("ringo: error: ")) + "\n",
	}
	if len(got) != len(want) {
		t.Fatalf("got %d lines %q", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d: %q, want %q", i, got[i], want[i])
		}
	}
}
