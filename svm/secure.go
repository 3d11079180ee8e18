// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/insn"
	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Bits of frame.secure, for the entry code (secure_amd64.h).
const (
	secureCtrl = 1 << 0 // IA32_SPEC_CTRL differs in the guest
	secureVERW = 1 << 1
	secureRSB  = 1 << 2
	secureOPT  = 1 << 3 // save by XSAVEOPT
)

// Components of XCR0.
const (
	xcr0AVX    = 1 << 2
	xcr0AVX512 = 7 << 5
)

// entryKind is the entry code for CPUs with f under plan p: enterXSAVEOPT is the
// one for those with AVX, without AVX-512, that need nothing around a run;
// enterXSAVE knows all of that.
func entryKind(kind vcpu.FPUKind, xcr0 uint64, p *spec.Plan) vcpu.FPUKind {
	if kind == vcpu.XSAVEOPT && (xcr0&xcr0AVX == 0 || xcr0&xcr0AVX512 != 0 || p.PerRun()) {
		return vcpu.XSAVE
	}
	return kind
}

// secure are the bits of frame.secure that do not change.
func secure(kind vcpu.FPUKind, p *spec.Plan) (bits uint32) {
	if p.VERW {
		bits |= secureVERW
	}
	if p.RSB {
		bits |= secureRSB
	}
	if kind == vcpu.XSAVEOPT {
		bits |= secureOPT
	}
	return bits
}

// startSpec sets the calling CPU up.
func startSpec(p *spec.Plan) {
	if p.SpecCtrl != 0 {
		insn.WRMSR(spec.MSRSpecCtrl, p.SpecCtrl)
	}
	if p.AutoIBRS {
		insn.WRMSR(x86.MSREFER, insn.RDMSR(x86.MSREFER)|spec.EFERAIBRS)
	}
}

// barrier keeps what ran on this CPU from steering, or being read by, what runs
// next: another domain.
func (b *Backend) barrier() {
	if b.env.Spec.IBPB {
		b.wrmsr(spec.MSRPredCmd, spec.PredIBPB)
	}
	if b.env.Spec.L1D {
		b.wrmsr(spec.MSRFlushCmd, spec.FlushL1D)
	}
}

// setSpecCtrl gives the guest its IA32_SPEC_CTRL. What the hypervisor has set
// stays set in the guest, which does not see it: so most guests need no switch.
func (v *VCPU) setSpecCtrl(val uint64) {
	p, f := &v.b.env.Spec, v.frame
	v.specCtrl = val & p.Guest
	f.hostCtrl = uint32(p.SpecCtrl)
	f.guestCtrl = uint32(v.specCtrl | p.SpecCtrl)
	f.secure &^= secureCtrl
	if f.guestCtrl != f.hostCtrl {
		f.secure |= secureCtrl
	}
}
