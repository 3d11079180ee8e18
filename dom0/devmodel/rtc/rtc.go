// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package rtc is a model of the MC146818 real-time clock and its CMOS memory as
// a PC has them at ports 0x70 and 0x71, interrupt line 8 (Motorola MC146818A
// data sheet; the century byte is at 0x32, as the ACPI FADT names it).
//
// The guest's time is the host's plus an offset that the guest changes by
// setting the clock. "Update in progress" is seen in the last 244 us of a second
// only, so that a guest which waits for it to clear makes a handful of accesses
// rather than tens of thousands. Alarm, periodic and update-ended flags are
// computed from the time when they are looked at; only an enabled interrupt that
// is not yet pending arms the timer.
//
// Accesses cost one uncontended lock and do not allocate.
//
// # Threats
//
//	guest does                          model does
//	----------------------------------  -----------------------------------------
//	asks for interrupts at 8192 Hz      at most 1024 a second are delivered, and
//	                                    none before the last was acknowledged
//	sets an impossible date             it is carried over (month 13 is January)
//	sets a date far from today          the years are 1970 to 2199; the timer is
//	                                    never set for the past
//	sets an alarm that never matches    the search for the next match is bounded
//	sets the clock                      its own offset changes; the host's and
//	                                    other guests' time does not
//	writes CMOS memory                  114 bytes of its own, lost when it ends
//	uses the NMI bit of the index       ignored: NMIs of a guest are the
//	                                    hypervisor's business
package rtc

import (
	"sync"

	"ringo/hv/bus"
)

// Where a PC has its clock.
const (
	Base = 0x70 // first port: index, then data
	Size = 2    // ports
	GSI  = 8    // interrupt line
)

// Indices of CMOS memory (MC146818A data sheet, "Address Map").
const (
	regSec      = 0
	regSecAlarm = 1
	regMin      = 2
	regMinAlarm = 3
	regHour     = 4
	regHrAlarm  = 5
	regWeekday  = 6
	regDay      = 7
	regMonth    = 8
	regYear     = 9
	regA        = 10
	regB        = 11
	regC        = 12
	regD        = 13
	regCentury  = 0x32
	numRegs     = 128
)

// Bits of registers A to D.
const (
	aUIP      = 0x80
	aDivider  = 0x70 // 010: the oscillator of a PC, counting
	aRunning  = 0x20
	aRate     = 0x0f
	bSet      = 0x80 // updates are stopped
	bPeriodic = 0x40
	bAlarm    = 0x20
	bUpdate   = 0x10
	bBinary   = 0x04
	b24h      = 0x02
	cIRQ      = 0x80
	cFlags    = 0x70 // as the enable bits of register B
	dValid    = 0x80
)

const (
	second     = 1_000_000_000 // ns
	updateTime = 244_000       // ns of a second in which UIP is set
	minPeriod  = second / 1024
	minDelay   = 100_000 // ns from an access to the interrupt it asked for, at least
)

// RTC is a clock. Its methods are safe for concurrent use.
type RTC struct {
	now   func() int64
	line  bus.Line
	timer bus.Timer

	// mu guards what follows. Line.Set and Timer.Set are called under it.
	mu     sync.Mutex
	index  byte
	reg    [numRegs]byte // time registers are valid for cached, or while held
	offset int64         // guest time less host time, ns; bounded by host and within
	cached int64         // second that the time registers hold
	seen   int64         // guest time up to which the flags are computed
	armed  int64         // host time for which the timer is set; 0: it is not
	level  bool
}

// New returns a clock that shows now, the host's time in ns since 1970, UTC.
// timer, in ns since 1970, calls [RTC.Tick]; it may be nil: flags are then set without interrupts of their own accord.
func New(now func() int64, line bus.Line, timer bus.Timer) *RTC {
	r := &RTC{now: now, line: line, timer: timer}
	r.reg[regA] = aRunning | 6
	r.reg[regB] = b24h
	r.reg[regD] = dValid
	r.seen = r.time()
	r.cached = -1
	return r
}

// Read answers a read of size bytes at port Base+off.
func (r *RTC) Read(off uint64, size uint8, _ uint64) uint64 {
	v := ^uint64(0) >> (64 - 8*uint(min(max(size, 1), 8)))
	if off != 1 {
		return v // the index cannot be read
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return v&^0xff | uint64(r.read(r.index))
}

// Write answers a write of size bytes at port Base+off.
func (r *RTC) Write(off uint64, size uint8, val, _ uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if off == 0 {
		r.index = byte(val) & (numRegs - 1)
		if size > 1 {
			off, val = 1, val>>8
		}
	}
	if off == 1 {
		r.write(r.index, byte(val))
	}
}

// Tick is what the timer calls.
func (r *RTC) Tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = 0
	r.update()
}

// Stop ends interrupts for good: the domain is gone.
func (r *RTC) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Set(0)
		r.timer = nil
	}
}

// host returns the host's time in ns since 1970.
func (r *RTC) host() int64 { return max(r.now(), 0) }

// at returns the guest's time in ns since 1970 at a time of the host.
func (r *RTC) at(host int64) int64 { return within(add(host, r.offset)) }

// time returns the guest's time in ns since 1970.
func (r *RTC) time() int64 { return r.at(r.host()) }

// counting reports whether the time registers follow the time.
func (r *RTC) counting() bool {
	return r.reg[regB]&bSet == 0 && r.reg[regA]&aDivider == aRunning
}

func (r *RTC) read(i byte) byte {
	switch i {
	case regSec, regMin, regHour, regWeekday, regDay, regMonth, regYear, regCentury:
		if r.counting() {
			r.load(floor(r.time(), second))
		}
	case regA:
		if t := r.time(); r.counting() && t-floor(t, second)*second >= second-updateTime {
			return r.reg[regA] | aUIP
		}
	case regC:
		r.update()
		v := r.reg[regC]
		r.reg[regC] = 0
		r.update()
		return v
	}
	return r.reg[i]
}

func (r *RTC) write(i, v byte) {
	switch i {
	case regSec, regMin, regHour, regWeekday, regDay, regMonth, regYear, regCentury:
		if !r.counting() {
			r.reg[i] = v
			return
		}
		r.load(floor(r.time(), second))
		r.reg[i] = v
		r.store()
	case regA, regB:
		r.update()
		was := r.counting()
		if was {
			r.load(floor(r.time(), second))
		}
		if i == regA {
			v &^= aUIP
		} else if v&bSet != 0 {
			v &^= bUpdate // the data sheet: SET clears UIE
		}
		format := (r.reg[regB] ^ v) & (bBinary | b24h)
		r.reg[i] = v
		if i == regB && format != 0 && was {
			r.cached = -1 // shown anew in the other format
		}
		if !was && r.counting() {
			r.store()
		}
		r.seen = r.time()
		r.update()
	case regC, regD:
	case regSecAlarm, regMinAlarm, regHrAlarm:
		r.update()
		r.reg[i] = v
		r.update()
	default:
		r.reg[i] = v
	}
}
