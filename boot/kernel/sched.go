// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"

	"ringo/hv/insn"
	"ringo/hv/x86"
)

// Scheduling. Ordinary threads share one queue in order of arrival and run in
// slices while others wait in it (see share). A runner belongs to one CPU and fills the time that ordinary threads
// leave; when they leave none, the two alternate: what ordinary threads use
// while the runner is ready is its credit ("debt"), and once that reaches a
// millisecond the runner gets it back undisturbed.

const sliceRunnerNS = 1_000_000

var (
	runq       list   // ready ordinary threads
	idleMask   uint64 // CPUs that run their idle thread and were not yet poked
	runnerMask uint64 // CPUs that run an unprotected runner and were not yet poked

	sliceOrdinary, sliceRunner uint64 // in TSC ticks
)

// ready makes t runnable and finds a CPU for it. A front thread is one that an
// interrupt woke: it goes first and preempts. Preconditions: klock; t is in no
// list.
//
//go:nosplit
func ready(t *thread, front bool) {
	t.state = stReady
	if t.class == clsRunner {
		poke(cpuAt(uint32(bits.TrailingZeros64(t.aff))))
		return
	}
	t.woken = 0
	if front {
		t.woken = 1
		runq.pushFront(t)
	} else {
		runq.push(t)
	}
	m := idleMask & t.aff
	if m == 0 {
		m = runnerMask & t.aff
	}
	if m == 0 {
		if !front {
			share(t)
			return
		}
		if m = atomicOnline() & t.aff; m == 0 {
			return
		}
	}
	i := t.cpu
	if m>>(i&63)&1 == 0 {
		if i = self().id; m>>(i&63)&1 == 0 {
			i = uint32(bits.TrailingZeros64(m))
		}
	}
	poke(cpuAt(i))
}

// share gives a thread that has to wait for a CPU one whose slice will end. A slice has
// an end only while somebody waits, since in a partition each change of the timer is an
// exit: the end is set here, where one begins to wait, and in choose, where one goes on
// waiting. So for each thread in the queue there is always a CPU that it may run on and
// that has been told to reschedule, or has an end of its slice (see deferred for the one
// exception). Preconditions: klock; t is in the queue.
//
//go:nosplit
func share(t *thread) {
	c := self()
	switch {
	case t.aff>>(c.id&63)&1 == 0:
		if m := atomicOnline() & t.aff; m != 0 {
			poke(cpuAt(uint32(bits.TrailingZeros64(m))))
		}
	case c.resched != 0 || c.sliceEnd != 0 && !hookLong(c): // it comes to t by itself
	default:
		now := insn.RDTSC()
		if defers(thr(c.cur), c.armed, now, scale(deferMostNS, tscPerNS)) {
			c.deferred = 1
			return
		}
		limit(c, now)
	}
}

// limit gives the slice of c an end. Preconditions: klock, own CPU.
//
//go:nosplit
func limit(c *cpu, now uint64) {
	c.deferred = 0
	c.sliceEnd = now + sliceOrdinary
	rearm(c, now)
}

// deferMostNS is how late the timer may look whether a slice wants an end.
const deferMostNS = 50_000_000

// defers reports whether the slice of t, which has made another thread ready, needs no
// end yet. One that an interrupt woke, as it does dom0's event thread, is about to block
// when it has woken who does the work. Should it not, the slice gets its end when the
// thread leaves the layer for the second time (see leave): by another call, by an
// interrupt, or by the one of the timer, which is set (armed) for no later than most
// from now.
//
//go:nosplit
func defers(t *thread, armed, now, most uint64) bool {
	return t.woken != 0 && armed-1 < now+most // 0 is never
}

// overdue reports, each time that c leaves the layer, whether an end that its slice was
// not given yet is due: not with the call that made the other thread ready.
//
//go:nosplit
func overdue(c *cpu) bool {
	if c.deferred == 0 || c.resched != 0 {
		return false // a new slice begins with its end
	}
	c.deferred++
	return c.deferred > 2
}

// poke makes a CPU reschedule. Preconditions: klock.
//
//go:nosplit
func poke(c *cpu) {
	b := uint64(1) << (c.id & 63)
	idleMask &^= b
	runnerMask &^= b
	if c == self() {
		c.resched = 1
		return
	}
	sendIPI(c.apic, vecResched)
}

// account charges the time since the last call to the current class.
// Preconditions: klock, own CPU.
//
//go:nosplit
func account(c *cpu, now uint64) {
	dt := now - c.acct
	c.acct = now
	c.debt = charge(c.debt, dt, sliceRunner, thr(c.cur).class,
		c.runner != 0 && thr(c.runner).state == stReady)
}

// charge returns the new debt after a thread of class ran for dt ticks;
// waiting says that the runner was ready meanwhile.
//
//go:nosplit
func charge(debt, dt, limit uint64, class uint32, waiting bool) uint64 {
	switch {
	case class == clsOrdinary && waiting:
		debt += dt
		if debt > limit {
			debt = limit
		}
	case class == clsRunner:
		if dt >= debt {
			return 0
		}
		debt -= dt
	}
	return debt
}

