// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Interruptibility state (SDM Vol. 3, Table "Format of Interruptibility State").
const (
	blockedSTI   = 1 << 0
	blockedMOVSS = 1 << 1
	blockedNMI   = 1 << 3 // with virtual NMIs: the guest's, from delivery to IRET

	blockedOnce = blockedSTI | blockedMOVSS // until the next instruction is over
)

// events is what is on its way to the guest.
//
// Next entry delivers next through the entry interruption information. An event
// whose delivery ended in an exit (IDT-vectoring information) becomes next again,
// before anything new; if the handler of that exit injects an exception, next is
// merged with it when both are exceptions, and steps aside (irq, nmi) when it is
// an interrupt. So no event is lost.
type events struct {
	next     vcpu.Event
	hasNext  bool
	replayed bool // next was being delivered when the run ended
	soft     bool // the last entry delivered a soft interrupt: RIP is one less

	irq    vcpu.Event // interrupt that stepped aside
	hasIRQ bool
	hasNMI bool // an NMI stepped aside

	wantIRQ bool // a Window is owed for an interrupt
	wantNMI bool // and for an NMI
	armed   bool // the VMCS has an event for the next entry
}

// idle reports whether the next entry needs nothing of e.
func (e *events) idle() bool {
	return !e.hasNext && !e.hasIRQ && !e.hasNMI && !e.wantIRQ && !e.wantNMI && !e.armed
}

// interruptible reports whether the guest takes a maskable interrupt now.
func (v *VCPU) interruptible() bool {
	return v.frame.interrupt&blockedOnce == 0 && v.get(sRFLAGS)&x86.FlagIF != 0
}

// takesNMI reports whether the guest takes an NMI now. Not every CPU takes one
// in the shadow of STI.
func (v *VCPU) takesNMI() bool { return v.frame.interrupt&(blockedOnce|blockedNMI) == 0 }

// Inject implements vcpu.VCPU. An event that no CPU can deliver shuts the guest
// down.
func (v *VCPU) Inject(e vcpu.Event) bool {
	ev := &v.ev
	v.todo |= todoEvents
	switch {
	case !injectable(e):
		v.todo |= todoShutdown
		return true
	case e.Type == vcpu.ExternalInterrupt:
		if ev.hasNext || ev.hasIRQ || !v.interruptible() {
			ev.wantIRQ = true
			return false
		}
		ev.wantIRQ = false
	case e.Type == vcpu.NMI:
		if ev.hasNext || ev.hasNMI || !v.takesNMI() {
			ev.wantNMI = true
			return false
		}
		ev.wantNMI, e.Vector = false, x86.VecNMI
	case ev.hasNext && !ev.replayed:
		return false // an exception on top of an event of this very exit
	case ev.hasNext:
		return v.injectOver(e)
	}
	ev.next, ev.hasNext, ev.replayed = e, true, false
	return true
}

// injectOver queues exception e, raised while ev.next was being delivered.
func (v *VCPU) injectOver(e vcpu.Event) bool {
	ev := &v.ev
	switch ev.next.Type {
	case vcpu.ExternalInterrupt:
		ev.irq, ev.hasIRQ = ev.next, true
	case vcpu.NMI:
		ev.hasNMI = true
	default:
		var shutdown bool
		if e, shutdown = vcpu.Merge(ev.next, e); shutdown {
			v.todo |= todoShutdown
			ev.hasNext = false
			return true
		}
	}
	ev.next, ev.replayed = e, false
	return true
}

// armEvents writes ev to the VMCS before an entry.
func (v *VCPU) armEvents() {
	ev := &v.ev
	if !ev.hasNext {
		switch {
		case ev.hasNMI && v.takesNMI():
			ev.next, ev.hasNext, ev.hasNMI = vcpu.Event{Type: vcpu.NMI, Vector: x86.VecNMI}, true, false
		case ev.hasIRQ && v.interruptible():
			ev.next, ev.hasNext, ev.hasIRQ = ev.irq, true, false
		}
	}
	switch {
	case ev.hasNext && !ev.armed:
		v.arm(ev.next)
	case ev.armed && !ev.hasNext:
		v.put(sEntryEvent, 0)
		ev.armed = false
	}
	v.window(procIRQWindow, ev.wantIRQ || ev.hasIRQ)
	v.window(procNMIWindow, ev.wantNMI || ev.hasNMI)
}

// arm makes the next entry deliver e.
func (v *VCPU) arm(e vcpu.Event) {
	w := encodeEvent(e, v.val[sCR0]&x86.CR0PE != 0)
	v.put(sEntryEvent, w)
	if w&evHasErr != 0 {
		v.put(sEntryError, uint64(e.Err))
	}
	if e.Type == vcpu.SoftInterrupt {
		// The CPU pushes RIP plus a length that must not be 0.
		v.put(sEntryLength, 1)
		v.moveRIP(-1)
	}
	v.ev.armed = true
}

// moveRIP changes RIP by d within the guest's address size.
func (v *VCPU) moveRIP(d int) {
	f := v.frame
	f.rip += uint64(d)
	if !v.code64() {
		f.rip &= 0xffff_ffff
	}
}

// window arms or disarms the exit at the first moment the guest could take an
// interrupt or an NMI.
func (v *VCPU) window(bit uint64, on bool) {
	w := v.val[sProc] &^ bit
	if on {
		w |= bit
	}
	v.set(sProc, w)
}
