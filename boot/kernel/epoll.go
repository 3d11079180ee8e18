// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"unsafe"

	"ringo/hv/insn"
)

const (
	epollIn = 0x1
	epollET = 1 << 31

	epollAdd = 1
	epollDel = 2
	epollMod = 3

	maxEvents = 32 // returned by one call
)

var epollWaiters list

// event is struct epoll_event: 12 bytes, packed.
type event struct {
	events uint32
	lo, hi uint32
}

//go:nosplit
func sysEpollCreate(c *cpu, t *thread) uint64 {
	klock.lock()
	r := fdNew(fdEpoll)
	klock.unlock()
	return r
}

//go:nosplit
func sysEpollCtl(c *cpu, t *thread) uint64 {
	var ev event
	if t.f.rsi != epollDel && !copyIn(unsafe.Pointer(&ev), t.f.r10, 12) {
		return neg(eFAULT)
	}
	klock.lock()
	r := epollCtl(t, &ev)
	klock.unlock()
	return r
}

//go:nosplit
func epollCtl(t *thread, ev *event) uint64 {
	f := fdAt(t.f.rdx)
	if f == nil || f.kind == fdFree {
		return neg(eBADF)
	}
	if f.kind != fdEventfd && f.kind != fdIRQ {
		return neg(ePERM) // as for regular files
	}
	switch t.f.rsi {
	case epollAdd, epollMod:
		if t.f.rsi == epollAdd && f.watched != 0 {
			return neg(eEXIST)
		}
		f.watched, f.level, f.edge = 1, 1, 0
		f.data = uint64(ev.lo) | uint64(ev.hi)<<32
		if ev.events&epollET != 0 {
			f.level = 0
			if fdReady(f) {
				epollNotify(f)
			}
		}
		return 0
	case epollDel:
		f.watched, f.edge = 0, 0
		return 0
	}
	return neg(eINVAL)
}

//go:nosplit
func fdReady(f *fd) bool {
	if f.kind == fdIRQ {
		q := irqAt(f.vector)
		return q.count != q.seen
	}
	return f.count != 0
}

// epollNotify records an event on f and wakes who waits for events.
// Preconditions: klock.
//
//go:nosplit
func epollNotify(f *fd) {
	if f.watched == 0 {
		return
	}
	f.edge = 1
	for epollWaiters.head != 0 {
		unblock(thr(epollWaiters.head), 0, f.kind == fdIRQ)
	}
}

// sysEpollWait is epoll_pwait with its timeout in ms.
//
//go:nosplit
func sysEpollWait(c *cpu, t *thread) uint64 {
	ms := int32(t.f.r10)
	if ms < 0 {
		return epollWait(c, t, ^uint64(0))
	}
	return epollWait(c, t, uint64(ms)*1_000_000)
}

// sysEpollWait2 is epoll_pwait2 with a timespec.
//
//go:nosplit
func sysEpollWait2(c *cpu, t *thread) uint64 {
	ns := ^uint64(0)
	if t.f.r10 != 0 {
		var ok bool
		if ns, ok = userTimespec(t.f.r10); !ok {
			return neg(eFAULT)
		}
	}
	return epollWait(c, t, ns)
}

// epollWait waits ns nanoseconds, ^0 for ever. A thread that blocks starts the
// call again when it wakes, with the deadline of the first time.
//
//go:nosplit
func epollWait(c *cpu, t *thread, ns uint64) uint64 {
	klock.lock()
	if t.again == 0 {
		t.deadline = 0
		if ns != ^uint64(0) {
			t.deadline = deadlineIn(ns)
		}
	}
	n := epollFill(c, t.f.rdx)
	switch {
	case n != 0 || ns == 0 || t.deadline != 0 && insn.RDTSC() >= t.deadline:
	case t.pending&^t.mask != 0:
		n = neg(eINTR)
	default:
		t.again = 1
		restart(t)
		epollWaiters.push(t)
		block(c, t, stEpoll, t.deadline)
		klock.unlock()
		return keepRAX
	}
	t.again = 0
	klock.unlock()
	if n-1 < maxEvents && !copyOut(t.f.rsi, unsafe.Pointer(&c.evs), n*12) {
		return neg(eFAULT)
	}
	return n
}

// epollFill collects events in c.evs. Preconditions: klock.
//
//go:nosplit
func epollFill(c *cpu, limit uint64) (n uint64) {
	if limit > maxEvents {
		limit = maxEvents
	}
	for i := uint64(3); i < maxFD && n < limit; i++ {
		f := fdAt(i)
		if f.watched == 0 || f.level == 0 && f.edge == 0 || f.level != 0 && !fdReady(f) {
			continue
		}
		f.edge = 0
		p := addr(unsafe.Pointer(&c.evs)) + n*12
		*p32(p) = epollIn
		*p32(p + 4) = uint32(f.data)
		*p32(p + 8) = uint32(f.data >> 32)
		n++
	}
	return n
}
