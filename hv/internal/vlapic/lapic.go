// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vlapic is the virtual local APIC of every vCPU: xAPIC (memory-mapped)
// and x2APIC (MSRs), its timer, and the delivery of interrupt messages among a
// partition's vCPUs (SDM Vol. 3, "Advanced Programmable Interrupt Controller";
// APM Vol. 2, "Advanced Programmable Interrupt Controller" and "x2APIC").
//
// # Who may call what
//
// A [LAPIC] has one owner: the thread that runs the vCPU, or whoever holds the
// vCPU while it does not run. Methods are for the owner unless they say "any
// CPU". Other CPUs only post: they set bits of IRR atomically and learn whether
// the owner must be kicked. No lock is taken anywhere in this package.
//
// # The run loop
//
//	before entry:     if d, ok := Deadline(); ok && now >= d { Tick(now) }
//	                  if c, ok := SyncCR8(cr8); ok { set CR8 }
//	                  if v, ok := Pending(); ok && inject(v) { Ack(v) }
//	                  have CR8 watched below Threshold()
//	                  Offer()
//	                  program the host timer for Deadline()
//
// With a CPU that delivers interrupts itself (Virtual) it is Load instead of the
// four lines in the middle.
//
// # What a hostile guest can do
//
//	illegal registers, bits, vectors     -> #GP, or a bit in its own ESR
//	timer with a period of one tick      -> one interrupt per Tick, deadlines at
//	                                        least minPeriodNS apart
//	TSC deadline in the past, at 2^64-1  -> fires at the next Tick, or never
//	floods of IPIs, broadcasts, to CPUs  -> one bit each, bounded by the number
//	that do not exist                       of vCPUs of its own partition
//	error vector that is itself illegal  -> recorded once, no recursion
//	EOI without an interrupt in service  -> nothing
//	PV EOI cleared when it was not set   -> nothing: hv looks where it set it only
//	APIC base moved, impossible modes    -> #GP
package vlapic

import (
	"math/bits"
	"sync/atomic"

	"ringo/hv/bus"
	"ringo/hv/x86"
)

// Sink is what a local APIC asks of the vCPU it belongs to. Methods may be
// called from any CPU; they neither block nor allocate.
type Sink interface {
	// Kick makes the vCPU's runner call Pending soon: it wakes the vCPU when it
	// is halted and makes it exit when it runs.
	Kick()
	// NMI, Init and Startup deliver the interrupt of that name, and kick.
	NMI()
	Init()
	Startup(page uint8) // entry point is page << 12
}

// EOIHandler hears of the end of level-triggered interrupts: the I/O APIC.
type EOIHandler interface{ EOI(vector uint8) }

// vectors is a set of interrupt vectors; shared is one that several CPUs edit.
type vectors [4]uint64

type shared [4]atomic.Uint64

func (s *shared) test(v uint8) bool { return s[v>>6].Load()&(1<<(v&63)) != 0 }
func (s *shared) set(v uint8) bool  { return s[v>>6].Or(1<<(v&63))&(1<<(v&63)) == 0 }
func (s *shared) clear(v uint8)     { s[v>>6].And(^(uint64(1) << (v & 63))) }

// highest returns the highest vector of s, 0 when s is empty: vectors below 16
// are never in it.
func (s *shared) highest() uint8 {
	for i := 3; i >= 0; i-- {
		if w := s[i].Load(); w != 0 {
			return uint8(i<<6 + bits.Len64(w) - 1)
		}
	}
	return 0
}

func (s *vectors) highest() uint8 {
	for i := 3; i >= 0; i-- {
		if w := s[i]; w != 0 {
			return uint8(i<<6 + bits.Len64(w) - 1)
		}
	}
	return 0
}

// Bits of LAPIC.mode. They are what other CPUs must know to deliver.
const (
	modeSW = 1 << 0   // spurious-interrupt register, APIC software enable
	modeX2 = baseEXTD // IA32_APIC_BASE.EXTD
	modeHW = baseEN   // IA32_APIC_BASE.EN
)

// LAPIC is one virtual local APIC. Make them with [NewSet].
type LAPIC struct {
	// Shared with other CPUs.
	irr    shared
	tmr    shared
	posted atomic.Uint32 // IRR has changed since the owner looked
	turned atomic.Uint32 // TMR has changed since the page got it
	mode   atomic.Uint32
	ldr    atomic.Uint32 // xAPIC format, bits 31:24
	dfr    atomic.Uint32
	errs   atomic.Uint32 // errors since the last write to ESR
	pins   atomic.Uint32 // levels of LINT0 (bit 0) and LINT1 (bit 1)
	lvt    [lvtCount]atomic.Uint32

	// The owner's.
	isr    vectors
	isrMax uint8 // highest of isr, 0 = none
	irrMax uint8 // highest of irr when posted was last clear, 0 = none
	tpr    uint8
	ppr    uint8
	id     uint32
	base   uint32 // what of IA32_APIC_BASE does not change
	svr    uint32
	esr    uint32
	icr    uint64
	timer  timer

	// A CPU that keeps part of this while the guest runs, see hardware.go.
	hw    Hardware // nil: none
	page  *x86.APICPage
	away  bool // TPR, PPR, ISR and IRR are in the page
	shown bool // the page has the registers of show

	// A guest that ends interrupts without exits, see word.go.
	word    Word // nil: none
	offered bool // it is set, unless the guest has cleared it

	tprWritten bool  // since the last SyncCR8
	threshold  uint8 // what Threshold returned last

	set  *Set
	sink Sink
}

// ID returns the APIC ID.
func (l *LAPIC) ID() uint32 { return l.id }

// Reset brings l into the state after power-up: xAPIC mode, software disabled
// (SDM Vol. 3, "Local APIC State After Power-Up or Reset").
func (l *LAPIC) Reset() {
	l.mode.Store(modeHW)
	l.initState()
	l.tprWritten = false // a reset of the CPU comes along
}

// Init brings l into the state after an INIT: IA32_APIC_BASE and the ID stay
// (SDM Vol. 3, "Local APIC State After an INIT Reset"). The reset of the vCPU
// that comes along has cleared its TPR threshold. The guest's word for PV EOI is
// forgotten as it is.
func (l *LAPIC) Init() {
	l.mode.And(^uint32(modeSW))
	l.initState()
	l.threshold = 0
	l.word = nil
}

// VirtualWire brings l from the state after Reset to the one in which firmware
// leaves the boot processor's: software enabled, the 8259As on LINT0, NMIs on LINT1
// (MultiProcessor Specification 1.4, "Virtual Wire Mode").
func (l *LAPIC) VirtualWire() {
	l.writeSVR(svrEnable|svrReset, false)
	l.lvt[lvtLINT0].Store(uint32(bus.ExtINT) << 8)
	l.lvt[lvtLINT1].Store(uint32(bus.NMI) << 8)
}

// initState resets every register that INIT resets. The mode is the caller's.
func (l *LAPIC) initState() {
	for i := range 4 {
		l.irr[i].Store(0)
		l.tmr[i].Store(0)
	}
	l.posted.Store(0)
	l.turned.Store(1)
	l.ldr.Store(0)
	l.dfr.Store(dfrFlat)
	l.errs.Store(0)
	for i := range l.lvt {
		l.lvt[i].Store(lvtMasked)
	}
	l.isr = vectors{}
	l.isrMax, l.irrMax, l.tpr, l.ppr = 0, 0, 0, 0
	l.away, l.shown, l.tprWritten, l.offered = false, false, true, false
	l.svr, l.esr, l.icr = svrReset, 0, 0
	l.timer.reset()
}
