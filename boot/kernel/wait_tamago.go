// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build tamago

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/insn"
)

// TamaGo's runtime has a hook for a thread without work (Idle), but none for one that
// waits for another thread: it spins (runtime.semasleep) until the other one has changed
// a word, for which there is no hook either. And it cannot preempt a goroutine by a
// signal. So:
//
//   - A thread that is interrupted in semasleep's loop sleeps. Whoever leaves the layer looks
//     whether its word has changed. Slices are short, so that it spins shortly.
//   - A thread that waits with a deadline, or for a goroutine to stop, asks for the time
//     again and again: from there it is made to sleep (ownLull), the goroutines that shall
//     stop are made to look, and threads without work, whose Ps others may wait for,
//     to go on.
//   - A thread without work keeps its P and is told by nobody of new work. It is woken
//     when another thread blocks in the layer with work left in its queue, or is found
//     with some at a tick, and looks by itself: soon if there was some when it fell
//     asleep, else now and then.

const (
	sliceOrdinaryNS = 250_000
	sliceAlways     = true // threads that spin are found when one ends

	lullNS     = 50_000
	probeNS    = 30_000
	runnerNS   = 32_000_000 // after which a runner is looked at, too
	idleMinNS  = 1_000_000
	idleMostNS = 100_000_000
	turnNS     = 10_000_000 // what a goroutine has if others wait
	growMost   = 3          // a slice is 2 ms at most
)

// States beside those of thread.go.
const (
	stIdle = stWait + 1 + iota // in Idle
	stSpin                     // found in semasleep's loop, faddr its word
	stLull                     // as stSpin, or faddr is 0
)

var (
	idlers   list // in stIdle
	spinners list // in stSpin and stLull

	semasleep, suspend codeRange
	waiting            codeRange // the loop in semasleep without a deadline
)

// findWaits finds the functions that spin.
//
//go:nosplit
func findWaits() {
	s := imageSymtab()
	semasleep = s.lookup("runtime.semasleep")
	suspend = s.lookup("runtime.suspendG")
	waiting = semasleep.loop(layout.GoSema)
	if waiting.size == 0 || suspend.size == 0 {
		dieEarly("\nringo: this runtime is none that the kernel layer knows: it has no semasleep with a loop, or no suspendG")
	}
}

// lookup finds a function by its name.
//
//go:nosplit
func (s symtab) lookup(name string) (r codeRange) {
	ft := s.tab + *p64(s.tab + hdrFuncTab)
	for i, n := uint64(0), *p64(s.tab + hdrFuncs); i < n; i++ {
		off := uint64(*p32(ft + i*8))
		if equalCString(s.name(ft+uint64(*p32(ft + i*8 + 4))), name) {
			return codeRange{s.text + off, uint64(*p32(ft + i*8 + 8)) - off}
		}
	}
	return r
}

//go:nosplit
func equalCString(a uint64, s string) bool {
	for i := uint64(0); i < uint64(len(s)); i++ {
		if *p8(a + i) != s[i] {
			return false
		}
	}
	return *p8(a + uint64(len(s))) == 0
}

// g is the thread's goroutine, as the runtime keeps it at -8(FS).
//
//go:nosplit
func (t *thread) g() uint64 { return *p64(t.fs - 8) }

// goField reads a field of a structure of the runtime, or 0 if the pointer to that is nil.
// These structures stay mapped for good, since this runtime gives no page back; a page
// that was not touched yet comes as it does for the runtime.
//
//go:nosplit
func goField(structure, field uint64) uint64 {
	if structure == 0 {
		return 0
	}
	return *p64(structure + field)
}

// asked reports whether the runtime wants the thread's goroutine to stop.
//
//go:nosplit
func (t *thread) asked() bool { return goField(t.g(), guardOffset) == stackPreempt }

// m is the runtime's structure of the thread, 0 if there is none.
//
//go:nosplit
func (t *thread) m() uint64 { return goField(t.g(), layout.GoM) }

// p is the P that the thread has, 0 for none.
//
//go:nosplit
func (t *thread) p() uint64 { return goField(t.m(), layout.GoP) }

// systemStack reports whether the thread runs on the scheduler's stack.
//
//go:nosplit
func (t *thread) systemStack() bool { return system(t.g()) }

// system reports whether a goroutine is the scheduler of a thread, or none that runs.
//
//go:nosplit
func system(g uint64) bool {
	m := goField(g, layout.GoM)
	return m == 0 || goField(m, 0) == g // its first field is g0
}

// hookNanotime is the clock, which in this runtime is the wall clock too: it jumps
// when that is set. Who waits for something asks it again and again.
//
//go:linkname hookNanotime runtime/goos.Nanotime
//go:nosplit
func hookNanotime() int64 {
	_, _, bp := callerRegs()
	if pc := *p64(bp + 8); semasleep.has(pc) || suspend.has(pc) {
		enter(sysLull, pc, 0, 0)
	}
	return int64(Nanotime() + wallOff)
}

// hookIdle waits for work until a time of that clock, for ever if that is 0.
//
//go:nosplit
func hookIdle(until int64) { enter(sysIdle, uint64(until), 0, 0) }

