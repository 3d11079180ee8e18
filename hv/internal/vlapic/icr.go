// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "ringo/hv/bus"

// Fields of the interrupt command register (SDM Vol. 3, "Interrupt Command
// Register (ICR)").
const (
	icrLogical    = 1 << 11
	icrBusy       = 1 << 12 // read-only, always 0
	icrAssert     = 1 << 14
	icrLevel      = 1 << 15
	icrShortShift = 18
	icrWritable   = 0xff | 7<<8 | icrLogical | icrAssert | icrLevel | 3<<icrShortShift
)

// Destination shorthands.
const (
	shortNone = iota
	shortSelf
	shortAll
	shortOthers
)

// writeICR stores the command and sends the interrupt. In xAPIC mode val is the
// low half only.
func (l *LAPIC) writeICR(val uint64, x2 bool) (ok bool) {
	low := uint32(val)
	if x2 {
		if low&^(icrWritable|icrBusy) != 0 {
			return false
		}
		l.icr = val &^ icrBusy
	} else {
		low &= icrWritable
		l.icr = l.icr&^0xffff_ffff | uint64(low)
	}
	m := bus.Message{
		Dest:    uint32(l.icr >> 32),
		Vector:  uint8(low),
		Mode:    bus.Delivery(low >> 8 & 7),
		Logical: low&icrLogical != 0,
	}
	if !x2 {
		m.Dest >>= 24
		if m.Dest == 0xff && !m.Logical {
			m.Dest = bus.Broadcast
		}
	}
	if m.Mode == bus.INIT && low&(icrLevel|icrAssert) == icrLevel {
		return true // INIT level de-assert: no effect since the Pentium 4
	}
	l.send(m, low>>icrShortShift&3)
	return true
}

// send delivers an IPI. A combination of mode and shorthand that SDM Vol. 3,
// Table "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local
// xAPIC Interrupt Command Register" does not list sends nothing.
func (l *LAPIC) send(m bus.Message, short uint32) {
	switch m.Mode {
	case bus.Fixed, bus.LowestPriority:
		if m.Vector < 16 {
			if l.raiseError(errSendIllegal) {
				l.sink.Kick()
			}
			return
		}
	case bus.NMI, bus.INIT, bus.Startup:
	default:
		return // SMI: there is no SMM; ExtINT and 3 cannot be sent
	}
	switch short {
	case shortNone:
		l.set.Deliver(m)
	case shortSelf:
		if m.Mode == bus.Fixed {
			l.raise(m.Vector)
		}
	case shortAll:
		if m.Mode == bus.Fixed {
			l.set.toAll(m, nil)
		}
	case shortOthers:
		l.set.toAll(m, l)
	}
}

// writeSelfIPI is the x2APIC SELF IPI register.
func (l *LAPIC) writeSelfIPI(v uint32, x2 bool) (ok bool) {
	if !x2 || v > 0xff {
		return false
	}
	if v < 16 {
		l.raiseError(errSendIllegal)
		return true
	}
	l.raise(uint8(v))
	return true
}
