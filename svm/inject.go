// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// events is what is on its way to the guest.
//
// Next entry delivers next through EVENTINJ. An event whose delivery ended in
// an exit (EXITINTINFO) becomes next again, before anything new; if the handler
// of that exit injects an exception, next is merged with it when both are
// exceptions, and steps aside (irq, nmi) when it is an interrupt. So no event
// is lost.
type events struct {
	next     vcpu.Event
	hasNext  bool
	replayed bool // next was being delivered when the run ended
	soft     bool // the last entry delivered a soft event of Inject's
	virq     bool // next was handed over as a virtual interrupt

	irq    vcpu.Event // interrupt that stepped aside
	hasIRQ bool
	hasNMI bool // an NMI stepped aside

	wantIRQ bool // a Window is owed for an interrupt
	wantNMI bool // and for an NMI

	nmiBlocked bool   // from NMI delivery to the end of IRET
	inIRET     bool   // IRET began at iretRIP
	iretRIP    uint64 //

	// shadow: at shadowRIP the guest was in the shadow of STI or MOV SS. QEMU
	// drops the shadow at VMRUN; here it lasts until RIP moves.
	shadow    bool
	shadowRIP uint64

	// stepping: RFLAGS.TF is ours for one instruction; tf and dr6 are the
	// guest's.
	stepping bool
	overIRET bool // the instruction is IRET: it loads the flags
	forced   bool // step at the next entry, to get out of the shadow
	tf, dr6  uint64
}

// idle reports whether the next entry needs nothing of e.
func (e *events) idle() bool {
	return !e.hasNext && !e.hasIRQ && !e.hasNMI && !e.wantIRQ && !e.wantNMI &&
		!e.nmiBlocked && !e.forced && !e.stepping
}

// shadowed reports whether the guest is in an interrupt shadow.
func (v *VCPU) shadowed() bool { return v.ev.shadow && v.ev.shadowRIP == v.vmcb.rip }

// interruptible reports whether the guest takes a maskable interrupt now.
func (v *VCPU) interruptible() bool { return v.vmcb.rflags&x86.FlagIF != 0 && !v.shadowed() }

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
		if ev.hasNext || ev.hasNMI || ev.nmiBlocked || v.shadowed() {
			ev.wantNMI = true
			return false
		}
		ev.wantNMI = false
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

// armEvents writes ev to the VMCB before an entry.
func (v *VCPU) armEvents() {
	ev, b := &v.ev, v.vmcb
	ev.forced = ev.forced && v.shadowed()
	if !ev.hasNext {
		switch {
		case ev.hasNMI:
			ev.next, ev.hasNext, ev.hasNMI = vcpu.Event{Type: vcpu.NMI, Vector: 2}, true, false
		case ev.hasIRQ && v.interruptible():
			ev.next, ev.hasNext, ev.hasIRQ = ev.irq, true, false
		}
	}
	b.eventInj = 0
	if ev.virq { // from an entry that was refused
		ev.virq = false
		b.setVIntr(b.vintr &^ (vVector | vWindow))
	}
	if ev.hasNext && ev.next.Type == vcpu.ExternalInterrupt && v.b.f.viaVIRQ {
		v.armVIRQ()
		return
	}
	if ev.hasNext {
		b.eventInj = encodeEvent(ev.next)
		if ev.next.Type == vcpu.SoftInterrupt {
			b.nextRIP = b.rip // the return address, where the CPU has the field
		}
		if ev.next.Type == vcpu.NMI {
			ev.nmiBlocked, ev.inIRET = true, false
		}
	}
	v.setWindow((ev.wantIRQ || ev.hasIRQ) && !ev.forced)
	v.interceptIRET(ev.nmiBlocked && !ev.inIRET)
	if ev.forced || ev.wantNMI && (!ev.nmiBlocked || ev.inIRET) && !ev.hasNext {
		v.startStep()
	}
}

// armVIRQ hands ev.next to the CPU as a virtual interrupt, which the guest takes
// before its next instruction: it can, or Inject would have refused. A window
// that is owed as well waits for the next exit, which the end of the handler
// brings.
func (v *VCPU) armVIRQ() {
	b := v.vmcb
	v.setWindow(false)
	v.interceptIRET(v.ev.nmiBlocked && !v.ev.inIRET)
	b.setVIntr(b.vintr&^vVector | vWindow | uint64(v.ev.next.Vector)<<vVectorShift)
	v.ev.virq = true
}

// endVIRQ finds out what became of the interrupt of armVIRQ. It reports whether
// it is still to be delivered: the run ended before the guest took it.
func (v *VCPU) endVIRQ() (again bool) {
	b := v.vmcb
	again = b.vintr&vIRQ != 0
	v.ev.virq = false
	b.setVIntr(b.vintr &^ (vVector | vWindow))
	if b.exitIntInfo&evValid != 0 && uint8(b.exitIntInfo) == v.ev.next.Vector {
		// The delivery itself ended the run. QEMU calls that an exception.
		b.exitIntInfo = encodeEvent(v.ev.next)
		return false
	}
	return again
}

// setWindow arms or disarms the exit at the first moment the guest could take
// an interrupt. V_IRQ serves as a notification only: delivered as an interrupt
// it would not be reported right by every CPU when the delivery faults.
func (v *VCPU) setWindow(on bool) {
	b := v.vmcb
	if on == (b.misc1&iVINTR != 0) {
		return
	}
	if on {
		b.setIntercepts(&b.misc1, iVINTR, 0)
		b.setVIntr(b.vintr | vWindow)
	} else {
		b.setIntercepts(&b.misc1, 0, iVINTR)
		b.setVIntr(b.vintr &^ vWindow)
	}
}

func (v *VCPU) interceptIRET(on bool) {
	b := v.vmcb
	if on != (b.misc1&iIRET != 0) {
		if on {
			b.setIntercepts(&b.misc1, iIRET, 0)
		} else {
			b.setIntercepts(&b.misc1, 0, iIRET)
		}
	}
}

// startStep makes the guest trap after its next instruction.
func (v *VCPU) startStep() {
	ev, b := &v.ev, v.vmcb
	if ev.stepping {
		return
	}
	ev.stepping, ev.overIRET = true, ev.inIRET
	ev.tf, ev.dr6 = b.rflags&x86.FlagTF, b.dr6
	b.rflags |= x86.FlagTF
}

// cancelStep undoes startStep when the guest did not run, or stopped early.
func (v *VCPU) cancelStep() {
	if v.ev.stepping {
		v.ev.stepping = false
		v.vmcb.rflags = v.vmcb.rflags&^x86.FlagTF | v.ev.tf
	}
}
