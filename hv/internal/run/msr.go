// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/internal/part"
	"ringo/hv/internal/policy"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// cpuid answers from the partition's table.
func cpuid(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.Len == 0 && !r.length(v, x) {
		return resume
	}
	g := v.Regs
	leaf := uint32(g.RAX)
	c := v.Dom.Plat.CPUID
	res := c.Constant(leaf)
	if res == nil {
		const features, states = 1, 0xd // the leaves that depend on CR4 and XCR0
		if leaf == features || leaf == states {
			v.View.CR4, v.View.XCR0 = v.HW.Get(x86.CR4), v.HW.Get(x86.XCR0)
		}
		answer := c.Get(&v.View, leaf, uint32(g.RCX))
		res = &answer
	}
	g.RAX, g.RBX, g.RCX, g.RDX = uint64(res.EAX), uint64(res.EBX), uint64(res.ECX), uint64(res.EDX)
	v.HW.Advance(x.Len)
	return resume
}

// rdmsr reads an MSR as the policy says.
func rdmsr(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.Len == 0 && !r.length(v, x) {
		return resume
	}
	g := v.Regs
	var val uint64
	var ok bool
	a := resume
	switch msr := uint32(g.RCX); {
	case msr == x86.MSRAPICBase:
		val, ok = v.APIC.Base(), true
	case policy.IsLAPIC(msr):
		syncCR8(v)
		val, ok = v.APIC.ReadMSR(msr, x.TSC)
		if v.APIC.Virtual() {
			a = look // the timer may have fired meanwhile
		}
	default:
		val, ok = readMSR(v, msr, x.TSC)
	}
	if !ok {
		return fault(v)
	}
	g.RAX, g.RDX = val&0xffff_ffff, val>>32
	v.HW.Advance(x.Len)
	return a
}

// readMSR reads any MSR at now, the host's TSC.
func readMSR(v *part.VCPU, msr uint32, now uint64) (uint64, bool) {
	val, act, w := v.Dom.Plat.MSRs.Read(&v.Stored, msr)
	switch act {
	case policy.LAPIC:
		return v.APIC.ReadMSR(msr, now)
	case policy.Done:
		return val, true
	case policy.Register:
		return v.HW.Get(w.Reg), true
	case policy.Segment:
		return v.HW.Segment(w.Seg).Base, true
	case policy.EFER:
		return v.HW.Get(x86.EFER), true
	case policy.TSC:
		return v.Time.Read(now), true
	case policy.TSCAdjust:
		return v.Time.Adjust, true
	case policy.SystemTime:
		return v.SystemTime(), true
	case policy.WallClock:
		return 0, true
	}
	return 0, false
}

// wrmsr writes an MSR as the policy says.
func wrmsr(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.Len == 0 && !r.length(v, x) {
		return resume
	}
	g := v.Regs
	var a action
	var ok bool
	msr, val := uint32(g.RCX), g.RDX<<32|g.RAX&0xffff_ffff
	if policy.IsLAPIC(msr) {
		a, ok = writeLAPIC(v, msr, val, x.TSC)
	} else {
		a, ok = writeMSR(v, msr, val, x.TSC)
	}
	if !ok {
		return fault(v)
	}
	v.HW.Advance(x.Len)
	return a
}

// writeMSR writes any MSR at now.
func writeMSR(v *part.VCPU, msr uint32, val, now uint64) (action, bool) {
	act, w := v.Dom.Plat.MSRs.Write(&v.Stored, msr, val)
	switch act {
	case policy.LAPIC:
		return writeLAPIC(v, msr, val, now)
	case policy.Done:
		return resume, true
	case policy.Register:
		v.HW.Set(w.Reg, val)
		return resume, true
	case policy.Segment:
		seg := v.HW.Segment(w.Seg)
		seg.Base = val
		v.HW.SetSegment(w.Seg, seg)
		return resume, true
	case policy.EFER:
		efer, ok := policy.EFERWrite(v.HW.Get(x86.EFER), val, v.Dom.Plat.CPUID.EFERAllowed(), v.HW.Get(x86.CR0))
		if ok {
			v.HW.Set(x86.EFER, efer)
		}
		return resume, ok
	case policy.TSC:
		v.Time.Write(val, now)
		v.TimeChanged(now)
		return look, true
	case policy.TSCAdjust:
		v.Time.WriteAdjust(val)
		v.TimeChanged(now)
		return look, true
	case policy.SystemTime:
		return resume, v.SetSystemTime(val)
	case policy.WallClock:
		return resume, v.WallClock(val)
	}
	return resume, false
}

// writeLAPIC is the most frequent write of all: EOI and the timer's deadline.
func writeLAPIC(v *part.VCPU, msr uint32, val, now uint64) (action, bool) {
	ok := v.APIC.WriteMSR(msr, val, now)
	v.View.NoAPIC = !v.APIC.Enabled()
	if msr == x86.MSRX2APICBase+0xb && v.APIC.Settled() { // EOI
		return resume, ok
	}
	return look, ok
}

// xsetbv writes XCR0 (SDM Vol. 2, "XSETBV").
func xsetbv(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if x.Len == 0 && !r.length(v, x) {
		return resume
	}
	g := v.Regs
	val := g.RDX<<32 | g.RAX&0xffff_ffff
	switch {
	case v.HW.Get(x86.CR4)&x86.CR4OSXSAVE == 0:
		return raise(v, x86.VecUD, false, 0)
	case x.CPL != 0 || uint32(g.RCX) != 0 || !v.Dom.Plat.CPUID.XCR0Allowed(val):
		return fault(v)
	}
	v.HW.Set(x86.XCR0, val)
	v.HW.Advance(x.Len)
	return resume
}
