// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/bus"
	"ringo/hv/decode"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

type busDevice = bus.Device

func ptAddr(a mm.GPA) pt.Addr { return pt.Addr(a) }

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
}

// length makes sure that x.Len is known. It reports false when the instruction
// must be executed again, or a fault was injected.
func (r *Runner) length(v *part.VCPU, x *vcpu.Exit) bool {
	if x.Len != 0 {
		return true
	}
	s := r.state(v)
	n, ok := r.fetch(v, &s)
	if !ok {
		return false
	}
	insn, ok := decode.Exiting(r.insn[:n], s.Mode)
	w := &wanted[x.Reason]
	if !ok || insn.Op != w[0] && insn.Op != w[1] {
		return false
	}
	x.Len = insn.Len
	return true
}

// crWrite is a MOV to CR0 or CR4, LMSW or CLTS.
func crWrite(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	s := r.state(v)
	insn, ok := r.crInsn(v, x, &s)
	if !ok {
		return resume
	}
	cr0 := v.HW.Get(x86.CR0)
	var val uint64
	switch insn.Op {
	case decode.MovToCR:
		val = *s.GPR(insn.Reg)
	case decode.CLTS:
		val = cr0 &^ x86.CR0TS
	case decode.LMSW:
		w, ok := r.lmsw(v, &insn, &s)
		if !ok {
			return resume
		}
		// LMSW can set PE but not clear it (SDM Vol. 2, "LMSW").
		const low = x86.CR0PE | x86.CR0MP | x86.CR0EM | x86.CR0TS
		val = cr0&^(low&^x86.CR0PE) | w&low
	default:
		return resume // the bytes have changed
	}
	if !r.setCR(v, insn.CR, val) {
		return fault(v)
	}
	v.HW.Advance(insn.Len)
	return look
}

// crRead is a MOV from a control register that the backend intercepts.
func crRead(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	s := r.state(v)
	insn, ok := r.crInsn(v, x, &s)
	if !ok || insn.Op != decode.MovFromCR {
		return resume
	}
	reg, ok := crRegs[insn.CR]
	if !ok {
		return raise(v, x86.VecUD, false, 0)
	}
	*s.GPR(insn.Reg) = v.HW.Get(reg)
	v.HW.Set(x86.RSP, s.RSP)
	v.HW.Advance(insn.Len)
	return resume
}

var crRegs = map[uint8]x86.Reg{0: x86.CR0, 2: x86.CR2, 3: x86.CR3, 4: x86.CR4, 8: x86.CR8}

// drWrite is a MOV to a debug register (SDM Vol. 3, "Debug Registers"). The CPU
// has checked the privilege level.
func drWrite(r *Runner, v *part.VCPU, _ *vcpu.Exit) action {
	s := r.state(v)
	n, ok := r.fetch(v, &s)
	if !ok {
		return resume
	}
	insn, ok := decode.Exiting(r.insn[:n], s.Mode)
	if !ok || insn.Op != decode.MovToDR {
		return resume // the bytes have changed
	}
	val := *s.GPR(insn.Reg)
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
func (r *Runner) crInsn(v *part.VCPU, x *vcpu.Exit, s *decode.State) (decode.Insn, bool) {
	if x.CR.Known && x.Len != 0 {
		op := decode.MovToCR
		if x.Reason == vcpu.CRRead {
			op = decode.MovFromCR
		}
		return decode.Insn{Op: op, Len: x.Len, CR: x.CR.CR, Reg: x.CR.GPR}, true
	}
	n, ok := r.fetch(v, s)
	if !ok {
		return decode.Insn{}, false
	}
	return decode.Exiting(r.insn[:n], s.Mode)
}

// lmsw fetches the operand of LMSW.
func (r *Runner) lmsw(v *part.VCPU, i *decode.Insn, s *decode.State) (uint64, bool) {
	if i.Src != decode.Mem {
		return *s.GPR(i.Reg) & 0xffff, true
	}
	gpa, ok := r.translate(v, mm.GVA(i.Linear(s)), false)
	if !ok || !r.ram.Read(gpa, r.word[:2]) {
		return 0, false
	}
	return uint64(r.word[0]) | uint64(r.word[1])<<8, true
}

// setCR writes a control register as the guest's CPU would, and reports false
// for #GP(0).
func (r *Runner) setCR(v *part.VCPU, cr uint8, val uint64) bool {
	switch cr {
	case 0:
		return r.setCR0(v, val)
	case 4:
		return r.setCR4(v, val)
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
func (r *Runner) setCR0(v *part.VCPU, val uint64) bool {
	if val>>32 != 0 || val&x86.CR0PG != 0 && val&x86.CR0PE == 0 || val&x86.CR0NW != 0 && val&x86.CR0CD == 0 {
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
func (r *Runner) setCR4(v *part.VCPU, val uint64) bool {
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
	s := r.state(v)
	n, f := r.walk.ReadVirtual(&r.ram, r.insn[:], mm.GVA(s.RIP), 0)
	if n == 0 || f.Kind > 0 && n == 0 {
		return false
	}
	insn, ok := decode.Exiting(r.insn[:n], s.Mode)
	return ok && insn.Op == decode.MovToCR && (insn.CR == 3 || insn.CR == 4)
}
