// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import "ringo/hv/vcpu"

const dr6BS = 1 << 14 // single step (APM Vol. 2, "Debug-Status Register")

// finish translates an exit to x and does the bookkeeping that belongs to this
// package. It reports false when the guest shall simply go on.
func (v *VCPU) finish(x *vcpu.Exit) bool {
	b := v.vmcb
	if (v.todo == 0 || v.delivered()) && b.exitCode < exitExcp0 && b.quiet() && v.register(x) {
		return true
	}
	if b.exitCode == exitRefused {
		v.refused(x)
		return true
	}
	b.clean = v.clean
	v.lens.asked.n = 0
	form := decode(b, &v.b.f, x)
	v.frame.meter.Exit(v.cost, x.Reason)
	if b.interruptState&interruptShadow != 0 {
		v.ev.shadow, v.ev.shadowRIP = true, b.rip
	} else if b.rip != v.ev.shadowRIP {
		v.ev.shadow = false
	}
	if v.todo != 0 || b.exitIntInfo&evValid != 0 || form <= fOwn {
		return v.finishSlow(form, x)
	}
	if form >= fInsn && form <= fICEBP {
		x.Len = v.length(b)
	}
	return true
}

// delivered reports whether the run had nothing to look after but a fresh event of
// Inject's, which the guest has got.
func (v *VCPU) delivered() bool {
	b := v.vmcb
	if v.todo != todoFresh || !b.quiet() || b.exitCode > exitNPF || v.ev.virq && b.vintr&vIRQ != 0 {
		return false // the CPU has not taken it, or not to its end
	}
	v.ev.virq = false // what else of V_INTR was for it means nothing without V_IRQ
	b.eventInj, v.ev.HasNext, v.todo = 0, false, 0
	return true
}

// finishSlow is finish when events are under way, or the exit is one of those
// that it handles itself: form fOwn, DR accesses, failed entries.
func (v *VCPU) finishSlow(form form, x *vcpu.Exit) bool {
	b, ev := v.vmcb, &v.ev
	owed := todo(0)
	switch {
	case x.Reason == vcpu.Invalid:
		owed = todoFlush // a CPU may check before it flushes
	case b.tlbControl == tlbFlushAll:
		v.on.flushAll = false
		fallthrough
	default:
		b.tlbControl = tlbNothing
	}
	b.eventInj = 0
	v.saveDebug()
	switch x.Reason {
	case vcpu.Invalid:
		v.scrub(x)
	case vcpu.DRAccess:
		v.accessDebug(x)
	case vcpu.BusLock:
		// The CPU stopped before the access, which is let through now; the next one
		// exits again (APM Vol. 2, "Bus Lock Threshold").
		b.busLocks = 1
	}
	ev.soft = ev.HasNext && (ev.Next.Type == vcpu.SoftInterrupt || ev.Next.Type == vcpu.SoftException)
	ev.HasNext = ev.virq && v.endVIRQ()
	v.replay()
	if ev.inIRET && b.rip != ev.iretRIP {
		ev.inIRET, ev.nmiBlocked = false, false
	}
	report := form != fOwn
	if !report {
		report = v.ownExit(x)
	}
	if ev.stepping {
		report = v.endStep(x) && report
	}
	if !report && !ev.HasNext && v.takesNMI() && ev.NMIWindow() {
		x.Reason, report = vcpu.Window, true
	}
	if report && form >= fInsn && form <= fICEBP {
		x.Len = v.length(b)
	}
	v.todo = v.leftover() | owed
	v.frame.meter.Exit(v.cost, x.Reason)
	return report
}

// leftover is what the next entry has to look at.
func (v *VCPU) leftover() (t todo) {
	if !v.ev.idle() {
		t |= todoEvents
	}
	if v.dbg.wanted(v.vmcb) {
		t |= todoDebug
	}
	return t
}

// replay takes an event that was being delivered when the run ended back into
// the queue. Soft events are not replayed unless Inject made them: RIP is still
// at the instruction that raises them.
func (v *VCPU) replay() {
	e, ok := decodeEvent(v.vmcb.exitIntInfo)
	if !ok {
		return
	}
	if !v.ev.soft && (e.Type == vcpu.SoftInterrupt || e.Type == vcpu.SoftException) {
		return
	}
	v.ev.Replay(e) // over a virtual interrupt that the guest did not take
}

// ownExit handles the exits that inject.go arms. It reports true when x is to be
// returned, as a Window.
func (v *VCPU) ownExit(x *vcpu.Exit) bool {
	ev, b := &v.ev, v.vmcb
	if uint32(b.exitCode) == exitIRET {
		ev.inIRET, ev.iretRIP = true, b.rip
		return false
	}
	// VINTR. In the shadow only QEMU gets here: let one instruction run, as
	// the shadow promised.
	v.setWindow(false)
	if v.shadowed() {
		ev.forced = true
		return false
	}
	x.Reason = vcpu.Window
	return ev.IRQWindow() // else armEvents delivers one
}

// endStep takes the trap flag back. It reports false for the trap itself, which
// is not the guest's business.
func (v *VCPU) endStep(x *vcpu.Exit) bool {
	ev, b := &v.ev, v.vmcb
	trap := uint32(b.exitCode) == exitDB && stepTrap(b) && ev.tf == 0
	if trap && ev.overIRET {
		ev.stepping = false // the flags are those that IRET popped
	} else {
		v.cancelStep()
	}
	if !trap {
		return true
	}
	b.setDR6(ev.dr6)
	ev.forced, ev.shadow = false, false
	return false
}
