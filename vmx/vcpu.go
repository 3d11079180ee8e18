// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// VCPU implements vcpu.VCPU.
type VCPU struct {
	b      *Backend
	frame  *frame
	apic   *x86.APICPage
	tables *pt.Tables
	pages  mm.HPA // VMCS, virtual-APIC page, frame
	npages int
	eptp   uint64
	vpid   uint16 // 0: the CPU has none

	cache

	// on is the CPU that v ran on last, nil at first. While loaded, v's VMCS is
	// current there, and only the thread bound to it may use v. tablesGen is
	// the generation of tables that on's TLB may know.
	on         *cpu
	loaded     bool
	at         int // on's number while loaded, else -1
	configured bool
	tablesGen  uint64

	todo todo
	ev   events
	dbg  debug

	fpu vcpu.FPUKind // copy of b.f's, for Run

	crHidden   uint64 // CR0.CD and CR0.NW as the guest sees them
	tscAux     uint64
	live       [numLive]uint64 // MSRs while they are not in a CPU
	liveSet    bool            // they differ from what on has
	parkedXCR0 uint32          // XCR0 while CR4.OSXSAVE is clear

	eoiExit [4]uint64 // what the VMCS has: vectors whose EOI exits
}

var (
	_ vcpu.VCPU      = (*VCPU)(nil)
	_ vcpu.LocalAPIC = (*VCPU)(nil)
)

// todo are the reasons to take the slow way through prepare.
type todo uint16

const (
	todoWrite    todo = 1 << iota // fields to write
	todoFlush                     // translations to drop
	todoEvents                    // ev has something for the next entry
	todoDebug                     // debug registers to load, or to take out
	todoShutdown                  // a triple fault happened in Inject
	todoMSRs                      // MSRs to write
	todoPaging                    // a control register changed
	todoAPIC                      // the virtual-APIC page changed
	todoWrap                      // RIP went beyond 4 GiB
)

// Run implements vcpu.VCPU. Exits that an instruction caused are the frequent
// ones: they are translated here when they left nothing to look after but
// themselves, all others by finish.
func (v *VCPU) Run(cpu int, x *vcpu.Exit) {
	for {
		seen := v.seen()
		switch {
		case v.at != cpu, v.todo != 0, v.tables.Generation() != v.tablesGen:
			if !v.prepare(v.b.cpus[cpu], x) {
				return
			}
		}
		in := uint64(0)
		if v.fpu == vcpu.XSAVEOPT {
			in = enterXSAVEOPT(v.frame)
		} else {
			in = v.enterOther()
		}
		if in == 0 {
			v.refused(x)
			return
		}
		v.entered(seen)
		f := v.frame
		x.TSC = f.tsc
		v.valid = stable
		if n := uint32(f.reason); n < uint32(len(quick)) && quick[n] != 0 && v.todo == 0 && f.vectoring&evValid == 0 {
			x.Reason, x.Len = quick[n], uint8(f.length)
			x.CPL, x.RIP = f.cpl(), f.rip
			x.Raw[0], x.Raw[1], x.Raw[2] = uint64(n), 0, 0
			if n != reasonIO || f.quickIO(x) {
				return
			}
		}
		if v.finish(x) {
			if x.Reason == vcpu.Interrupted {
				v.takeKick()
			}
			return
		}
	}
}

// quickIO is the rest of a port access, but for INS and OUTS.
func (f *frame) quickIO(x *vcpu.Exit) bool {
	q := f.qualification
	x.Raw[1] = q
	x.IO = vcpu.IOExit{Port: uint16(q >> 16), Size: uint8(q&7) + 1, In: q&ioIn != 0}
	return q&ioString == 0
}

// enterOther enters the guest on hosts without XSAVEOPT. It returns 0 when a
// preemption request or a kick came first. Every path from there leads to a
// function with a stack check, which is where Go's preemption happens.
func (v *VCPU) enterOther() uint64 {
	switch v.fpu {
	case vcpu.XSAVE:
		return enterXSAVE(v.frame)
	case vcpu.FXSAVE:
		return enterFXSAVE(v.frame)
	}
	return v.b.pretend(v)
}

// refused reports a run that did not happen.
func (v *VCPU) refused(x *vcpu.Exit) {
	v.takeKick()
	*x = vcpu.Exit{Reason: vcpu.Interrupted, CPL: v.frame.cpl(), RIP: v.frame.rip, TSC: insn.RDTSC()}
}

// takeKick clears the words that keep v from entering. Whoever set one changed
// something first, and the caller of Run looks after Interrupted: nothing is
// missed.
func (v *VCPU) takeKick() {
	v.frame.kick.Store(0)
	v.on.kick.Clear()
}

// cpl is the privilege level: the DPL of SS, as of the last exit or SetSegment.
func (f *frame) cpl() uint8 { return uint8(f.ssAccess >> x86.SegDPLShift & 3) }

// Regs implements vcpu.VCPU.
func (v *VCPU) Regs() *x86.Regs { return &v.frame.regs }

// Kick implements vcpu.VCPU.
func (v *VCPU) Kick() { v.frame.kick.Store(1) }

// Advance implements vcpu.VCPU. It calls nothing, which makes it short.
func (v *VCPU) Advance(n uint8) {
	f := v.frame
	rip := f.rip + uint64(n)
	if (f.rip^rip)>>32 != 0 && f.rip>>32 == 0 {
		v.todo |= todoWrap
	}
	f.rip = rip
	if f.interrupt&blockedOnce != 0 {
		v.setInterrupt(f.interrupt &^ blockedOnce)
	}
}

// wrap makes RIP, which Advance has moved beyond 4 GiB, one of 32 bits outside
// 64-bit code.
func (v *VCPU) wrap() {
	v.todo &^= todoWrap
	if !v.code64() {
		v.frame.rip &= 0xffff_ffff
	}
}

// code64 reports whether the guest runs 64-bit code.
func (v *VCPU) code64() bool {
	return v.val[sEFER]&x86.EFERLMA != 0 && v.get(sAccess+slot(x86.CS))&x86.SegL != 0
}

// setInterrupt writes the interruptibility state.
func (v *VCPU) setInterrupt(s uint64) {
	v.frame.interrupt = s
	v.put(sInterrupt, s)
}

// Free implements vcpu.VCPU.
func (v *VCPU) Free() {
	if v.npages == 0 {
		return
	}
	b := v.b
	v.Leave()
	if v.vpid != 0 {
		b.mu.Lock()
		b.vpids.put(v.vpid)
		b.mu.Unlock()
	}
	b.env.Phys.Zero(v.pages, uint64(v.npages)*mm.PageSize)
	b.env.Release(v.pages, v.npages)
	*v = VCPU{b: b, at: -1}
}
