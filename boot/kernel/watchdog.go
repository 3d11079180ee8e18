// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/bits"
	"sync/atomic"

	"ringo/hv/insn"
)

// The watchdog. Every CPU looks up once in a period, in its timer interrupt. It
// notes whether the CPU before it has looked up since, which one does not that is
// stuck with interrupts off, and whether its own runner has got anywhere. Looks are
// counted, not time: when the whole machine stands still, as an emulated one does
// when its host is busy, nobody looks.

// watchMost is how many looks in a row find no progress before the world ends.
const watchMost = 10

// watchSpins is how many tries for a spinlock there are at least before its holder is
// called stuck, which takes as long as watchMost looks too. A CPU that waits for a
// lock does not look.
const watchSpins = 1 << 22

var watchEvery uint64 // TSC ticks of a period; 0: off. Atomic

// watched is what a CPU needs for it, written by that CPU only.
type watched struct {
	at       uint64 // TSC of the next look
	looks    uint64 // atomic
	progress uint64 // address of the word of the runner that changes; atomic
	other    seen   // of the CPU before
	runner   seen
}

// seen is a counter as it was at the last look, and how many looks ago it changed.
type seen struct{ value, same uint64 }

// stale notes value and reports whether it has been the same for too long.
//
//go:nosplit
func (s *seen) stale(value uint64) bool {
	if value != s.value {
		s.value, s.same = value, 0
		return false
	}
	s.same++
	return s.same >= watchMost
}

// StartWatchdog makes the CPUs that run watch each other, and their runners (see
// Progress): who gets nowhere for ten periods, in nanoseconds each, ends the world with a report of all
// CPUs. With one CPU a loop with interrupts off is not seen.
func StartWatchdog(period uint64) {
	if booted == 0 {
		return
	}
	atomic.StoreUint64(&watchEvery, scale(period, tscPerNS))
	for i := range NumCPU() {
		SendIPI(i, vecResched) // which sets its timer
	}
}

// Progress names the word that changes when the runner of a CPU gets somewhere, for
// the watchdog. A runner in Wait need not.
//
// Preconditions: the word is never freed.
func Progress(cpu int, word *uint64) {
	if booted != 0 && uint(cpu) < maxCPU && isOnline(uint32(cpu)) {
		atomic.StoreUint64(&cpuAt(uint32(cpu)).watch.progress, addrOf(word))
	}
}

// watchNext returns when c looks next, 0 for never.
//
//go:nosplit
func watchNext(c *cpu, now uint64) uint64 {
	every := atomic.LoadUint64(&watchEvery)
	if every != 0 && c.watch.at == 0 {
		c.watch.at = now + every
	}
	return c.watch.at
}

// look is c's look at itself and the CPU before it. No lock is held: who holds it
// may be stuck.
//
//go:nosplit
func look(c *cpu, now uint64) {
	w := &c.watch
	if w.at == 0 || now < w.at {
		return
	}
	w.at = now + atomic.LoadUint64(&watchEvery)
	atomic.AddUint64(&w.looks, 1)
	// Bits of CPUs below this one; of all, if there are none.
	m := atomicOnline() & (1<<(c.id&63) - 1)
	if m == 0 {
		m = atomicOnline()
	}
	o := cpuAt(uint32(63 - bits.LeadingZeros64(m)))
	if o != c && w.other.stale(atomic.LoadUint64(&o.watch.looks)) {
		bark(o, " takes no interrupts")
	}
	if runnerStuck(c) {
		bark(c, " has a runner that gets nowhere")
	}
}

//go:nosplit
func runnerStuck(c *cpu) bool {
	w := &c.watch
	word := atomic.LoadUint64(&w.progress)
	if word == 0 || c.runner == 0 {
		return false
	}
	if thr(c.runner).state == stWait {
		w.runner.same = 0
		return false
	}
	v, ok := userLoad64(word)
	return ok && w.runner.stale(v)
}

// lockStuck reports whether a CPU that has wanted a spinlock since the TSC was start
// has waited for too long.
//
//go:nosplit
func lockStuck(start uint64) bool {
	every := atomic.LoadUint64(&watchEvery)
	return every != 0 && insn.RDTSC()-start > watchMost*every
}

// bark ends the world because of o.
//
//go:nosplit
func bark(o *cpu, what string) {
	c := self()
	t := thr(c.cur)
	seizeFloor(&t.f)
	say("\nringo: FATAL: watchdog: CPU ")
	sayDec(uint64(o.id))
	say(what)
	say("\n")
	sayCPU(uint64(c.id), t.f.rip, t.f.rsp, t.f.rflags)
	sayStack(t.f.rip, t.f.rsp)
	if o == c && c.runner != c.cur {
		r := thr(c.runner)
		say("  its runner:\n")
		sayStack(r.f.rip, r.f.rsp)
	}
	dumpOthers()
	endWorld(true)
}
