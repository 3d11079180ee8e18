// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "unsafe"

const futexBuckets = 64 // a power of two

var futexTab [futexBuckets]list

// futexBucket returns the list in which waiters on the word at a are.
//
//go:nosplit
func futexBucket(a uint64) *list {
	h := (a >> 2) * 0x9e3779b97f4a7c15 >> 58
	return (*list)(ptr(addr(unsafe.Pointer(&futexTab)) + h*uint64(unsafe.Sizeof(list{}))))
}

const (
	futexWait    = 0
	futexWake    = 1
	futexCmdMask = 0x7f
)

//go:nosplit
func sysFutex(c *cpu, t *thread) uint64 {
	a := t.f.rdi
	if a&3 != 0 {
		return neg(eINVAL)
	}
	switch t.f.rsi & futexCmdMask {
	case futexWait:
		return futexSleep(c, t, a)
	case futexWake:
		klock.lock()
		n := futexWakeN(a, t.f.rdx)
		klock.unlock()
		return n
	}
	return neg(eNOSYS)
}

//go:nosplit
func futexSleep(c *cpu, t *thread, a uint64) uint64 {
	deadline := uint64(0)
	if t.f.r10 != 0 {
		ns, ok := userTimespec(t.f.r10)
		if !ok {
			return neg(eFAULT)
		}
		deadline = deadlineIn(ns)
	}
	if !userRange(a, 4) {
		return neg(eFAULT)
	}
	klock.lock()
	v, bad := uload32(a)
	switch {
	case bad != 0:
		klock.unlock()
		return neg(eFAULT)
	case v != uint32(t.f.rdx):
		klock.unlock()
		return neg(eAGAIN)
	case t.pending&^t.mask != 0:
		klock.unlock()
		return neg(eINTR)
	}
	t.faddr = a
	t.f.rax = 0
	futexBucket(a).push(t)
	block(c, t, stFutex, deadline)
	klock.unlock()
	return keepRAX
}

// futexWakeN makes up to n waiters on the word at a ready, longest wait first,
// and returns how many. Preconditions: klock.
//
//go:nosplit
func futexWakeN(a, n uint64) uint64 {
	b := futexBucket(a)
	woken := uint64(0)
	for p := b.head; p != 0 && woken < n; {
		t := thr(p)
		p = t.next
		if t.faddr == a {
			unblock(t, 0, false)
			woken++
		}
	}
	return woken
}
