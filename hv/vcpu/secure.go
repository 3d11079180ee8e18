// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "ringo/hv/spec"

// What a backend's entry code does around a run, for its secure_amd64.h.
const (
	SecureCtrl = 1 << 0 // IA32_SPEC_CTRL differs in the guest
	SecureVERW = 1 << 1
	SecureRSB  = 1 << 2
	SecureOPT  = 1 << 3 // save by XSAVEOPT
)

// Components of XCR0.
const (
	xcr0AVX    = 1 << 2
	xcr0AVX512 = 7 << 5
)

// EntryKind is the entry code for CPUs that save by kind, under plan p: that of
// XSAVEOPT is for those with AVX, without AVX-512, that need nothing around a run;
// that of XSAVE knows all of that.
func EntryKind(kind FPUKind, xcr0 uint64, p *spec.Plan) FPUKind {
	if kind == XSAVEOPT && (xcr0&xcr0AVX == 0 || xcr0&xcr0AVX512 != 0 || p.PerRun()) {
		return XSAVE
	}
	return kind
}

// Secure are the bits that do not change while a vCPU lives.
func Secure(kind FPUKind, p *spec.Plan) (bits uint32) {
	if p.VERW {
		bits |= SecureVERW
	}
	if p.RSB {
		bits |= SecureRSB
	}
	if kind == XSAVEOPT {
		bits |= SecureOPT
	}
	return bits
}
