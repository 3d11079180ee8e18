// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// events is what is on its way to the guest: the next entry delivers Next through
// EVENTINJ.
type events struct {
	vcpu.Queue
	soft bool // the last entry delivered a soft event of Inject's
	virq bool // Next was handed over as a virtual interrupt

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
func (e *events) idle() bool { return e.Idle() && !e.nmiBlocked && !e.forced && !e.stepping }

// shadowed reports whether the guest is in an interrupt shadow.
func (v *VCPU) shadowed() bool { return v.ev.shadow && v.ev.shadowRIP == v.vmcb.rip }

// interruptible reports whether the guest takes a maskable interrupt now.
func (v *VCPU) interruptible() bool { return v.vmcb.rflags&x86.FlagIF != 0 && !v.shadowed() }

// takesNMI reports whether the guest takes an NMI now.
func (v *VCPU) takesNMI() bool { return !v.ev.nmiBlocked && !v.shadowed() }

// Inject implements vcpu.VCPU.
func (v *VCPU) Inject(e vcpu.Event) bool {
	can := false
	switch e.Type {
	case vcpu.ExternalInterrupt:
		can = v.interruptible()
	case vcpu.NMI:
		can = v.takesNMI()
	}
	accepted, shutdown := v.ev.Inject(e, can)
	switch {
	case shutdown:
		v.todo |= todoEvents | todoShutdown
	case v.todo == 0 && (e.Type == vcpu.HardException || e.Type == vcpu.ExternalInterrupt && accepted):
		v.todo = todoFresh // ev was idle
	default:
		v.todo |= todoEvents
	}
	return accepted
}

// ClearEvents implements vcpu.VCPU. An entry that was refused has left ev in the
// VMCB already.
func (v *VCPU) ClearEvents() {
	b := v.vmcb
	v.cancelStep()
	v.setWindow(false)
	v.interceptIRET(false)
	b.setVIntr(b.vintr &^ (vVector | vWindow))
	b.eventInj = 0
	b.interruptState &^= interruptShadow
	v.ev = events{}
	v.todo &^= todoEvents | todoFresh | todoShutdown
}

// armEvents writes ev to the VMCB before an entry.
func (v *VCPU) armEvents() {
	ev, b := &v.ev, v.vmcb
	ev.forced = ev.forced && v.shadowed()
	ev.Pick(v.interruptible(), true)
	b.eventInj = 0
	if ev.virq { // from an entry that was refused
		ev.virq = false
		b.setVIntr(b.vintr &^ (vVector | vWindow))
	}
	virq := ev.HasNext && ev.Next.Type == vcpu.ExternalInterrupt && v.b.f.viaVIRQ
	// With one, a window that is owed as well waits for the next exit, which the end of
	// the handler brings.
	v.setWindow(ev.WaitsIRQ() && !ev.forced && !virq)
	if ev.HasNext {
		v.armNext()
	}
	if ev.HasNext && ev.Next.Type == vcpu.NMI {
		ev.nmiBlocked, ev.inIRET = true, false
	}
	v.interceptIRET(ev.nmiBlocked && !ev.inIRET)
	if !virq && (ev.forced || ev.WaitsNMI() && (!ev.nmiBlocked || ev.inIRET) && !ev.HasNext) {
		v.startStep()
	}
}

// armNext hands ev.Next to the CPU: with viaVIRQ an interrupt as a virtual one, which the
// guest takes before its next instruction: it can, or Inject would have refused. For
// todoFresh alone it is all that is to do: no intercept is armed, or ev would not have
// been idle before, and none is needed.
func (v *VCPU) armNext() {
	b, e := v.vmcb, &v.ev.Next
	if e.Type == vcpu.ExternalInterrupt && v.b.f.viaVIRQ {
		b.setVIntr(b.vintr&^vVector | vWindow | uint64(e.Vector)<<vVectorShift)
		v.ev.virq = true
		return
	}
	b.eventInj = encodeEvent(*e)
	if e.Type == vcpu.SoftInterrupt {
		b.nextRIP = b.rip // the return address, where the CPU has the field
	}
}

// endVIRQ finds out what became of a virtual interrupt. It reports whether
// it is still to be delivered: the run ended before the guest took it.
func (v *VCPU) endVIRQ() (again bool) {
	b := v.vmcb
	again = b.vintr&vIRQ != 0
	v.ev.virq = false
	b.setVIntr(b.vintr &^ (vVector | vWindow))
	if b.exitIntInfo&evValid != 0 && uint8(b.exitIntInfo) == v.ev.Next.Vector {
		// The delivery itself ended the run. QEMU calls that an exception.
		b.exitIntInfo = encodeEvent(v.ev.Next)
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
