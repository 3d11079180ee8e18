// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/internal/part"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/vlapic"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// cpuid answers from the partition's table. It calls nothing: most leaves depend on
// nothing.
func cpuid(_ *Runner, v *part.VCPU, x *vcpu.Exit) action {
	g, c := v.Regs, v.CPUID
	leaf := uint32(g.RAX)
	if !c.Constant(leaf) || !x.Ahead {
		return rare
	}
	res := c.Basic(leaf)
	g.RAX, g.RBX, g.RCX, g.RDX = uint64(res.EAX), uint64(res.EBX), uint64(res.ECX), uint64(res.EDX)
	return resume
}

// anyCPUID answers every leaf.
func anyCPUID(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if !r.advance(v, x) {
		return resume
	}
	g := v.Regs
	leaf := uint32(g.RAX)
	const features, states = 1, 0xd // the leaves that depend on CR4 and XCR0
	if leaf == features || leaf == states {
		v.View.CR4, v.View.XCR0 = v.HW.Get(x86.CR4), v.HW.Get(x86.XCR0)
	}
	res := v.CPUID.Get(&v.View, leaf, uint32(g.RCX))
	g.RAX, g.RBX, g.RCX, g.RDX = uint64(res.EAX), uint64(res.EBX), uint64(res.ECX), uint64(res.EDX)
	return resume
}

// rdmsr reads the MSR that a guest without x2APIC mode reads most. It calls nothing.
func rdmsr(_ *Runner, v *part.VCPU, x *vcpu.Exit) action {
	g := v.Regs
	if uint32(g.RCX) != x86.MSRAPICBase || !x.Ahead {
		return rare
	}
	var l *vlapic.LAPIC = v.APIC // naming the type lets the compiler put its methods in line
	val := l.Base()
	g.RAX, g.RDX = val&0xffff_ffff, val>>32
	return resume
}

// anyRDMSR reads an MSR as the policy says.
func anyRDMSR(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if !x.Ahead && !r.advance(v, x) {
		return resume
	}
	g := v.Regs
	var val uint64
	var ok bool
	a := resume
	if msr := uint32(g.RCX); policy.IsLAPIC(msr) {
		syncCR8(v)
		val, ok = v.APIC.ReadMSR(msr, x.TSC)
		if v.APIC.Virtual() {
			a = look // the timer may have fired meanwhile
		}
	} else {
		val, ok = readMSR(v, msr, x.TSC)
	}
	if !ok {
		return fault(v)
	}
	g.RAX, g.RDX = val&0xffff_ffff, val>>32
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
	case policy.StealTime:
		return v.StealTime(), true
	case policy.EOIWord:
		return v.EOIWord(), true
	}
	return 0, false
}

// wrmsr writes an MSR as the policy says.
func wrmsr(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if !x.Ahead && !r.advance(v, x) {
		return resume
	}
	g := v.Regs
	var a action
	var ok bool
	msr, val := uint32(g.RCX), g.RDX<<32|g.RAX&0xffff_ffff
	if msr == x86.MSRTSCDeadline {
		return r.deadline(v, val, x.TSC)
	}
	if policy.IsLAPIC(msr) {
		a, ok = writeLAPIC(v, msr, val, x.TSC)
	} else {
		a, ok = writeMSR(v, msr, val, x.TSC)
	}
	if !ok {
		return fault(v)
	}
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
	case policy.StealTime:
		return resume, v.SetStealTime(val)
	case policy.EOIWord:
		return resume, v.SetEOIWord(val)
	}
	return resume, false
}

// deadline sets the timer of v's local APIC, which a guest does for each of its ticks:
// while nothing is due, or waits to be delivered, all that is to be done is to set the
// host's.
func (r *Runner) deadline(v *part.VCPU, val, now uint64) action {
	v.APIC.WriteMSR(x86.MSRTSCDeadline, val, now)
	at := min(r.until, v.Deadline(), r.cpu.Timers.Next())
	if at <= now || !v.APIC.Settled() {
		return look
	}
	r.host.Arm(at)
	return resume
}

// writeLAPIC is the most frequent write of all: EOI.
func writeLAPIC(v *part.VCPU, msr uint32, val, now uint64) (action, bool) {
	ok := v.APIC.WriteMSR(msr, val, now)
	v.View.NoAPIC = !v.APIC.Enabled()
	switch {
	case msr == x86.MSRX2APICBase+x86.APICEOI && v.APIC.Settled(),
		msr == x86.MSRX2APICBase+x86.APICSelfIPI && ok && selfIPI(v):
		return resume, ok
	}
	return look, ok
}

// xsetbv writes XCR0 (SDM Vol. 2, "XSETBV").
func xsetbv(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	if !x.Ahead && !r.advance(v, x) {
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
	return resume
}
