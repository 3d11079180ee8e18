// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

// LegalXCR0 drops the components of x that the CPU would refuse without others
// that are absent (SDM Vol. 1, "Enabling the XSAVE Feature Set"): the entry code of
// a backend executes XSETBV where a fault would be fatal.
func LegalXCR0(x uint32) uint32 {
	const (
		sse, avx  = 1 << 1, 1 << 2
		mpx       = 3 << 3
		avx512    = 7 << 5
		tiles     = 3 << 17
		avxNeeds  = sse
		zmmNeeds  = sse | avx
		alwaysSet = 1
	)
	x |= alwaysSet
	if x&avxNeeds != avxNeeds {
		x &^= avx
	}
	if x&mpx != mpx {
		x &^= mpx
	}
	if x&avx512 != avx512 || x&zmmNeeds != zmmNeeds {
		x &^= avx512
	}
	if x&tiles != tiles {
		x &^= tiles
	}
	return x
}