// ownIdle (until) blocks a thread that has found nothing to do.
//
//go:nosplit
func ownIdle(c *cpu, t *thread) uint64 {
	now, until := Nanotime()+wallOff, t.f.rdi
	if until != 0 && until <= now {
		return 0
	}
	klock.lock()
	ns := uint64(idleMostNS)
	if left(t, now) { // since it has looked, or what it may not take yet
		ns = max(t.idleNS, idleMinNS)
		t.idleNS = min(2*ns, idleMostNS)
	} else {
		t.idleNS = 0
	}
	if until != 0 {
		ns = min(ns, until-now)
	}
	t.f.rax = 0
	idlers.push(t)
	block(c, t, stIdle, deadlineIn(ns))
	klock.unlock()
	return keepRAX
}

// left reports whether work waits in the queue of a thread other than t, or in that of
// all, or a timer for somebody to see to it. Preconditions: klock.
//
//go:nosplit
func left(t *thread, now uint64) bool {
	if goSched[layout.GoSchedQueue/8] != 0 {
		return true
	}
	for i := uint64(0); i < uint64(threadMade); i++ {
		n := thr(*p64(addr(unsafe.Pointer(&threadTab)) + i*8))
		if n == t || n.state == stFree || n.state == stIdle || n.class == clsIdle {
			continue
		}
		if p := n.p(); p != 0 {
			if next := nextTimer(p); queued(p) || next != 0 && next <= now {
				return true
			}
		}
	}
	return false
}

// ownLull (where) is a moment of waiting for others.
//
//go:nosplit
func ownLull(c *cpu, t *thread) uint64 {
	word := uint64(0)
	if semasleep.has(t.f.rdi) {
		if word = t.m() + layout.GoSema; full(word) {
			return 0
		}
	}
	klock.lock()
	prod(t)
	t.f.rax, t.faddr = 0, word
	spinners.push(t)
	block(c, t, stLull, deadlineIn(lullNS))
	klock.unlock()
	return keepRAX
}

// full reports whether a semaphore, the word of an m, can be taken.
//
//go:nosplit
func full(word uint64) bool { return atomic.LoadUint32((*uint32)(ptr(word))) != 0 }

// prod makes those look whom t may be waiting for. Preconditions: klock.
//
//go:nosplit
func prod(t *thread) {
	for wakeIdler() {
	}
	for i := uint64(0); i < uint64(threadMade); i++ {
		n := thr(*p64(addr(unsafe.Pointer(&threadTab)) + i*8))
		if n != t && n.state != stFree && n.class != clsIdle && n.asked() {
			nudge(n, false)
		}
	}
}

// hookTrap looks at a thread that was interrupted. Preconditions: no lock is held, t is
// current.
//
//go:nosplit
func hookTrap(c *cpu, t *thread, vec uint64) {
	switch {
	case t.class == clsIdle:
	case waiting.has(t.f.rip):
		sleepSema(c, t)
	case vec == vecTimer:
		if c.resched != 0 && t.grown < growMost {
			t.grown++
		}
		monitor(t)
	}
}

// sleepSema lets a thread sleep that waits for another one.
//
//go:nosplit
func sleepSema(c *cpu, t *thread) {
	word := t.m() + layout.GoSema
	if full(word) {
		return
	}
	klock.lock()
	wakeIdler() // t may have given its P away
	t.faddr = word
	spinners.push(t)
	block(c, t, stSpin, deadlineIn(idleMostNS))
	klock.unlock()
}

// monitor does what the stock runtime's monitor does for Ps whose threads are busy with
// something else. While there are threads without work they look for themselves, and are
// told of work that waits. Preconditions as for hookTrap.
//
//go:nosplit
func monitor(t *thread) {
	// Without the lock: most ticks find nothing to do, and the next one looks again.
	if idlers.head != 0 {
		if queued(t.p()) || goSched[layout.GoSchedQueue/8] != 0 {
			klock.lock()
			wakeIdler()
			klock.unlock()
		}
		return
	}
	now := insn.RDTSC()
	if now-lastRound <= scale(turnNS, tscPerNS) {
		return
	}
	klock.lock()
	if now-lastRound > scale(turnNS, tscPerNS) {
		lastRound = now
		for i := uint64(0); i < uint64(threadMade); i++ {
			n := thr(*p64(addr(unsafe.Pointer(&threadTab)) + i*8))
			if n.state != stFree && n.class != clsIdle {
				relieve(n, now)
			}
		}
	}
	klock.unlock()
}

var lastRound uint64 // TSC of the monitor's last round

// relieve asks n's goroutine to stop if it has had its P for long, and others need that.
// Preconditions: klock.
//
//go:nosplit
func relieve(n *thread, now uint64) {
	p := n.p()
	if p == 0 {
		return
	}
	tick := goField(p, layout.GoTick)
	if n.since == 0 || n.tick != uint32(tick) {
		n.tick, n.since = uint32(tick), now
		return
	}
	// n may run, so g is read once: a scheduler's stack that is asked to stop seems full,
	// and the runtime ends; a goroutine that has left n meanwhile takes no harm.
	g := n.g()
	if now-n.since < scale(turnNS, tscPerNS) || system(g) {
		return
	}
	next := nextTimer(p)
	if queued(p) || next != 0 && next <= Nanotime()+wallOff || goSched[layout.GoSchedQueue/8] != 0 {
		n.since = now
		userStore64(g+guardOffset, stackPreempt)
		nudge(n, false)
	}
}

