// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "unsafe"

// frame is the register state that an entry saves; the order is that of the
// pushes and of IRETQ.
type frame struct {
	r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax uint64

	vec, err                   uint64
	rip, cs, rflags, rsp, sseg uint64
}

const (
	frameWords = 22
	vecSyscall = 256

	// fpSize covers the legacy area, the XSAVE header and AVX state (SDM
	// Vol. 1, "XSAVE Area"): XCR0 never has more.
	fpSize = 512 + 64 + 256
)

// Thread states.
const (
	stFree    = iota
	stReady   // in the run queue, or a runner waiting for its CPU
	stRunning // on thread.cpu
	stFutex
	stSleep
	stEpoll
	stWait // in Wait or WaitIRQ
)

// Thread classes.
const (
	clsOrdinary = iota
	clsRunner
	clsIdle
)

// thread is one thread of the Go program. The registers are complete whenever
// the thread is not running: entry code saves them before anything can make the
// thread ready.
type thread struct {
	f       frame
	fpValid uint64 // fp holds the state to restore; else it is the initial one
	fs      uint64

	state uint32
	class uint32
	cpu   uint32 // where it runs or ran last
	tid   uint32

	aff        uint64 // allowed CPUs, bit per index
	next, prev uint64 // run queue, futex bucket, epoll waiters or free list
	tnext      uint64 // timer list of CPU tcpu
	wake       uint64 // TSC deadline, 0: in no timer list
	tcpu       uint32
	done       uint64 // bytes done by a restarted write
	faddr      uint64 // futex word
	vector     uint64 // stWait: vector waited for, 0 none

	// Signals. pending is set under klock; read by the running CPU atomically.
	sigsp, sigsz     uint64
	mask, pending    uint64
	fcode, faultAddr uint64 // of a pending synchronous signal
	ferr, fvec       uint64
	// Preemption: when the handler began that runs now, and until when the
	// thread has a right to run without the next; 0 for neither. See hold.
	urgFrom, urgHold uint64

	// Of the hooks of TamaGo's runtime (hooks_tamago.go): the word below the FS base, and
	// for how long the thread last waited for work.
	tls, idleNS uint64
	since       uint64 // TSC since when its P is at the turn tick
	timer       uint64 // when its P's next timer was when it blocked
	tick, probe uint32
	grown       uint64 // how many of its slices have ended by themselves since it blocked, at most growMost

	woken uint64 // 1: by an interrupt, and has not been preempted since

	_  [4]uint64
	fp [fpSize]byte // 64-byte aligned
}

const (
	maxThread  = 256
	threadSlot = 2048 // two to a page

	// threadReserve is how many free threads there must be before one is used
	// again.
	threadReserve = 16
)

// Compile-time checks of what the assembly and the slab rely on.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(frame{})-frameWords*8]
	_ = [1]struct{}{}[unsafe.Offsetof(thread{}.fp)%64]
	_ = [threadSlot - unsafe.Sizeof(thread{})]struct{}{}
	_ = [1]struct{}{}[unsafe.Offsetof(cpu{}.self)]
	_ = [pageSize - unsafe.Sizeof(cpu{})]struct{}{}
)

var (
	threadTab   [maxThread]uint64 // *thread by tid-1, 0 not yet made
	threadFree  list
	threadMade  uint32
	threadSpare uint64 // second half of the last page
	threadUsed  uint64
)

//go:nosplit
func thr(a uint64) *thread { return (*thread)(ptr(a)) }

//go:nosplit
func (t *thread) addr() uint64 { return addr(unsafe.Pointer(t)) }

// threadByID returns nil when there is no such thread. Preconditions: klock.
//
//go:nosplit
func threadByID(tid uint64) *thread {
	if tid-1 >= uint64(threadMade) {
		return nil
	}
	t := thr(*p64(addr(unsafe.Pointer(&threadTab)) + (tid-1)*8))
	if t.state == stFree {
		return nil
	}
	return t
}

// newThread returns a cleared thread in state stFree, or nil. Thread numbers
// are reused oldest first, so that a late tgkill rarely meets a new thread.
// Preconditions: klock.
//
//go:nosplit
func newThread() *thread {
	var t *thread
	if threadMade < maxThread && uint64(threadMade)-threadUsed < threadReserve {
		a := newSlot()
		if a == 0 {
			return nil
		}
		t = thr(a)
		*p64(addr(unsafe.Pointer(&threadTab)) + uint64(threadMade)*8) = a
		threadMade++
		t.tid = threadMade
	} else if t = threadFree.pop(); t != nil {
		tid := t.tid
		stosq(t.addr(), uint64(unsafe.Sizeof(thread{}))/8, 0)
		t.tid = tid
	} else {
		return nil
	}
	t.aff = ^uint64(0)
	threadUsed++
	return t
}

// newSlot takes memory for a thread out of the pool.
//
//go:nosplit
func newSlot() uint64 {
	if a := threadSpare; a != 0 {
		threadSpare = 0
		return a
	}
	mmlock.lock()
	pa := frames.alloc()
	if pa != 0 {
		frames.kernel++
	}
	mmlock.unlock()
	if pa == 0 {
		return 0
	}
	threadSpare = frameAt(pa) + threadSlot
	return frameAt(pa)
}

// list is a doubly linked list through next and prev.
type list struct{ head, tail uint64 }

//go:nosplit
func (l *list) push(t *thread) {
	a := t.addr()
	t.next, t.prev = 0, l.tail
	if l.tail != 0 {
		thr(l.tail).next = a
	} else {
		l.head = a
	}
	l.tail = a
}

//go:nosplit
func (l *list) pushFront(t *thread) {
	a := t.addr()
	t.next, t.prev = l.head, 0
	if l.head != 0 {
		thr(l.head).prev = a
	} else {
		l.tail = a
	}
	l.head = a
}

//go:nosplit
func (l *list) remove(t *thread) {
	if t.prev != 0 {
		thr(t.prev).next = t.next
	} else {
		l.head = t.next
	}
	if t.next != 0 {
		thr(t.next).prev = t.prev
	} else {
		l.tail = t.prev
	}
	t.next, t.prev = 0, 0
}

//go:nosplit
func (l *list) pop() *thread {
	if l.head == 0 {
		return nil
	}
	t := thr(l.head)
	l.remove(t)
	return t
}
