// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// wanted pairs exits with the instructions that cause them. When the bytes at
// RIP are something else, another vCPU has changed them since the exit: the
// guest executes them again.
var wanted = [vcpu.NumReasons][2]decode.Op{
	vcpu.CPUID:     {decode.CPUID},
	vcpu.RDMSR:     {decode.RDMSR},
	vcpu.WRMSR:     {decode.WRMSR},
	vcpu.Hypercall: {decode.VMMCALL, decode.VMCALL},
	vcpu.HLT:       {decode.HLT},
	vcpu.XSETBV:    {decode.XSETBV},
	vcpu.Cache:     {decode.INVD, decode.WBINVD},
	vcpu.IO:        {decode.In, decode.Out},
	vcpu.Exception: {decode.INT1},
}

// length makes sure that x.Len is known. It reports false when the instruction
// must be executed again, or a fault was injected.
func (r *Runner) length(v *part.VCPU, x *vcpu.Exit) bool {
	if x.Len != 0 {
		return true
	}
	i := r.emu.exiting(v)
	w := &wanted[x.Reason]
	if i == nil || i.Op != w[0] && i.Op != w[1] {
		return false
	}
	x.Len = i.Len
	return true
}

// gpr returns general-purpose register n of v.
func gpr(v *part.VCPU, n uint8) uint64 {
	if n == 4 {
		return v.HW.Get(x86.RSP)
	}
	return *v.Regs.GPR(n)
}
