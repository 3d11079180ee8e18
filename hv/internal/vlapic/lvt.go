// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "ringo/hv/bus"

// Entries of the local vector table. Thermal and performance-counter interrupts
// never occur: their entries only hold what was written.
const (
	lvtTimer = iota
	lvtThermal
	lvtPerf
	lvtLINT0
	lvtLINT1
	lvtError
	lvtCount
)

// Fields of an LVT entry (SDM Vol. 3, Figure "Local Vector Table (LVT)").
const (
	lvtVector   = 0xff
	lvtDelivery = 7 << 8
	lvtBusy     = 1 << 12 // delivery status, read-only
	lvtPolarity = 1 << 13
	lvtRemote   = 1 << 14 // remote IRR, read-only
	lvtLevel    = 1 << 15
	lvtMasked   = 1 << 16
	lvtTimerTyp = 3 << 17
)

// lvtWritable holds the bits of each entry that a guest can change.
var lvtWritable = [lvtCount]uint32{
	lvtTimer:   lvtVector | lvtMasked | lvtTimerTyp,
	lvtThermal: lvtVector | lvtMasked | lvtDelivery,
	lvtPerf:    lvtVector | lvtMasked | lvtDelivery,
	lvtLINT0:   lvtVector | lvtMasked | lvtDelivery | lvtPolarity | lvtLevel,
	lvtLINT1:   lvtVector | lvtMasked | lvtDelivery | lvtPolarity | lvtLevel,
	lvtError:   lvtVector | lvtMasked,
}

func (l *LAPIC) writeLVT(i, v uint32, x2 bool, now uint64) (ok bool) {
	if x2 && v&^(lvtWritable[i]|lvtBusy|lvtRemote) != 0 {
		return false
	}
	v &= lvtWritable[i]
	if l.mode.Load()&modeSW == 0 {
		v |= lvtMasked
	}
	if i == lvtTimer {
		return l.writeLVTTimer(v, x2, now)
	}
	l.lvt[i].Store(v)
	return true
}

// maskLVT masks every entry, as a software disable does.
func (l *LAPIC) maskLVT() {
	for i := range l.lvt {
		l.lvt[i].Or(lvtMasked)
	}
}

// raiseError records errors for the next write to ESR and raises the error
// interrupt. It may be called from any CPU and reports whether to kick.
func (l *LAPIC) raiseError(e uint32) (kick bool) {
	if l.errs.Or(e)&e == e {
		return false // the guest was told already
	}
	v := l.lvt[lvtError].Load()
	if v&lvtMasked != 0 {
		return false
	}
	if v&lvtVector < 16 {
		l.errs.Or(errRecvIllegal) // and no further: SetIRR would come back here
		return false
	}
	return l.SetIRR(uint8(v), false)
}

// SetLINT drives input pin 0 (LINT0) or 1 (LINT1). It may be called from any
// CPU and kicks the vCPU when that matters. ExtINT mode is the 8259A's affair:
// see TakesExtINT.
func (l *LAPIC) SetLINT(pin uint8, level bool) {
	pin &= 1
	bit := uint32(1) << pin
	if !level {
		l.pins.And(^bit)
		return
	}
	if l.pins.Or(bit)&bit != 0 {
		return // no edge
	}
	v := l.lvt[lvtLINT0+pin].Load()
	hw := l.Enabled()
	switch mode := bus.Delivery(v >> 8 & 7); {
	case !hw:
		// The pins of a disabled local APIC are INTR and NMI (SDM Vol. 3,
		// "Enabling or Disabling the Local APIC").
		if pin == 0 {
			l.sink.Kick()
		} else {
			l.sink.NMI()
		}
	case v&lvtMasked != 0:
	case mode == bus.ExtINT:
		l.sink.Kick()
	case mode == bus.NMI:
		l.sink.NMI()
	case mode == bus.INIT:
		l.sink.Init()
	case mode == bus.Fixed:
		if l.SetIRR(uint8(v), false) {
			l.sink.Kick()
		}
	}
}

// pin is an input of a local APIC as a bus.Line.
type pin struct {
	l *LAPIC
	n uint8
}

func (p pin) Set(level bool) { p.l.SetLINT(p.n, level) }

// LINT returns input pin 0 or 1 as a line. It allocates: for construction only.
func (l *LAPIC) LINT(n uint8) bus.Line { return pin{l, n} }

// TakesExtINT reports whether the vCPU would now answer an interrupt request of
// the 8259A on LINT0. The run loop asks before it polls the 8259A; ExtINT comes
// before everything in IRR. It may be called from any CPU.
func (l *LAPIC) TakesExtINT() bool {
	if !l.Enabled() {
		return true
	}
	v := l.lvt[lvtLINT0].Load()
	return v&(lvtMasked|lvtDelivery) == uint32(bus.ExtINT)<<8
}
