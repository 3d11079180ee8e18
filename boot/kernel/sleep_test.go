// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"regexp"
	"testing"
)

// A thief of goroutines gives way to threads of its own CPU, and waits for those of others.
func TestBrief(t *testing.T) {
	for _, e := range []struct {
		ns, online, idle uint64
		self             uint32
		want             bool
	}{
		{3000, 1, 0, 0, true},
		{3001, 1, 0, 0, false},
		{3000, 3, 0, 0, false},
		{3000, 3, 2, 0, true},
		{3000, 3, 1, 0, false},
		{3000, 3, 1, 1, true},
		{0, 1 << 63, 0, 63, true},
	} {
		if got := brief(e.ns, e.online, e.idle, e.self); got != e.want {
			t.Errorf("%+v: %v", e, got)
		}
	}
	if !regexp.MustCompile(`if !osHasLowResTimer \{\s*usleep\(3\)`).MatchString(goSource(t, "proc.go")) {
		t.Error("the runtime's scheduler no longer sleeps for 3 us before it takes a goroutine from a P")
	}
}
