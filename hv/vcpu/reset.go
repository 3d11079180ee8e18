// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "ringo/hv/x86"

// Register values after reset (SDM Vol. 3, Table "IA-32 and Intel 64 Processor
// States Following Power-up, Reset, or INIT").
const (
	ResetCR0 = x86.CR0CD | x86.CR0NW | x86.CR0ET
	ResetDR6 = 0xffff_0ff0
	ResetDR7 = 0x400
	ResetPAT = 0x0007_0406_0007_0406
	ResetRIP = 0xfff0
	ResetRDX = 0x600 // family 6
)

// ResetSegment is segment register s after reset.
func ResetSegment(s x86.Seg) x86.Segment {
	seg := x86.Segment{Limit: 0xffff, Access: 0x93}
	switch s {
	case x86.CS:
		seg.Selector, seg.Base, seg.Access = 0xf000, 0xffff_0000, 0x9b
	case x86.LDTR:
		seg.Access = 0x82
	case x86.TR:
		seg.Access = 0x8b
	}
	return seg
}

// Reset puts v into the state after reset: its registers, with nothing on its
// way to it and nothing blocked. It leaves the TSC offset alone, and the x87, SSE
// and AVX state, which the backends keep.
func Reset(v VCPU) {
	v.ClearEvents()
	*v.Regs() = x86.Regs{RDX: ResetRDX}
	for r := range x86.NumRegs {
		if r != x86.TSCOffset {
			v.Set(r, resetValue(r))
		}
	}
	for s := range x86.NumSegs {
		v.SetSegment(s, ResetSegment(s))
	}
}

func resetValue(r x86.Reg) uint64 {
	switch r {
	case x86.RIP:
		return ResetRIP
	case x86.RFLAGS:
		return x86.FlagReserved
	case x86.CR0:
		return ResetCR0
	case x86.DR6:
		return ResetDR6
	case x86.DR7:
		return ResetDR7
	case x86.PAT:
		return ResetPAT
	case x86.XCR0:
		return 1
	case x86.GDTRLimit, x86.IDTRLimit:
		return 0xffff
	}
	return 0
}
