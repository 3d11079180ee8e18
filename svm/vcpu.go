// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

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
	vmcb   *vmcb
	frame  *frame
	costs  *vcpu.Costs
	cost   uint64 // its address
	tables *pt.Tables
	pages  mm.HPA // VMCB, frame, costs
	npages int

	// on is the CPU that v ran on last, nil at first; at is its number while v
	// is the one that it has loaded, else -1. asidGen is the generation of on
	// that vmcb.asid belongs to, 0 for none; tablesGen is the generation of
	// tables that the TLB may know.
	on        *cpu
	at        int
	asidGen   uint64
	tablesGen uint64

	todo todo
	ev   events
	dbg  debug
	lens lengths

	fpu   vcpu.FPUKind // copies of b.f, for Run
	nrips bool
	clean uint32

	crShadow   uint64 // CR0.CD and CR0.NW as the guest sees them
	cr4Forced  uint64 // bits of CR4 that the guest has not set
	tscAux     uint64
	specCtrl   uint64 // IA32_SPEC_CTRL as the guest sees it
	parkedXCR0 uint32 // XCR0 while CR4.OSXSAVE is clear
}

var (
	_ vcpu.VCPU    = (*VCPU)(nil)
	_ vcpu.Metered = (*VCPU)(nil)
)

// todo are the reasons to take the slow way through prepare.
type todo uint8

const (
	todoFlush    todo = 1 << iota // translations to drop, or a flush in the VMCB
	todoEvents                    // ev has something for the next entry
	todoDebug                     // debug registers to load, or to take out
	todoShutdown                  // a triple fault happened in Inject
	todoSwitch                    // TSC_AUX changed
	todoFresh                     // ev has one event of Inject's for the next entry; alone: and nothing else
)

// Run implements vcpu.VCPU. Exits that an instruction caused are the frequent
// ones: they are translated here when nothing else is going on, all others by
// finish.
func (v *VCPU) Run(cpu int, x *vcpu.Exit) {
	for {
		seen := v.seen()
		switch {
		case v.at != cpu, v.todo != 0, v.tables.Generation() != v.tablesGen:
			if !v.prepare(cpu, x) {
				return
			}
		}
		if v.fpu == vcpu.XSAVEOPT {
			enterXSAVEOPT(v.frame)
		} else {
			v.enterOther()
		}
		v.entered(seen)
		b, f := v.vmcb, v.frame
		x.TSC = f.meter.TSC
		code := uint8(b.exitCode)
		if why := quick[code]; why != 0 && v.todo == 0 && b.quiet() {
			b.clean = v.clean
			rip := b.rip
			x.CPL, x.RIP, x.Raw[1] = b.cpl, rip, b.exitInfo1
			if code != exitIOIO {
				if code == exitMSR && b.exitInfo1 != 0 {
					why = uint64(vcpu.WRMSR)
				}
				x.Reason = vcpu.Reason(why)
				f.meter.Row = v.cost + why<<vcpu.CostShift
				if e := &v.lens.entries[slot(rip)%nlens]; e.rip == rip && e.cr3 == b.cr3 && e.attrib == b.cs.attrib && e.code == code {
					n := e.n
					x.Len, x.Ahead = n, true
					b.rip = rip + uint64(n)
					return
				}
				x.Len, x.Ahead = v.unknown(b), false
				return
			}
			if info, size := uint32(b.exitInfo1), b.exitInfo2-rip; info&ioString == 0 && size-1 < 15 {
				x.Reason = vcpu.IO
				f.meter.Row = v.cost + uint64(vcpu.IO)<<vcpu.CostShift
				x.IO.Port, x.IO.Size, x.IO.In, x.IO.String = uint16(info>>16), uint8(info>>4&7), info&1 != 0, false
				x.Len, x.Ahead = uint8(size), true
				b.rip = rip + size
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

// quiet reports whether the exit left nothing to look after but the exit itself:
// no event was cut short, there is no interrupt shadow.
func (b *vmcb) quiet() bool { return int32(b.exitIntInfo) >= 0 && uint8(b.interruptState)&1 == 0 }

// enterOther enters the guest on hosts without XSAVEOPT.
func (v *VCPU) enterOther() {
	if v.fpu == vcpu.XSAVE {
		enterXSAVE(v.frame)
	} else {
		enterFXSAVE(v.frame)
	}
}

// refused reports a run that did not happen, because a preemption request or a kick
// came first. Every path from there leads to a function with a stack check, which is
// where Go's preemption happens.
func (v *VCPU) refused(x *vcpu.Exit) {
	v.cancelStep()
	*x = vcpu.Exit{Reason: vcpu.Interrupted, CPL: v.vmcb.cpl & 3, RIP: v.vmcb.rip, TSC: insn.RDTSC()}
}

// takeKick clears the words that keep v from entering. Whoever set one changed
// something first, and the caller of Run looks after Interrupted: nothing is
// missed.
func (v *VCPU) takeKick() {
	v.frame.kick.Store(0)
	v.on.kick.Clear()
}

// Regs implements vcpu.VCPU.
func (v *VCPU) Regs() *x86.Regs { return &v.frame.regs }

// Meter implements vcpu.Metered.
func (v *VCPU) Meter() (*vcpu.Meter, *vcpu.Costs) { return &v.frame.meter, v.costs }

// Leave implements vcpu.VCPU.
func (v *VCPU) Leave() {
	if v.at >= 0 {
		v.on.loaded, v.at = nil, -1
	}
}

// Kick implements vcpu.VCPU.
func (v *VCPU) Kick() { v.frame.kick.Store(1) }

// Free implements vcpu.VCPU.
func (v *VCPU) Free() {
	if v.npages == 0 {
		return
	}
	v.Leave()
	env := v.b.env
	env.Phys.Zero(v.pages, uint64(v.npages)*mm.PageSize)
	env.Release(v.pages, v.npages)
	*v = VCPU{b: v.b, at: -1}
}
