// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pcpu is what the hypervisor keeps per physical CPU: the timers of
// blocked vCPUs, and the trace ring.
package pcpu

import (
	"sync"
	"sync/atomic"
)

// Never is a deadline that does not come.
const Never = ^uint64(0)

// Timer is a deadline in TSC ticks, kept on one CPU's list. The zero Timer is
// ready for use; it lives inside its owner, so that no operation allocates.
type Timer struct {
	at         uint64
	list       atomic.Pointer[Timers] // written under the list's lock
	next, prev *Timer
	// Expired is called once, on the CPU of the list, without its lock, when
	// the deadline has passed. It is set before first use.
	Expired func(now uint64)
}

// Timers is the list of one CPU. Any CPU may add and remove; its own CPU
// expires. The list is short (blocked vCPUs of one CPU), so it is not sorted.
type Timers struct {
	mu   sync.Mutex // innermost: nothing is locked under it
	head *Timer
	// early is Never minus the earliest deadline: so the zero value is right.
	// It is written under mu, and read without by the list's own CPU, which
	// finds in most cases that there is nothing to do. Who adds a timer from
	// another CPU makes the list's CPU look afterwards.
	early atomic.Uint64
}

// Next is the earliest deadline on the list, [Never] when there is none.
func (l *Timers) Next() uint64 { return Never - l.early.Load() }

func (l *Timers) setNext(at uint64) { l.early.Store(Never - at) }

// Add puts t on the list with deadline at.
//
// Preconditions: t is on no list.
func (l *Timers) Add(t *Timer, at uint64) {
	if at == Never {
		return
	}
	l.mu.Lock()
	if t.list.Load() != nil {
		panic("pcpu: timer added twice")
	}
	t.at, t.prev, t.next = at, nil, l.head
	t.list.Store(l)
	if l.head != nil {
		l.head.prev = t
	}
	l.head = t
	l.setNext(min(l.Next(), at))
	l.mu.Unlock()
}

// Remove takes t off the list if it is there. The caller's own lock serializes
// Add and Remove of one timer.
func (l *Timers) Remove(t *Timer) {
	if t.list.Load() == nil {
		return // only Add, which does not run now, could change that
	}
	l.mu.Lock()
	if t.list.Load() == l {
		l.unlink(t)
		if t.at == l.Next() {
			l.rescan()
		}
	}
	l.mu.Unlock()
}

func (l *Timers) unlink(t *Timer) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
	t.list.Store(nil)
}

func (l *Timers) rescan() {
	at := uint64(Never)
	for t := l.head; t != nil; t = t.next {
		at = min(at, t.at)
	}
	l.setNext(at)
}

// Expire takes off and calls every timer whose deadline is not after now.
func (l *Timers) Expire(now uint64) {
	for l.Next() <= now {
		t := l.due(now)
		if t == nil {
			return
		}
		t.Expired(now)
	}
}

func (l *Timers) due(now uint64) *Timer {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := l.head; t != nil; t = t.next {
		if t.at <= now {
			l.unlink(t)
			l.rescan()
			return t
		}
	}
	l.rescan()
	return nil
}
