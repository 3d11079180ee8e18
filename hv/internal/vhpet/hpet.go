// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vhpet is the high-precision event timer of a PC (IA-PC HPET
// Specification 1.0a): a counter of 64 bits and three comparators, each of which can
// be periodic and interrupts through the I/O APIC, or in place of the 8254 and the
// CMOS clock (legacy replacement). Windows and the BSDs want one.
//
// The counter is a function of time, computed when somebody looks. An interrupt
// comes at the first count at which a comparator matches, later than the write that
// set it.
//
//	if d, ok := hpet.Deadline(); ok && now >= d { hpet.Tick(now) }
//
// What a hostile guest can do here:
//
//	period of 0 or of few counts     -> none, or interrupts at least minGapNS apart;
//	                                    missed ones are one interrupt
//	any register, size, offset       -> reads 0, writes ignored
//	a pin that is another's          -> only the offered ones are driven
//	a level interrupt left asserted  -> its own storm, one per EOI
package vhpet

import (
	"math"
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

const (
	// Timers is the number of comparators.
	Timers = 3
	// minGapNS bounds how often a periodic comparator can make hv work.
	minGapNS = 200_000
	never    = math.MaxUint64
)

// Wires is where the interrupts go. Methods neither block nor allocate.
type Wires interface {
	// Pin drives input n of the I/O APIC, one of [Routes].
	Pin(n uint32, level bool)
	// Legacy drives the interrupt line of the 8254 (0) or of the CMOS clock (1), while
	// they are replaced.
	Legacy(n int, level bool)
	// Replace takes these lines from their chips, or gives them back.
	Replace(on bool)
}

// Routes has a bit for each input of the I/O APIC that comparators may use.
const Routes = 0xf << 20

// HPET is one block of timers; it is a bus.Device. Methods may be called from any CPU.
type HPET struct {
	rate  bus.Rate // from the host's TSC to counts
	gap   uint64   // minGapNS in ticks of the TSC
	wires Wires
	kick  bus.Kicker
	next  atomic.Uint64 // deadline; never = none

	// mu comes before the locks of the interrupt controllers behind wires.
	mu      sync.Mutex
	conf    uint64 // general configuration
	status  uint64 // a bit for each level-triggered interrupt
	start   uint64 // TSC since when the counter runs
	held    uint64 // the counter then, or while it stands
	timer   [Timers]timer
	pending [Timers]uint64 // when they are due; never = not
}

// timer is a comparator.
type timer struct {
	conf   uint64 // what of it can be written
	at     uint64 // the counter's value that matches
	period uint64
	fired  uint64 // TSC
}

// New makes a block that stands still. hz is the rate of the host's TSC, at least
// [MinHz]; kick hears when the deadline moves closer.
func New(hz uint64, w Wires, kick bus.Kicker) *HPET {
	hz = max(hz, MinHz)
	h := &HPET{rate: bus.NewRate(abi.HPETHz, hz), gap: hz / (1e9 / minGapNS), wires: w, kick: kick}
	for i := range h.pending {
		h.pending[i] = never
	}
	h.next.Store(never)
	return h
}

// MinHz is the slowest clock that the arithmetic supports: faster than the counter.
const MinHz = 15_000_000

// Deadline returns the host's TSC at which Tick has something to do. ok is false when
// there is no such time.
func (h *HPET) Deadline() (tsc uint64, ok bool) {
	d := h.next.Load()
	return d, d != never
}

// Tick interrupts for the comparators that are due at now, the host's TSC.
func (h *HPET) Tick(now uint64) {
	if now < h.next.Load() {
		return
	}
	h.mu.Lock()
	for i := range h.timer {
		if d := h.pending[i]; d != never && now >= d {
			h.fire(i, now)
			h.plan(i, now)
		}
	}
	h.arm()
	h.mu.Unlock()
}

// counter is the main counter at now.
func (h *HPET) counter(now uint64) uint64 {
	if h.conf&confRun == 0 || now <= h.start { // times come from several CPUs
		return h.held
	}
	return h.held + h.rate.Counts(now-h.start)
}

// fire is a match of comparator i.
func (h *HPET) fire(i int, now uint64) {
	t := &h.timer[i]
	t.fired = now
	if t.periodic() {
		behind := (h.counter(now) - t.at) & t.mask()
		t.at = (t.at + (behind/t.period+1)*t.period) & t.mask()
	}
	switch {
	case t.conf&timerLevel != 0:
		h.status |= 1 << i
		h.show(i)
	case t.conf&timerEnable == 0:
	case h.replaces(i): // the 8259A wants the line high until it is acknowledged
		h.wires.Legacy(i, false)
		h.wires.Legacy(i, true)
	default: // the line is shared, and the I/O APIC keeps the edge
		h.drive(i, true)
		h.drive(i, false)
	}
}

// show drives the line of comparator i as its status says, if it is level-triggered, and
// low if not. It follows a change of what decides on that.
func (h *HPET) show(i int) {
	t := &h.timer[i]
	const on = timerLevel | timerEnable
	h.drive(i, t.conf&on == on && h.status>>i&1 != 0)
}

// replaces reports whether comparator i has the place of a legacy device.
func (h *HPET) replaces(i int) bool { return h.conf&confLegacy != 0 && i < 2 }

func (h *HPET) drive(i int, level bool) {
	pin := uint32(h.timer[i].conf >> timerRouteShift & 31)
	switch {
	case h.replaces(i):
		h.wires.Legacy(i, level)
	case Routes>>pin&1 != 0:
		h.wires.Pin(pin, level)
	}
}

// plan computes when comparator i matches next, later than now.
func (h *HPET) plan(i int, now uint64) {
	t := &h.timer[i]
	h.pending[i] = never
	if h.conf&confRun == 0 || t.conf&(timerEnable|timerLevel) == 0 {
		return
	}
	count := h.counter(now)
	ahead := (t.at-count-1)&t.mask() + 1 // 0 is 2^64
	from := count - h.held
	if ahead == 0 || from+ahead < from {
		return
	}
	span := h.rate.Span(from + ahead)
	if span >= never-h.start {
		return
	}
	at := h.start + span
	if t.periodic() {
		at = max(at, t.fired+h.gap)
	}
	h.pending[i] = at
}

// arm makes the earliest comparator's time the deadline.
func (h *HPET) arm() {
	next := uint64(never)
	for _, d := range h.pending {
		next = min(next, d)
	}
	if next < h.next.Swap(next) {
		h.kick.Kick()
	}
}

// periodic reports whether t matches more than once. Without a period it does not.
func (t *timer) periodic() bool { return t.conf&timerPeriodic != 0 && t.period != 0 }

// mask is the bits of the counter that t compares.
func (t *timer) mask() uint64 {
	if t.conf&timer32 != 0 {
		return math.MaxUint32
	}
	return math.MaxUint64
}
