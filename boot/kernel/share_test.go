// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"runtime"
	"testing"
)

// A slice ends while somebody waits who may run there, and only then.
func TestSliceEnd(t *testing.T) {
	const now = 1000
	defer func(s uint64) { sliceOrdinary = s }(sliceOrdinary)
	sliceOrdinary = 50
	ord, second, third, idle := new(thread), new(thread), new(thread), new(thread)
	for _, e := range []struct {
		name          string
		second, third uint64 // their CPUs, 0: not there
		want          uint64
	}{
		{"alone", 0, 0, 0},
		{"one waits", 1 << 3, 0, now + 50},
		{"one waits for another CPU", 1 << 2, 0, 0},
		{"one behind that waits for this one", 1 << 2, ^uint64(0), now + 50},
	} {
		*ord, *second, *third = thread{}, thread{aff: e.second}, thread{aff: e.third}
		if e.second != 0 {
			ord.next = second.addr()
		}
		if e.third != 0 {
			second.next = third.addr()
		}
		c := &cpu{id: 3}
		if _, next := choose(c, ord, nil, idle, now); next != ord || c.sliceEnd != e.want {
			t.Errorf("%s: the slice ends at %d, want %d", e.name, c.sliceEnd, e.want)
		}
	}
	runtime.KeepAlive([]*thread{second, third})
}

// The end of a slice may come later only where the timer looks soon, and for a thread that
// an interrupt woke.
func TestDefers(t *testing.T) {
	const now, most = 1000, 50
	for _, e := range []struct {
		woken uint64
		armed uint64
		want  bool
	}{{1, now + 50, true}, {1, now + 51, false}, {1, now - 1, true}, {1, 0, false}, {0, now + 1, false}} {
		if got := defers(&thread{woken: e.woken}, e.armed, now, most); e.want != got {
			t.Errorf("%+v: %v", e, got)
		}
	}
}

// It is due with the next call or interrupt but the one that made somebody wait, unless
// the thread is exchanged.
func TestOverdue(t *testing.T) {
	c := new(cpu)
	if overdue(c) || overdue(c) || overdue(c) {
		t.Error("nobody waits")
	}
	c.deferred = 1
	if overdue(c) {
		t.Error("the call itself")
	}
	c.resched = 1
	if overdue(c) {
		t.Error("it ends now")
	}
	c.resched = 0
	if !overdue(c) {
		t.Error("the next one")
	}
}
