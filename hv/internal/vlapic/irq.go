// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

// This file is the life of an interrupt:
//
//	SetIRR (any CPU)        Pending, Ack (owner)          EOI (guest)
//	  IRR |= v  ──posted──▶ irrMax class > PPR class ───▶ ISR &= ^v, PPR falls
//	                        IRR &= ^v, ISR |= v           level: tell the I/O APIC

// classOf is the priority class of a vector or priority register.
func classOf(v uint8) uint8 { return v >> 4 }

// SetIRR makes interrupt vector pending; level says whether it is
// level-triggered. It may be called from any CPU and reports whether the
// vCPU must be kicked: false when it will look anyway, or the local APIC does
// not take the interrupt.
func (l *LAPIC) SetIRR(vector uint8, level bool) (kick bool) {
	const both = modeHW | modeSW
	if l.mode.Load()&both != both {
		return false
	}
	if vector < 16 {
		return l.raiseError(errRecvIllegal)
	}
	l.setTMR(vector, level)
	l.irr.set(vector)
	return l.posted.Swap(1) == 0
}

// raise is SetIRR for the owner, edge-triggered: the owner needs no kick.
func (l *LAPIC) raise(vector uint8) {
	const both = modeHW | modeSW
	if l.mode.Load()&both != both {
		return
	}
	if vector < 16 {
		l.raiseError(errRecvIllegal)
		return
	}
	l.setTMR(vector, false)
	l.irr.set(vector)
	if l.away {
		l.posted.Store(1) // for Load
		return
	}
	l.irrMax = max(l.irrMax, vector)
	l.Withdraw() // the guest may go on before Pending is called
}

func (l *LAPIC) setTMR(vector uint8, level bool) {
	if l.tmr.test(vector) != level { // rarely: spare the atomic write
		if level {
			l.tmr.set(vector)
		} else {
			l.tmr.clear(vector)
		}
		l.turned.Store(1)
	}
}

// Pending returns the interrupt to deliver now: the highest in IRR, if its
// class is above the processor priority.
func (l *LAPIC) Pending() (vector uint8, ok bool) {
	if l.away {
		return l.pendingAway()
	}
	if l.offered {
		l.look()
	}
	if l.posted.Load() != 0 {
		l.collect()
	}
	return l.irrMax, classOf(l.irrMax) > classOf(l.ppr)
}

// collect takes note of what other CPUs posted. The order matters: a poster
// sets its bit before posted, so a bit that the scan misses leaves posted set.
func (l *LAPIC) collect() {
	l.posted.Store(0)
	l.irrMax = l.irr.highest()
}

// MaskedByTPR reports whether an interrupt waits only because of the task
// priority: the run loop must then see writes to CR8.
func (l *LAPIC) MaskedByTPR() bool {
	l.fetch()
	if l.offered {
		l.look()
	}
	if l.posted.Load() != 0 {
		l.collect()
	}
	c := classOf(l.irrMax)
	return c > classOf(l.isrMax) && c <= classOf(l.tpr)
}

// Ack moves vector from pending to in service: the vCPU will enter its handler.
//
// Preconditions: the last Pending returned vector.
func (l *LAPIC) Ack(vector uint8) {
	l.irr.clear(vector)
	l.irrMax = l.irr.highest()
	l.isr[vector>>6] |= 1 << (vector & 63)
	l.isrMax = max(l.isrMax, vector)
	l.updatePPR()
}

// Take is Ack for a vector whose delivery also ends it: it is never in service.
//
// Preconditions: the last Pending returned vector.
func (l *LAPIC) Take(vector uint8) {
	l.irr.clear(vector)
	l.irrMax = l.irr.highest()
}

// EOI ends the highest interrupt in service.
func (l *LAPIC) EOI() {
	if l.away {
		l.endAway()
		return
	}
	l.Withdraw() // the guest need not use the bit
	if v := l.isrMax; v != 0 && l.end() {
		l.endLevel(v)
	}
}

// end takes the highest interrupt out of service. It reports whether it is
// level-triggered.
//
// Preconditions: there is one.
func (l *LAPIC) end() (level bool) {
	v := l.isrMax
	l.isr[v>>6] &^= 1 << (v & 63)
	l.isrMax = l.isr.highest()
	l.updatePPR()
	return l.tmr.test(v)
}

// endLevel broadcasts the EOI of a level-triggered interrupt unless the guest
// does so itself through the I/O APIC's EOI register.
func (l *LAPIC) endLevel(v uint8) {
	l.setTMR(v, false)
	if l.svr&svrSuppressEOI == 0 && l.set.eoi != nil {
		l.set.eoi.EOI(v)
	}
}

// updatePPR recomputes the processor priority (SDM Vol. 3, "Task and Processor
// Priorities").
func (l *LAPIC) updatePPR() {
	if classOf(l.tpr) >= classOf(l.isrMax) {
		l.ppr = l.tpr
	} else {
		l.ppr = l.isrMax &^ 15
	}
}

// CR8 returns the task-priority class, as MOV from CR8 does.
func (l *LAPIC) CR8() uint8 {
	if l.away {
		return classOf(uint8(*l.page.Reg(regTPR)))
	}
	return classOf(l.tpr)
}

// SetCR8 is MOV to CR8.
func (l *LAPIC) SetCR8(class uint8) {
	l.fetch()
	if class &= 15; class != classOf(l.tpr) {
		l.tpr = class << 4
		l.updatePPR()
	}
}
