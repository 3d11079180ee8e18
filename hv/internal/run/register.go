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

// crWrite is a MOV to CR0, CR4 or CR8, LMSW or CLTS. Of these only CR8 can let an
// event through.
func crWrite(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	i := r.crInsn(v, x)
	if i == nil || x.CPL != 0 {
		return resume
	}
	now := &r.emu.now
	ok := false
	a := resume
	switch i.Op {
	case decode.MovToCR:
		val := gpr(v, i.Reg)
		switch i.CR {
		case 0:
			ok = setCR0(v, now, val)
		case 4:
			ok = setCR4(v, now, val)
		case 8:
			a, ok = setCR8(v, val)
		}
	case decode.CLTS:
		ok = setCR0(v, now, now.CR0&^x86.CR0TS)
	case decode.LMSW:
		return r.emu.start(i, x.TSC)
	default:
		return resume // the bytes have changed
	}
	if !ok {
		return fault(v)
	}
	v.HW.Advance(i.Len)
	return a
}

// crRead is a MOV from a control register that the backend intercepts, or SMSW,
// which user programs may execute too.
func crRead(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	i := r.crInsn(v, x)
	switch {
	case i != nil && i.Op == decode.SMSW:
		return r.emu.start(i, x.TSC)
	case i == nil || i.Op != decode.MovFromCR || x.CPL != 0:
		return resume // the bytes have changed
	}
	var val uint64
	switch i.CR {
	case 0:
		val = r.emu.now.CR0
	case 2:
		val = v.HW.Get(x86.CR2)
	case 3:
		val = r.emu.now.CR3
	case 4:
		val = r.emu.now.CR4
	case 8:
		val = v.HW.Get(x86.CR8)
	default:
		return raise(v, x86.VecUD, false, 0)
	}
	if i.Reg == 4 {
		v.HW.Set(x86.RSP, val)
	} else {
		*v.Regs.GPR(i.Reg) = val
	}
	v.HW.Advance(i.Len)
	return resume
}

// drWrite is a MOV to a debug register (SDM Vol. 3, "Debug Registers"). The CPU
// has checked the privilege level of the instruction that was there.
func drWrite(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	i := r.emu.exiting(v)
	if i == nil || i.Op != decode.MovToDR || x.CPL != 0 {
		return resume // the bytes have changed
	}
	val := gpr(v, i.Reg)
	if i.Size == 4 {
		val &= 0xffff_ffff
	}
	reg := x86.DR0 + x86.Reg(i.CR)
	switch i.CR {
	case 0, 1, 2, 3:
	case 4, 5, 6, 7:
		if i.CR < 6 && r.emu.now.CR4&x86.CR4DE != 0 {
			return raise(v, x86.VecUD, false, 0)
		}
		if val>>32 != 0 {
			return fault(v)
		}
		if i.CR&1 != 0 {
			reg, val = x86.DR7, val&^0xd800|0x400
		} else {
			reg, val = x86.DR6, val&0xe00f|0xffff_0ff0
		}
	}
	v.HW.Set(reg, val)
	v.HW.Advance(i.Len)
	return resume
}

// crInsn finds out which instruction the exit is about, nil if it has changed or
// cannot be fetched, and takes a snapshot of v.
func (r *Runner) crInsn(v *part.VCPU, x *vcpu.Exit) *decode.Insn {
	e := &r.emu
	if !x.CR.Known || x.Len == 0 {
		return e.exiting(v)
	}
	v.HW.Snapshot(&e.now)
	i := &e.told
	i.Op, i.Len, i.CR, i.Reg = decode.MovToCR, x.Len, x.CR.CR, x.CR.GPR
	if x.Reason == vcpu.CRRead {
		i.Op = decode.MovFromCR
	}
	return i
}

// setCR0 writes CR0 of v, whose state is now, as the guest's CPU would, and reports
// false for #GP(0). It checks what the SDM does (Vol. 3, "Control Registers", and
// Vol. 2, "MOV - Move to/from Control Registers").
func setCR0(v *part.VCPU, now *vcpu.Snapshot, val uint64) bool {
	if !policy.IsCR0(val) || (val^now.CR0)&x86.CR0PG != 0 && !switchesPaging(now, val) {
		return false
	}
	const known = x86.CR0PE | x86.CR0MP | x86.CR0EM | x86.CR0TS | x86.CR0NE | x86.CR0WP | x86.CR0AM | x86.CR0NW | x86.CR0CD | x86.CR0PG
	v.HW.Set(x86.CR0, val&known|x86.CR0ET)
	return true
}

// switchesPaging reports whether a CPU in the state now turns paging on or off, as
// val says.
func switchesPaging(now *vcpu.Snapshot, val uint64) bool {
	long := now.CSAccess&x86.SegL != 0
	if val&x86.CR0PG != 0 {
		return now.EFER&x86.EFERLME == 0 || now.CR4&x86.CR4PAE != 0 && !long
	}
	return !(long && now.EFER&x86.EFERLMA != 0) && now.CR4&x86.CR4PCIDE == 0
}

// setCR4 is setCR0 for CR4. It allows the bits whose features the guest was offered.
func setCR4(v *part.VCPU, now *vcpu.Snapshot, val uint64) bool {
	if val&^v.Dom.Plat.CPUID.CR4Allowed() != 0 || now.EFER&x86.EFERLMA != 0 && val&x86.CR4PAE == 0 {
		return false
	}
	v.HW.Set(x86.CR4, val)
	return true
}

// setCR8 is setCR0 for the task priority. It says as well whether v has to look for
// an interrupt that waits for that.
func setCR8(v *part.VCPU, val uint64) (a action, ok bool) {
	if val > 15 {
		return resume, false
	}
	v.HW.Set(x86.CR8, val)
	if !v.APIC.Away() {
		setTPR(v, uint8(val))
	}
	if v.APIC.Virtual() || !v.APIC.Settled() {
		return look, true
	}
	return resume, true
}

// isBadCRWrite reports whether v stands at a MOV to CR3 or CR4 with reserved
// bits, for which some emulators refuse the entry instead of raising #GP.
func (r *Runner) isBadCRWrite(v *part.VCPU) bool {
	i := r.emu.exiting(v)
	return i != nil && i.Op == decode.MovToCR && (i.CR == 3 || i.CR == 4)
}
