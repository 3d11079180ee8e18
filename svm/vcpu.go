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
	tables *pt.Tables
	pages  mm.HPA // VMCB, then frame
	npages int

	// on is the CPU that v ran on last, nil at first, and ticket its ticket if
	// v was the last one to run there. asidGen is the generation of on that
	// vmcb.asid belongs to, 0 for none; tablesGen is the generation of tables
	// that the TLB may know.
	on        *cpu
	ticket    uint64
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
	parkedXCR0 uint32 // XCR0 while CR4.OSXSAVE is clear
}

var _ vcpu.VCPU = (*VCPU)(nil)

// todo are the reasons to take the slow way through prepare.
type todo uint8

const (
	todoFlush    todo = 1 << iota // translations to drop, or a flush in the VMCB
	todoEvents                    // ev has something for the next entry
	todoDebug                     // debug registers to load, or to take out
	todoShutdown                  // a triple fault happened in Inject
	todoSwitch                    // TSC_AUX changed
)

// Run implements vcpu.VCPU. Exits that an instruction caused are the frequent
// ones: they are translated here when nothing else is going on, all others by
// finish.
func (v *VCPU) Run(cpu int, x *vcpu.Exit) {
	c := v.on
	if c == nil || c.index != cpu {
		c = v.b.cpus[cpu]
	}
	for {
		seen := v.seen()
		gen := v.tables.Generation()
		if (c.ticket != v.ticket || v.todo != 0 || gen != v.tablesGen) && !v.prepare(c, x) {
			return
		}
		v.vmcb.rax = v.frame.regs.RAX
		in := uint64(0)
		if v.fpu == vcpu.XSAVEOPT {
			in = enterXSAVEOPT(v.frame)
		} else {
			in = v.enterOther()
		}
		if in == 0 {
			v.refused(c, x)
			return
		}
		v.entered(seen)
		b := v.vmcb
		f := v.frame
		f.regs.RAX = b.rax
		x.TSC = f.tsc
		b.clean = v.clean
		if n := b.exitCode - exitINTR; n < uint64(len(quick)) && quick[n] != 0 && v.todo == 0 && b.quiet() {
			x.Reason = quick[n]
			if n == exitMSR-exitINTR && b.exitInfo1 != 0 {
				x.Reason = vcpu.WRMSR
			}
			x.CPL, x.RIP = b.cpl&3, b.rip
			x.Raw = [3]uint64{n + exitINTR, b.exitInfo1, b.exitInfo2}
			if n != exitIOIO-exitINTR {
				if x.Len = v.lens.known(b); x.Len == 0 {
					x.Len = v.length(b)
				}
				return
			}
			if plainIO(b, x) {
				return
			}
		}
		if v.finish(x) {
			if x.Reason == vcpu.Interrupted {
				v.takeKick(c)
			}
			return
		}
	}
}

// quiet reports whether the exit left nothing to look after but the exit itself:
// no event was cut short, there is no interrupt shadow.
func (b *vmcb) quiet() bool { return (b.exitIntInfo>>31|b.interruptState)&1 == 0 }

// enterOther enters the guest on hosts without XSAVEOPT. It returns 0 when a
// preemption request or a kick came first. Every path from there leads to a
// function with a stack check, which is where Go's preemption happens.
func (v *VCPU) enterOther() uint64 {
	if v.fpu == vcpu.XSAVE {
		return enterXSAVE(v.frame)
	}
	return enterFXSAVE(v.frame)
}

// refused reports a run that did not happen.
func (v *VCPU) refused(c *cpu, x *vcpu.Exit) {
	v.takeKick(c)
	v.cancelStep()
	*x = vcpu.Exit{Reason: vcpu.Interrupted, CPL: v.vmcb.cpl & 3, RIP: v.vmcb.rip, TSC: insn.RDTSC()}
}

// takeKick clears the words that keep v from entering. Whoever set one changed
// something first, and the caller of Run looks after Interrupted: nothing is
// missed.
func (v *VCPU) takeKick(c *cpu) {
	v.frame.kick.Store(0)
	c.kick.Clear()
}

// Regs implements vcpu.VCPU.
func (v *VCPU) Regs() *x86.Regs { return &v.frame.regs }

// Leave implements vcpu.VCPU. A VMCB stays with no CPU.
func (v *VCPU) Leave() {}

// Kick implements vcpu.VCPU.
func (v *VCPU) Kick() { v.frame.kick.Store(1) }

// Free implements vcpu.VCPU.
func (v *VCPU) Free() {
	if v.npages == 0 {
		return
	}
	env := v.b.env
	env.Phys.Zero(v.pages, uint64(v.npages)*mm.PageSize)
	env.Release(v.pages, v.npages)
	*v = VCPU{b: v.b}
}
