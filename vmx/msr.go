// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import "ringo/hv/x86"

// liveMSRs are the MSRs that the guest uses without exits and the CPU does not
// switch. They keep the values of the vCPU that ran last (cpu.live), also while
// the host runs: the host has no use for them, see the package comment.
var liveMSRs = [numLive]uint32{x86.MSRSTAR, x86.MSRLSTAR, x86.MSRCSTAR, x86.MSRSFMASK, x86.MSRKernelGSBase}

const numLive = 5

// liveIndex is the index of r in liveMSRs.
func liveIndex(r x86.Reg) (int, bool) {
	switch r {
	case x86.STAR:
		return 0, true
	case x86.LSTAR:
		return 1, true
	case x86.CSTAR:
		return 2, true
	case x86.SFMASK:
		return 3, true
	case x86.KernelGSBase:
		return 4, true
	}
	return 0, false
}

// legalMSR makes val one that WRMSR takes: canonical addresses, and 32 bits of
// SFMASK. A guest's own WRMSR would have raised #GP.
func legalMSR(i int, val uint64) uint64 {
	switch liveMSRs[i] {
	case x86.MSRSTAR:
		return val
	case x86.MSRSFMASK:
		return val & 0xffff_ffff
	}
	return uint64(int64(val<<16) >> 16)
}

// getLive returns MSR i of the guest.
func (v *VCPU) getLive(i int) uint64 {
	if v.loaded && v.on.live == v {
		v.live[i] = v.on.p.rdmsr(liveMSRs[i])
	}
	return v.live[i]
}

// setLive changes it.
func (v *VCPU) setLive(i int, val uint64) {
	v.live[i] = legalMSR(i, val)
	if v.loaded && v.on.live == v {
		v.on.p.wrmsr(liveMSRs[i], v.live[i])
	} else {
		v.liveSet = true
	}
}

// loadMSRs gives the CPU what Set has changed.
func (v *VCPU) loadMSRs(c *cpu) {
	if v.liveSet {
		for i, msr := range liveMSRs {
			c.p.wrmsr(msr, v.live[i])
		}
		v.liveSet = false
	}
	v.loadTSCAux(c)
}

func (v *VCPU) loadTSCAux(c *cpu) {
	if c.tscAux != v.tscAux && v.b.f.tscAux {
		c.tscAux = v.tscAux
		c.p.wrmsr(x86.MSRTSCAux, c.tscAux)
	}
}
