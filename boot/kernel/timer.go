// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"

	"ringo/hv/insn"
)

// Time is counted in TSC ticks throughout; ratios are 32.32 fixed-point
// numbers. A thread that sleeps is in the list of the CPU on which it fell
// asleep, sorted by deadline.

var (
	tscHz    uint64
	tscZero  uint64 // TSC at which Nanotime is 0
	nsPerTSC uint64 // 32.32
	tscPerNS uint64 // 32.32
	wallOff  uint64 // wall clock minus Nanotime, ns since 1970
)

// ratio returns a/b as a 32.32 fixed-point number. Preconditions: the result
// fits, b is not 0.
//
//go:nosplit
func ratio(a, b uint64) uint64 {
	q, _ := bits.Div64(a>>32, a<<32, b)
	return q
}

// scale returns v*m for a 32.32 fixed-point m, saturated.
//
//go:nosplit
func scale(v, m uint64) uint64 {
	hi, lo := bits.Mul64(v, m)
	if hi>>32 != 0 {
		return ^uint64(0)
	}
	return hi<<32 | lo>>32
}

//go:nosplit
func setTSCRate(hz uint64) {
	tscHz = hz
	nsPerTSC = ratio(1_000_000_000, hz)
	tscPerNS = ratio(hz, 1_000_000_000)
	sliceOrdinary = scale(sliceOrdinaryNS, tscPerNS)
	sliceRunner = scale(sliceRunnerNS, tscPerNS)
}

// deadlineIn returns the TSC value ns nanoseconds from now, never 0.
//
//go:nosplit
func deadlineIn(ns uint64) uint64 {
	d := insn.RDTSC() + scale(min(ns, 1<<60), tscPerNS)
	if d == 0 {
		d = 1
	}
	return d
}

// delay busy-waits. For use before the layer runs, and by it.
//
//go:nosplit
func delay(ns uint64) {
	for end := deadlineIn(ns); insn.RDTSC() < end; {
		insn.PAUSE()
	}
}

// timerAdd sorts t into the list of c. Preconditions: klock, own CPU.
//
//go:nosplit
func timerAdd(c *cpu, t *thread, deadline uint64) {
	t.wake, t.tcpu = deadline, c.id
	p := &c.timers
	for *p != 0 && thr(*p).wake <= deadline {
		p = &thr(*p).tnext
	}
	t.tnext = *p
	*p = t.addr()
}

// timerDel takes t out of its list. Preconditions: klock; t is in it.
//
//go:nosplit
func timerDel(t *thread) {
	p := &cpuAt(t.tcpu).timers
	for *p != t.addr() {
		p = &thr(*p).tnext
	}
	*p = t.tnext
	t.wake, t.tnext = 0, 0
}

// expire wakes the threads of c whose time has come. Preconditions: klock, own
// CPU.
//
//go:nosplit
func expire(c *cpu, now uint64) {
	for c.timers != 0 && thr(c.timers).wake <= now {
		t := thr(c.timers)
		r := uint64(0)
		if t.state == stFutex {
			r = neg(eTIMEDOUT)
		}
		unblock(t, r, false)
	}
}

// nextEvent returns when c next needs its timer, 0 for never.
//
//go:nosplit
func nextEvent(c *cpu) uint64 {
	at := c.sliceEnd
	if a := c.armAt; a != 0 && (at == 0 || a < at) {
		at = a
	}
	if a := c.holdEnd; a != 0 && (at == 0 || a < at) {
		at = a
	}
	if c.timers != 0 {
		if a := thr(c.timers).wake; at == 0 || a < at {
			at = a
		}
	}
	return at
}

// rearm programs the timer for the next event. A timer that is set for an earlier
// time than is needed may stay (see stays): its interrupt comes here again.
// Preconditions: klock, or the list of timers changes meanwhile; own CPU.
//
//go:nosplit
func rearm(c *cpu, now uint64) {
	at := nextEvent(c)
	if a := watchNext(c, now); a != 0 && (at == 0 || a < at) {
		at = a
	}
	if at == c.armed || c.armed-1 < at-1 && stays(c) { // 0 is never
		return
	}
	c.armed = at
	timerSet(now, at)
}

// stays reports whether a timer that is set for too early a time is left alone: in a
// partition each write is an exit, and the end of a slice moves back with every
// switch of threads; but an interrupt that wakes a CPU which sleeps costs most. A
// timer that ticks looks for lost interrupts too, and must not be put off.
//
//go:nosplit
func stays(c *cpu) bool { return ticking || inPartition() && thr(c.cur).class != clsIdle }

// timerIRQ serves the timer interrupt.
//
//go:nosplit
func timerIRQ(c *cpu) {
	now := insn.RDTSC()
	look(c, now)
	klock.lock()
	c.armed = 0
	if c.armAt != 0 && c.armAt <= now {
		c.armAt = 0
		kicked(c, true) // its runner may be about to enter a guest
	}
	if c.holdEnd <= now {
		c.holdEnd = 0 // leave does the rest
	}
	expire(c, now)
	if c.sliceEnd != 0 && c.sliceEnd <= now {
		c.resched = 1
	}
	if c.resched == 0 {
		rearm(c, now)
		if ticking && c.armed == 0 {
			timerSet(now, 0) // a tick, no longer what it was set to before
		}
	}
	klock.unlock()
}
