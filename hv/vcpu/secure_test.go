// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import (
	"testing"

	"ringo/hv/spec"
)

// The fast entry code is for CPUs that need nothing else.
func TestEntryKind(t *testing.T) {
	none, rsb := &spec.Plan{}, &spec.Plan{RSB: true}
	for _, tt := range []struct {
		kind FPUKind
		xcr0 uint64
		p    *spec.Plan
		want FPUKind
		bits uint32
	}{
		{XSAVEOPT, 7, none, XSAVEOPT, SecureOPT},
		{XSAVEOPT, 7, &spec.Plan{IBPB: true, L1D: true}, XSAVEOPT, SecureOPT},
		{XSAVEOPT, 3, none, XSAVE, SecureOPT},
		{XSAVEOPT, 0xe7, none, XSAVE, SecureOPT},
		{XSAVEOPT, 7, rsb, XSAVE, SecureOPT | SecureRSB},
		{XSAVEOPT, 7, &spec.Plan{VERW: true}, XSAVE, SecureOPT | SecureVERW},
		{XSAVEOPT, 7, &spec.Plan{Guest: 1}, XSAVE, SecureOPT},
		{XSAVE, 7, none, XSAVE, 0},
		{FXSAVE, 0, rsb, FXSAVE, SecureRSB},
	} {
		if got, bits := EntryKind(tt.kind, tt.xcr0, tt.p), Secure(tt.kind, tt.p); got != tt.want || bits != tt.bits {
			t.Errorf("%d %#x %+v: kind %d bits %#x, want %d %#x", tt.kind, tt.xcr0, *tt.p, got, bits, tt.want, tt.bits)
		}
	}
}
