// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/spec"
	"ringo/hv/vcpu"
)

// Bits of frame.secure, for the entry code (secure_amd64.h).
const (
	secureCtrl = vcpu.SecureCtrl
	secureVERW = vcpu.SecureVERW
	secureRSB  = vcpu.SecureRSB
	secureOPT  = vcpu.SecureOPT
)

// startSpec sets the calling CPU up.
func startSpec(p processor, s *spec.Plan) {
	if s.SpecCtrl != 0 {
		p.wrmsr(spec.MSRSpecCtrl, s.SpecCtrl)
	}
}

// barrier keeps what ran on this CPU from steering, or being read by, what runs
// next: another domain.
func barrier(p processor, s *spec.Plan) {
	if s.IBPB {
		p.wrmsr(spec.MSRPredCmd, spec.PredIBPB)
	}
	if s.L1D {
		p.wrmsr(spec.MSRFlushCmd, spec.FlushL1D)
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