// goSched is the runtime's scheduler.
//
//go:linkname goSched runtime.sched
var goSched [layout.GoSchedQueue/8 + 1]uint64

// hookLeave wakes those whose wait is over. It comes at the end of each call, interrupt
// and exception.
//
//go:nosplit
func hookLeave() {
	if spinners.head == 0 || !anyFull() {
		return
	}
	klock.lock()
	for a := spinners.head; a != 0; {
		t := thr(a)
		a = t.next
		if t.faddr != 0 && full(t.faddr) {
			unblock(t, 0, false)
		}
	}
	klock.unlock()
}

// anyFull reports whether the wait of one of spinners may be over. It looks without the
// lock, at a list that may change meanwhile, and overlooks nobody for good:
//
//   - A word that was set before this is seen here, or by who makes its thread sleep
//     meanwhile: that one leaves the layer after that and looks as well. So both have
//     what they stored before the barrier seen by the other, or see it themselves.
//   - If a thread at which this look is goes to another list, the rest of spinners may be
//     overlooked. But who has taken it out, later than the word was set, looks when it
//     leaves.
//
// Threads are never unmapped, and what faddr was before is at worst a reason to look
// with the lock.
//
//go:nosplit
func anyFull() bool {
	var barrier uint32
	atomic.AddUint32(&barrier, 0)
	a := spinners.head
	for range maxThread {
		if a == 0 {
			return false
		}
		t := thr(a)
		if t.faddr != 0 && full(t.faddr) {
			return true
		}
		a = t.next
	}
	return true
}

// hookBlock wakes a thread without work if t, which is about to block and keeps its P,
// leaves some, or a timer that nobody else knows of. Preconditions: klock.
//
//go:nosplit
func hookBlock(t *thread) {
	t.grown = 0
	if idlers.head == 0 || t.state >= stIdle {
		return
	}
	p := t.p()
	next := nextTimer(p)
	if queued(p) || next != 0 && next != t.timer {
		wakeIdler()
	}
	t.timer = next
}

// nextTimer is when a P needs somebody for its timers, 0 for never.
//
//go:nosplit
func nextTimer(p uint64) uint64 {
	heap, modified := goField(p, layout.GoTimers), goField(p, layout.GoTimers+8)
	if heap == 0 || modified != 0 && modified < heap {
		return modified
	}
	return heap
}

// queued reports whether goroutines wait in the queue of a P, if there is one.
//
//go:nosplit
func queued(p uint64) bool {
	q := goField(p, layout.GoRunHead)
	return uint32(q) != uint32(q>>32) || goField(p, layout.GoRunNext) != 0
}

// hookSlice ends soon the slice of a thread that is let run to see whether its wait has
// an end by time: if it spins on, it is found. The slices of one that computes and
// keeps nobody waiting become longer, since in a partition each end is two exits.
//
//go:nosplit
func hookSlice(t *thread, now, end uint64) uint64 {
	switch {
	case t.probe != 0:
		t.probe = 0
		return now + scale(probeNS, tscPerNS)
	case t.class == clsOrdinary && t.grown != 0 && runq.head == 0:
		if c := self(); c.runner == 0 || thr(c.runner).state != stReady {
			return now + sliceOrdinary<<t.grown
		}
	case t.class == clsRunner && end == 0:
		return now + scale(runnerNS, tscPerNS)
	}
	return end
}

// hookLong reports whether the slice of c is longer than it may be now that somebody waits
// for its end. Preconditions: own CPU.
//
//go:nosplit
func hookLong(c *cpu) bool { return int64(c.sliceEnd-insn.RDTSC()-sliceOrdinary) > 0 }

// wakeIdler lets a thread without work look for some, and reports whether there is
// one. One that spins, as the runtime calls it, is the better choice: the others look
// into their own queues only while enough of those are about. Preconditions: klock.
//
//go:nosplit
func wakeIdler() bool {
	if idlers.head == 0 {
		return false
	}
	t := thr(idlers.head)
	for a := idlers.head; a != 0; a = thr(a).next {
		if goField(thr(a).m(), layout.GoSpinning)&0xff != 0 {
			t = thr(a)
			break
		}
	}
	t.idleNS = 0
	unblock(t, 0, false)
	return true
}

// hookUnblock takes t out of the list that its state means.
//
//go:nosplit
func hookUnblock(t *thread) bool {
	switch t.state {
	case stIdle:
		idlers.remove(t)
	case stLull:
		spinners.remove(t)
	case stSpin:
		spinners.remove(t)
		if t.probe = 0; !full(t.faddr) {
			t.probe = 1
		}
	default:
		return false
	}
	return true
}
