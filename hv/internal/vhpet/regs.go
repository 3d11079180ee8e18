// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vhpet

import "ringo/hv/abi"

// Registers of 64 bits, by offset/8 (IA-PC HPET Specification, "Register Overview").
const (
	regCaps    = 0x00 >> 3
	regConf    = 0x10 >> 3
	regStatus  = 0x20 >> 3
	regCounter = 0xf0 >> 3
	regTimer   = 0x100 >> 3 // of each timer: configuration, comparator, message (not offered)
	timerRegs  = 0x20 >> 3
)

// Bits of the general configuration.
const (
	confRun    = 1 << 0
	confLegacy = 1 << 1
)

// Bits of a timer's configuration and capabilities ("Timer N Configuration and
// Capabilities Register").
const (
	timerLevel      = 1 << 1
	timerEnable     = 1 << 2
	timerPeriodic   = 1 << 3
	timerCanPeriod  = 1 << 4
	timerIs64       = 1 << 5
	timerSet        = 1 << 6 // the next write of a periodic comparator sets its value
	timer32         = 1 << 8
	timerRouteShift = 9

	timerWritable = timerLevel | timerEnable | timerPeriodic | timerSet | timer32 | 31<<timerRouteShift
	timerCaps     = timerCanPeriod | timerIs64 | Routes<<32
)

// caps is the capability register: its upper half is the period in femtoseconds.
const caps = abi.HPETID | (1_000_000_000_000_000+abi.HPETHz/2)/abi.HPETHz<<32

// Read answers 32-bit and 64-bit reads; the specification knows no others.
func (h *HPET) Read(off uint64, size uint8, now uint64) uint64 {
	if size < 4 || off&uint64(size-1) != 0 {
		return 0
	}
	h.mu.Lock()
	v := h.register(off>>3, now) >> (off & 4 * 8)
	h.mu.Unlock()
	if size == 4 {
		v &= 0xffff_ffff
	}
	return v
}

// register returns register r.
func (h *HPET) register(r, now uint64) uint64 {
	switch r {
	case regCaps:
		return caps
	case regConf:
		return h.conf
	case regStatus:
		return h.status
	case regCounter:
		return h.counter(now)
	}
	t := h.which(r)
	switch {
	case t == nil:
	case r%timerRegs == 0:
		return t.conf | timerCaps
	case r%timerRegs == 1:
		return t.at
	}
	return 0
}

// which returns the timer that register r belongs to, nil if none.
func (h *HPET) which(r uint64) *timer {
	if i := (r - regTimer) / timerRegs; i < Timers {
		return &h.timer[i]
	}
	return nil
}

// Write answers 32-bit and 64-bit writes.
func (h *HPET) Write(off uint64, size uint8, val, now uint64) {
	if size < 4 || off&uint64(size-1) != 0 {
		return
	}
	mask := ^uint64(0)
	if size == 4 {
		mask = 0xffff_ffff << (off & 4 * 8)
		val = val << (off & 4 * 8) & mask
	}
	r := off >> 3
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r {
	case regConf:
		h.configure(h.conf&^mask|val, now)
	case regStatus:
		h.status &^= val
		for i := range h.timer {
			if val>>i&1 != 0 {
				h.show(i)
			}
		}
	case regCounter:
		if h.conf&confRun == 0 {
			h.held = h.held&^mask | val
		}
	default:
		h.writeTimer(r, mask, val, now)
	}
	h.arm()
}

// configure writes the general configuration.
func (h *HPET) configure(val, now uint64) {
	val &= confRun | confLegacy
	was := h.conf
	h.held = h.counter(now)
	if was&confRun == 0 || now > h.start { // time does not go back
		h.start = now
	}
	if replace := (was ^ val) & confLegacy; replace != 0 {
		for i := range h.timer {
			h.drive(i, false)
		}
		h.wires.Replace(val&confLegacy != 0)
	}
	h.conf = val
	for i := range h.timer {
		if (was^val)&confLegacy != 0 {
			h.show(i)
		}
		h.plan(i, now)
	}
}

// writeTimer writes the bits of mask of a register of a timer.
func (h *HPET) writeTimer(r, mask, val, now uint64) {
	t := h.which(r)
	if t == nil {
		return
	}
	i := int((r - regTimer) / timerRegs)
	switch r % timerRegs {
	case 0:
		h.drive(i, false)
		t.conf = (t.conf&^mask | val) & timerWritable
		if t.conf&timerLevel == 0 {
			h.status &^= 1 << i
		}
		t.at &= t.mask()
		t.period &= t.mask()
		h.show(i)
	case 1:
		if t.conf&timerPeriodic == 0 || t.conf&timerSet != 0 {
			t.at = (t.at&^mask | val) & t.mask()
		}
		if t.conf&timerPeriodic != 0 {
			t.period = (t.period&^mask | val) & t.mask()
		}
		t.conf &^= timerSet
	default:
		return
	}
	h.plan(i, now)
}
