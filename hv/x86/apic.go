// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package x86

import "math/bits"

// APICPage is the registers of a local APIC as CPUs that virtualize it keep them
// in memory: register n (its xAPIC offset divided by 16, its x2APIC MSR minus
// 0x800) is word 4*n, and what x2APIC mode has above bit 31 is the next word (SDM
// Vol. 3, "Virtual APIC State"; APM Vol. 2, "Virtual APIC Backing Page").
type APICPage [1024]uint32

// The registers that such CPUs change by themselves, and the one that says which
// ends of interrupts they must report.
const (
	APICTPR     = 0x08
	APICPPR     = 0x0a
	APICEOI     = 0x0b
	APICSelfIPI = 0x3f
	APICISR     = 0x10 // to 0x17: in service
	APICTMR     = 0x18 // to 0x1f: level-triggered
	APICIRR     = 0x20 // to 0x27: requested
)

// Reg returns register n.
func (p *APICPage) Reg(n int) *uint32 { return &p[4*n&(len(p)-1)] }

// Vectors returns 64 of the vectors of a set that begins at register set:
// 64*i to 64*i+63, i below 4.
func (p *APICPage) Vectors(set, i int) uint64 {
	return uint64(*p.Reg(set + 2*i)) | uint64(*p.Reg(set + 2*i + 1))<<32
}

// SetVectors is the inverse.
func (p *APICPage) SetVectors(set, i int, v uint64) {
	*p.Reg(set + 2*i), *p.Reg(set + 2*i + 1) = uint32(v), uint32(v>>32)
}

// Highest returns the highest vector of a set, 0 when it is empty.
func (p *APICPage) Highest(set int) uint8 {
	r := (*[29]uint32)(p[4*set:])
	if r[0]|r[4]|r[8]|r[12]|r[16]|r[20]|r[24]|r[28] == 0 {
		return 0 // as most often
	}
	i := 7
	for r[4*i] == 0 && i > 0 {
		i--
	}
	return uint8(i<<5 + bits.Len32(r[4*i]) - 1)
}
