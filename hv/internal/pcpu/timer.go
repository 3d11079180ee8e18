// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pcpu is what the hypervisor keeps per physical CPU: the timers of
// blocked vCPUs, and the trace ring.
package pcpu

import "sync"

// Never is a deadline that does not come.
const Never = ^uint64(0)

// Timer is a deadline in TSC ticks, kept on one CPU's list. The zero Timer is
// ready for use; it lives inside its owner, so that no operation allocates.
type Timer struct {
	at         uint64
	list       *Timers
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
	min  uint64
	init bool
}

// Next is the earliest deadline on the list, [Never] when there is none.
func (l *Timers) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next()
}

func (l *Timers) next() uint64 {
	if !l.init {
		l.init, l.min = true, Never
	}
	return l.min
}

// Add puts t on the list with deadline at.
//
// Preconditions: t is on no list.
func (l *Timers) Add(t *Timer, at uint64) {
	if at == Never {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.list != nil {
		panic("pcpu: timer added twice")
	}
	t.at, t.list, t.prev, t.next = at, l, nil, l.head
	if l.head != nil {
		l.head.prev = t
	}
	l.head = t
	l.min = min(l.next(), at)
}

// Remove takes t off the list if it is there. The caller's own lock serializes
// Add and Remove of one timer.
func (l *Timers) Remove(t *Timer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.list == l {
		l.unlink(t)
		if t.at == l.min {
			l.rescan()
		}
	}
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
	t.list, t.next, t.prev = nil, nil, nil
}

func (l *Timers) rescan() {
	l.min = Never
	for t := l.head; t != nil; t = t.next {
		l.min = min(l.min, t.at)
	}
}

// Expire takes off and calls every timer whose deadline is not after now.
func (l *Timers) Expire(now uint64) {
	for {
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
	if l.next() > now {
		return nil
	}
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
