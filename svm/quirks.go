// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/vcpu"
)

// quirks is what an emulator wants done otherwise than a CPU does, and a CPU would
// pay for.
type quirks struct {
	// viaVIRQ: external interrupts are delivered as virtual interrupts, not by
	// EVENTINJ. QEMU 7.2's TCG keeps an injected interrupt's vector in
	// CPUState.exception_index: when its loop is left before the next
	// interrupt or exit, for a reason of its own, it delivers it once more.
	viaVIRQ bool
	// drWrites: the guest's writes of debug registers are emulated. QEMU 7.2's
	// TCG switches DR7 at VMRUN and #VMEXIT without its list of breakpoints: a
	// guest's would stay armed in the host, and the next write of DR7 corrupts
	// the list and kills QEMU. Breakpoints of guests do not fire there.
	drWrites bool
}

// tcg is the signature of QEMU's emulator, as far as Registers.Hyper holds it.
const tcg = 'T' | 'C'<<8 | 'G'<<16 | 'T'<<24

// quirkTable is by signature.
var quirkTable = map[uint32]quirks{
	tcg: {viaVIRQ: true, drWrites: true},
}

// What no signature tells, or costs nothing elsewhere, is done everywhere. Besides
// what follows here: the end of a shadow at an exit (events.shadow), QEMU; the exit
// of a virtual interrupt within a shadow (ownExit), QEMU; an event whose delivery
// ends the run (endVIRQ), QEMU; the intercept of CR8 (baseCR), QEMU 7.2; DR7, PAT and
// XCR0, which an exit leaves as the guest's (loadDebug, passThrough, enter_amd64.s),
// QEMU; EXITINFO1 of INS and OUTS without the operand (decodeIO), QEMU 7.2.

// exitInvalid is VMEXIT_INVALID, which is -1; QEMU writes 32 bits of it.
const exitInvalid = 0xffff_ffff

// stepTrap reports whether a #DB can be that of a step. Bochs 2.7 does not set BS
// before the intercept; without breakpoints there is no other cause.
func stepTrap(b *vmcb) bool { return b.dr6&dr6BS != 0 || b.dr7&dr7Active == 0 }

// scrub repairs the VMCB after a failed entry. QEMU then saves the state at hand,
// which is the host's when VMRUN's checks failed: that must reach neither a guest
// nor a trace. It also writes back a V_INTR field that it never loaded, and a
// guest entered without V_INTR_MASKING would stop the host with CLI.
func (v *VCPU) scrub(x *vcpu.Exit) {
	b, c := v.vmcb, v.on
	tpr := b.vintr & vTPRMask
	v.control()
	b.vintr |= tpr
	b.clean = 0
	if b.cr3 == c.cr3 && b.gdtr.base == c.gdtBase && b.idtr.base == c.idtBase {
		clear(saveWords(b))
		v.frame.xcr0 = uint32(v.b.f.xcr0) // CR4.OSXSAVE is clear now
		vcpu.Reset(v)
		x.RIP, x.CPL = b.rip, 0
	}
	v.interceptRead(crRead0, v.crShadow != 0) // control has forgotten them
	v.interceptRead(crRead4, v.cr4Forced != 0)
}
