// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"sync/atomic"

	"ringo/hv/bus"
)

// Set is the local APICs of a partition: the bus.Router of its I/O APIC, its
// message-signalled interrupts and its IPIs.
type Set struct {
	cpus []LAPIC
	byID [maxID]uint8 // index in cpus and 1, 0 = none
	eoi  EOIHandler
	// turn rotates lowest-priority delivery among the CPUs addressed.
	turn atomic.Uint32
}

// maxID bounds APIC IDs: with 8 bits, 0xff stands for all, and no machine here needs
// more than half of them. It is a power of two.
const maxID = 128

// NewSet makes one local APIC per sink, with APIC IDs from 0, in the state
// after power-up. tscHz is the rate of the TSC, and of the timers' bus clock. It
// allocates.
func NewSet(tscHz uint64, sinks []Sink) *Set {
	s := &Set{cpus: make([]LAPIC, len(sinks))}
	for i := range s.cpus {
		l := &s.cpus[i]
		l.base, l.set, l.sink = BasePage, s, sinks[i]
		s.Number(i, uint32(i))
		if i == 0 {
			l.base |= baseBSP
		}
		l.timer.minPeriod = tscHz / (1e9 / minPeriodNS)
		l.Reset()
	}
	return s
}

// Number gives local APIC i another APIC ID.
//
// Preconditions: id is below 128, and not the new one of another; no vCPU has run yet.
func (s *Set) Number(i int, id uint32) {
	l, n := &s.cpus[i], uint8(i+1)
	if s.byID[l.id] == n {
		s.byID[l.id] = 0
	}
	l.id, s.byID[id] = id, n
}

// Find returns which local APIC has an APIC ID.
func (s *Set) Find(id uint32) (i int, ok bool) {
	if id >= maxID || s.byID[id] == 0 {
		return 0, false
	}
	return int(s.byID[id]) - 1, true
}

// CPU returns the local APIC of vCPU i.
func (s *Set) CPU(i int) *LAPIC { return &s.cpus[i] }

// Len returns the number of local APICs.
func (s *Set) Len() int { return len(s.cpus) }

// OnEOI names who hears of the end of level-triggered interrupts.
//
// Preconditions: no vCPU has run yet.
func (s *Set) OnEOI(h EOIHandler) { s.eoi = h }

// Deliver routes m to the local APICs it addresses. It may be called from any
// CPU. It reports whether one of them took it.
func (s *Set) Deliver(m bus.Message) (taken bool) {
	if m.Mode == bus.LowestPriority {
		return s.toLowest(m)
	}
	if !m.Logical {
		if m.Dest == bus.Broadcast {
			return s.toAll(m, nil)
		}
		i, ok := s.Find(m.Dest)
		return ok && s.cpus[i].take(m)
	}
	for i := range s.cpus {
		if l := &s.cpus[i]; l.matches(m.Dest) && l.take(m) {
			taken = true
		}
	}
	return taken
}

// toAll delivers m to every local APIC but not.
func (s *Set) toAll(m bus.Message, not *LAPIC) (taken bool) {
	for i := range s.cpus {
		if l := &s.cpus[i]; l != not && l.take(m) {
			taken = true
		}
	}
	return taken
}

// toLowest delivers m to one of the local APICs it addresses. Arbitration by
// priority is specific to each processor model (SDM Vol. 3, "Lowest Priority
// Delivery Mode"); this one takes turns, which spreads the load and needs no
// knowledge of what other vCPUs do.
func (s *Set) toLowest(m bus.Message) (taken bool) {
	m.Mode = bus.Fixed
	n := uint32(len(s.cpus))
	if n == 0 {
		return false
	}
	i := s.turn.Add(1) % n
	for range n {
		l := &s.cpus[i]
		hit := m.Dest == bus.Broadcast || m.Dest == l.id
		if m.Logical {
			hit = l.matches(m.Dest)
		}
		if hit && l.take(m) {
			return true
		}
		if i++; i == n {
			i = 0
		}
	}
	return false
}

// matches reports whether logical destination d addresses l (SDM Vol. 3,
// "Logical Destination Mode in Local APIC" and "Logical Destination Mode in
// x2APIC Mode").
func (l *LAPIC) matches(d uint32) bool {
	if l.mode.Load()&modeX2 != 0 {
		if d == bus.Broadcast {
			return true
		}
		own := logicalX2(l.id)
		return d>>16 == own>>16 && d&own&0xffff != 0
	}
	d &= 0xff
	own := l.ldr.Load() >> 24
	if l.dfr.Load()>>28 == 0xf { // flat model
		return d&own != 0
	}
	if d>>4 != 0xf && d>>4 != own>>4 {
		return false
	}
	return d&own&0xf != 0
}

// take delivers m to l, whoever it addresses.
func (l *LAPIC) take(m bus.Message) bool {
	mode := l.mode.Load()
	if mode&modeHW == 0 {
		return false
	}
	switch m.Mode {
	case bus.Fixed, bus.LowestPriority:
		if mode&modeSW == 0 {
			return false
		}
		if l.SetIRR(m.Vector, m.Level) {
			l.sink.Kick()
		}
	case bus.NMI:
		l.sink.NMI()
	case bus.INIT:
		l.sink.Init()
	case bus.Startup:
		l.sink.Startup(m.Vector)
	default:
		return false
	}
	return true
}
