// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// refusal says which of the checks of VMRUN an entry with b fails, "" for none
// (APM Vol. 2, "Canonicalization and Consistency Checks" and "Event Injection"),
// but for reserved bits of registers. The last ones are not the CPU's: it delivers
// what EVENTINJ holds, whether the guest could take it or not.
func refusal(b *vmcb) string {
	w, kind := b.eventInj, b.eventInj>>evTypeShift&7
	long := b.efer&x86.EFERLME != 0 && b.cr0&x86.CR0PG != 0
	switch {
	case b.efer&x86.EFERSVME == 0:
		return "EFER.SVME is clear"
	case b.cr0&x86.CR0CD == 0 && b.cr0&x86.CR0NW != 0 || b.cr0>>32 != 0:
		return "CR0"
	case b.dr6>>32 != 0 || b.dr7>>32 != 0:
		return "the upper half of DR6 or DR7"
	case long && (b.cr4&x86.CR4PAE == 0 || b.cr0&x86.CR0PE == 0):
		return "long mode without PAE or protection"
	case long && b.cs.attrib&attribL != 0 && b.cs.attrib&attribDB != 0:
		return "CS.L and CS.D"
	case b.misc2&iVMRUN == 0:
		return "VMRUN is not intercepted"
	case b.asid == 0:
		return "ASID 0"
	case w&evValid == 0:
	case kind != evIntr && kind != evNMI && kind != evExc && kind != evSoft:
		return "the event's type is reserved"
	case kind == evExc && (uint8(w) == x86.VecNMI || uint8(w) > 31):
		return "no such exception"
	case kind == evIntr && b.rflags&x86.FlagIF == 0:
		return "an interrupt into a guest with RFLAGS.IF clear"
	case (kind == evIntr || kind == evNMI) && b.interruptState&interruptShadow != 0:
		return "an interrupt or NMI in a shadow"
	}
	return ""
}

// INIT in every state: nothing of it is left, and the entry after it passes.
func TestInit(t *testing.T) {
	inHandler := func(r *rig) { r.inject(nmi, true); r.run(fakeExit{code: exitHLT}) }
	for name, dirty := range map[string]func(r *rig){
		"an interrupt":         func(r *rig) { r.inject(interrupt(0x30), true) },
		"a virtual interrupt":  func(r *rig) { r.v.b.f.viaVIRQ = true; r.inject(interrupt(0x30), true) },
		"an NMI":               func(r *rig) { r.inject(nmi, true) },
		"an exception":         func(r *rig) { r.inject(exception(x86.VecGP), true) },
		"an impossible event":  func(r *rig) { r.inject(exception(2), true) },
		"a window":             func(r *rig) { r.v.Set(x86.RFLAGS, 2); r.inject(interrupt(0x30), false) },
		"blocked NMIs":         func(r *rig) { inHandler(r); r.inject(nmi, false) },
		"IRET out of an NMI":   func(r *rig) { inHandler(r); r.run(fakeExit{code: exitIRET}, fakeExit{code: exitNPF}) },
		"a shadow":             func(r *rig) { r.run(fakeExit{code: exitINTR, guest: shadow(1)}) },
		"a shadow and a step":  func(r *rig) { forcedStep(r) },
		"a delivery cut short": func(r *rig) { r.run(fakeExit{code: exitNPF, intInfo: irq30}) },
		"an interrupt that stepped aside": func(r *rig) {
			r.run(fakeExit{code: exitNPF, intInfo: irq30})
			r.inject(exception(x86.VecGP), true)
		},
	} {
		for _, prepared := range []bool{false, true} {
			r := newRig(t)
			dirty(r)
			if prepared { // and refused, which cancels a step
				r.v.prepare(0, &r.x)
				r.v.cancelStep()
			}
			vcpu.Reset(r.v)
			r.injected = nil
			r.run(fakeExit{code: exitHLT, guest: func(b *vmcb) {
				if b.eventInj != 0 || b.vintr&(vIRQ|vVector) != 0 || b.misc1&(iVINTR|iIRET) != 0 ||
					b.interruptState != 0 || b.rflags != x86.FlagReserved {
					t.Errorf("%s: after INIT EVENTINJ %#x V_INTR %#x intercepts %#x shadow %d RFLAGS %#x",
						name, b.eventInj, b.vintr, b.misc1, b.interruptState, b.rflags)
				}
			}})
			r.reason(vcpu.HLT)
			if r.v.todo != 0 || r.v.ev != (events{}) {
				t.Errorf("%s: todo %#b after the entry, events %+v", name, r.v.todo, r.v.ev)
			}
			r.v.Set(x86.RFLAGS, 2|x86.FlagIF)
			r.v.Set(x86.RIP, 0x1000) // where the shadow was
			r.inject(nmi, true)
			r.run(fakeExit{code: exitHLT})
			r.expect(0, nmiEv)
		}
	}
}

// forcedStep brings r to where an instruction is stepped over to get out of a
// shadow (see TestShadowLost).
func forcedStep(r *rig) {
	r.run(fakeExit{code: exitINTR, guest: shadow(1)})
	r.inject(interrupt(0x30), false)
	r.run(fakeExit{code: exitVINTR, guest: shadow(0)}, fakeExit{code: exitNPF})
}
