// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

const (
	epollIn = 0x1
	epollET = 1 << 31

	epollAdd = 1
	epollDel = 2
	epollMod = 3
)

var (
	epollWaiters list
	// epollMaybe has a bit for each descriptor that may have an event which was not
	// reported yet. It is written under klock, and read without: most calls of the
	// runtime find nothing.
	epollMaybe uint64
)

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
		f.watched, f.level = 1, 1
		f.data = uint64(ev.lo) | uint64(ev.hi)<<32
		if ev.events&epollET != 0 {
			f.level = 0
		}
		atomic.StoreUint64(&epollMaybe, epollMaybe&^(1<<t.f.rdx))
		if fdReady(f) {
			epollNotify(t.f.rdx)
		}
		return 0
	case epollDel:
		f.watched = 0
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

// epollNotify records an event on descriptor i, and gives it to who waits for events: the
// runtime has one thread at a time do so. It takes nobody's CPU away, also where an
// interrupt is the event: whoever runs has the P that its reader wants, or is about to
// block. Preconditions: klock.
//
//go:nosplit
func epollNotify(i uint64) {
	if fdAt(i).watched == 0 {
		return
	}
	atomic.StoreUint64(&epollMaybe, epollMaybe|1<<(i%maxFD))
	if epollWaiters.head != 0 {
		t := thr(epollWaiters.head)
		if n := epollFill(t); n != 0 {
			unblock(t, n, false)
		}
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

// epollWait waits ns nanoseconds, ^0 for ever. Who ends the wait of a thread that blocks
// gives it its events.
//
//go:nosplit
func epollWait(c *cpu, t *thread, ns uint64) uint64 {
	if ns == 0 && atomic.LoadUint64(&epollMaybe) == 0 {
		return 0
	}
	klock.lock()
	n := epollFill(t)
	switch {
	case n != 0 || ns == 0:
	case t.pending&^t.mask != 0:
		n = neg(eINTR)
	default:
		deadline := uint64(0)
		if ns != ^uint64(0) {
			deadline = deadlineIn(ns)
		}
		epollWaiters.push(t)
		block(c, t, stEpoll, deadline)
		n = keepRAX
	}
	klock.unlock()
	return n
}

// epollFill writes events to the memory that t has named in its call, and returns how
// many, or an error. Preconditions: klock.
//
//go:nosplit
func epollFill(t *thread) (n uint64) {
	left := epollMaybe
	for m := left; m != 0 && n < t.f.rdx; m &= m - 1 {
		bit := m & -m
		f := fdAt(uint64(bits.TrailingZeros64(m)))
		ready := f.watched != 0 && (f.level == 0 || fdReady(f))
		if !ready || f.level == 0 {
			left &^= bit
		}
		if !ready {
			continue
		}
		ev := event{epollIn, uint32(f.data), uint32(f.data >> 32)}
		if !copyOut(t.f.rsi+n*12, unsafe.Pointer(&ev), 12) {
			return neg(eFAULT)
		}
		n++
	}
	atomic.StoreUint64(&epollMaybe, left)
	return n
}