// pick chooses between the first ordinary thread (ord) and the runner when both
// are ready: who runs, whether the runner is protected, and for how long.
//
//go:nosplit
func pick(debt, protect, limit, ordinary uint64) (runner bool, slice uint64) {
	if debt >= limit || protect != 0 && debt > 0 {
		return true, debt
	}
	slice = limit - debt
	if slice > ordinary {
		slice = ordinary
	}
	return false, slice
}

// reschedule leaves the current thread (running: to be preempted; otherwise it
// was put where it belongs) and makes another one current. Its registers are
// loaded when the layer is left. Preconditions: klock, own CPU.
//
//go:nosplit
func reschedule(c *cpu) {
	now := insn.RDTSC()
	account(c, now)
	c.resched, c.deferred = 0, 0
	bit := uint64(1) << (c.id & 63)
	cur := thr(c.cur)
	if cur.state == stRunning && cur.class != clsIdle {
		cur.state = stReady
		if cur.class == clsOrdinary && cur.aff&bit == 0 {
			ready(cur, false) // on another CPU
		} else if cur.class == clsOrdinary {
			cur.woken = 0
			runq.push(cur)
		}
	}
	var ord *thread
	for a := runq.head; a != 0; a = thr(a).next {
		if thr(a).aff&bit != 0 {
			ord = thr(a)
			break
		}
	}
	var rn *thread
	if c.runner != 0 && thr(c.runner).state == stReady {
		rn = thr(c.runner)
	}
	next := thr(c.idle)
	c.sliceEnd = 0
	idleMask &^= bit
	runnerMask &^= bit
	c.protect, next = choose(c, ord, rn, next, now)
	switch next.class {
	case clsOrdinary:
		runq.remove(next)
	case clsRunner:
		if c.protect == 0 {
			runnerMask |= bit
		}
	case clsIdle:
		idleMask |= bit
	}
	spread()
	c.sliceEnd = hookSlice(next, now, c.sliceEnd)
	switchTo(c, next)
	rearm(c, now)
}

// spread wakes an idle CPU for the first thread that waits for one.
// Preconditions: klock.
//
//go:nosplit
func spread() {
	if idleMask == 0 {
		return
	}
	for a := runq.head; a != 0; a = thr(a).next {
		if m := idleMask & thr(a).aff; m != 0 {
			poke(cpuAt(uint32(bits.TrailingZeros64(m))))
			return
		}
	}
}

// waits reports whether one of the threads from a on may run on the CPU of that bit.
// Preconditions: klock.
//
//go:nosplit
func waits(a, bit uint64) bool {
	for ; a != 0; a = thr(a).next {
		if thr(a).aff&bit != 0 {
			return true
		}
	}
	return false
}

//go:nosplit
func choose(c *cpu, ord, rn, idle *thread, now uint64) (uint64, *thread) {
	switch {
	case ord != nil && rn != nil && idleMask&ord.aff != 0:
		return 0, rn // spread sends ord to the idle CPU
	case ord != nil && rn != nil:
		runner, slice := pick(c.debt, c.protect, sliceRunner, sliceOrdinary)
		c.sliceEnd = now + slice
		if runner {
			return 1, rn
		}
		return 0, ord
	case ord != nil:
		if sliceAlways || waits(ord.next, 1<<(c.id&63)) {
			c.sliceEnd = now + sliceOrdinary
		}
		return 0, ord
	case rn != nil:
		return 0, rn
	}
	return 0, idle
}

//go:nosplit
func switchTo(c *cpu, t *thread) {
	t.state = stRunning
	t.cpu = c.id
	if c.cur == t.addr() {
		return
	}
	c.cur = t.addr()
	c.fpDirty = 1
	c.nSwitches++
	if c.fs != t.fs {
		c.fs = t.fs
		insn.WRMSR(x86.MSRFSBase, t.fs)
	}
}

// block puts the current thread to sleep in state st until it is woken or, if
// deadline is not 0, the TSC reaches it. Preconditions: klock; the thread is in
// the list that its state means.
//
//go:nosplit
func block(c *cpu, t *thread, st uint32, deadline uint64) {
	t.state = st
	if deadline != 0 {
		timerAdd(c, t, deadline)
	}
	hookBlock(t)
	reschedule(c)
}

// unblock takes a blocked thread out of its lists and makes it ready; r becomes
// the result of its system call. Preconditions: klock.
//
//go:nosplit
func unblock(t *thread, r uint64, front bool) {
	if t.wake != 0 {
		timerDel(t)
	}
	switch t.state {
	case stFutex:
		futexBucket(t.faddr).remove(t)
		t.f.rax = r
	case stEpoll:
		epollWaiters.remove(t)
		t.f.rax = r
	case stWait:
		if t.vector != 0 {
			irqAt(t.vector).waiter = 0
			t.vector = 0
		}
		t.f.rax = 0
	case stSleep:
		t.f.rax = r
	default:
		if !hookUnblock(t) {
			return
		}
	}
	ready(t, front)
}
