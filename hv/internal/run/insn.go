// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/internal/policy"
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

// crWrite is a MOV to CR0, CR4 or CR8, LMSW or CLTS.
func crWrite(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	insn, ok := r.crInsn(v, x)
	if !ok || x.CPL != 0 {
		return resume
	}
	var val uint64
	switch insn.Op {
	case decode.MovToCR:
		val = gpr(v, insn.Reg)
	case decode.CLTS:
		val = v.HW.Get(x86.CR0) &^ x86.CR0TS
	case decode.LMSW:
		return r.emu.start(&insn, x.TSC)
	default:
		return resume // the bytes have changed
	}
	if !setCR(v, insn.CR, val) {
		return fault(v)
	}
	v.HW.Advance(insn.Len)
	return look
}

// crRead is a MOV from a control register that the backend intercepts, or SMSW,
// which user programs may execute too.
func crRead(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	insn, ok := r.crInsn(v, x)
	switch {
	case ok && insn.Op == decode.SMSW:
		return r.emu.start(&insn, x.TSC)
	case !ok || insn.Op != decode.MovFromCR || x.CPL != 0:
		return resume // the bytes have changed
	}
	reg, ok := crRegs[insn.CR]
	if !ok {
		return raise(v, x86.VecUD, false, 0)
	}
	if val := v.HW.Get(reg); insn.Reg == 4 {
		v.HW.Set(x86.RSP, val)
	} else {
		*v.Regs.GPR(insn.Reg) = val
	}
	v.HW.Advance(insn.Len)
	return resume
}

var crRegs = map[uint8]x86.Reg{0: x86.CR0, 2: x86.CR2, 3: x86.CR3, 4: x86.CR4, 8: x86.CR8}

// drWrite is a MOV to a debug register (SDM Vol. 3, "Debug Registers"). The CPU
// has checked the privilege level of the instruction that was there.
func drWrite(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	insn := r.emu.exiting(v)
	if insn == nil || insn.Op != decode.MovToDR || x.CPL != 0 {
		return resume // the bytes have changed
	}
	val := gpr(v, insn.Reg)
	if insn.Size == 4 {
		val &= 0xffff_ffff
	}
	reg := x86.DR0 + x86.Reg(insn.CR)
	switch insn.CR {
	case 0, 1, 2, 3:
	case 4, 5, 6, 7:
		if insn.CR < 6 && v.HW.Get(x86.CR4)&x86.CR4DE != 0 {
			return raise(v, x86.VecUD, false, 0)
		}
		if val>>32 != 0 {
			return fault(v)
		}
		if insn.CR&1 != 0 {
			reg, val = x86.DR7, val&^0xd800|0x400
		} else {
			reg, val = x86.DR6, val&0xe00f|0xffff_0ff0
		}
	}
	v.HW.Set(reg, val)
	v.HW.Advance(insn.Len)
	return resume
}

// crInsn finds out which instruction the exit is about.
func (r *Runner) crInsn(v *part.VCPU, x *vcpu.Exit) (decode.Insn, bool) {
	if x.CR.Known && x.Len != 0 {
		op := decode.MovToCR
		if x.Reason == vcpu.CRRead {
			op = decode.MovFromCR
		}
		return decode.Insn{Op: op, Len: x.Len, CR: x.CR.CR, Reg: x.CR.GPR}, true
	}
	if i := r.emu.exiting(v); i != nil {
		return *i, true
	}
	return decode.Insn{}, false
}

// setCR writes a control register as the guest's CPU would, and reports false
// for #GP(0).
func setCR(v *part.VCPU, cr uint8, val uint64) bool {
	switch cr {
	case 0:
		return setCR0(v, val)
	case 4:
		return setCR4(v, val)
	case 8:
		if val > 15 {
			return false
		}
		v.HW.Set(x86.CR8, val)
		return true
	}
	return false
}

// setCR0 checks what the SDM does (Vol. 3, "Control Registers", and Vol. 2,
// "MOV - Move to/from Control Registers").
func setCR0(v *part.VCPU, val uint64) bool {
	if !policy.IsCR0(val) {
		return false
	}
	old, efer, cr4 := v.HW.Get(x86.CR0), v.HW.Get(x86.EFER), v.HW.Get(x86.CR4)
	if val&x86.CR0PG != 0 && old&x86.CR0PG == 0 && efer&x86.EFERLME != 0 {
		cs := v.HW.Segment(x86.CS)
		if cr4&x86.CR4PAE == 0 || cs.Access&x86.SegL != 0 {
			return false
		}
	}
	if val&x86.CR0PG == 0 && old&x86.CR0PG != 0 {
		if v.HW.Segment(x86.CS).Access&x86.SegL != 0 && efer&x86.EFERLMA != 0 || cr4&x86.CR4PCIDE != 0 {
			return false
		}
	}
	const known = x86.CR0PE | x86.CR0MP | x86.CR0EM | x86.CR0TS | x86.CR0NE | x86.CR0WP | x86.CR0AM | x86.CR0NW | x86.CR0CD | x86.CR0PG
	v.HW.Set(x86.CR0, val&known|x86.CR0ET)
	return true
}

// setCR4 allows the bits whose features the guest was offered.
func setCR4(v *part.VCPU, val uint64) bool {
	if val&^v.Dom.Plat.CPUID.CR4Allowed() != 0 {
		return false
	}
	if v.HW.Get(x86.EFER)&x86.EFERLMA != 0 && val&x86.CR4PAE == 0 {
		return false
	}
	v.HW.Set(x86.CR4, val)
	return true
}

// isBadCRWrite reports whether v stands at a MOV to CR3 or CR4 with reserved
// bits, for which some emulators refuse the entry instead of raising #GP.
func (r *Runner) isBadCRWrite(v *part.VCPU) bool {
	i := r.emu.exiting(v)
	return i != nil && i.Op == decode.MovToCR && (i.CR == 3 || i.CR == 4)
}
