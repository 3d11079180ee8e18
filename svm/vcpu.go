// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
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

	// on is the CPU that v ran on last, nil at first. asidGen is the
	// generation of on that vmcb.asid belongs to, 0 for none; tablesGen is the
	// generation of tables that the TLB may know.
	on        *cpu
	asidGen   uint64
	tablesGen uint64

	todo todo
	ev   events
	dbg  debug
	lens lengths

	crShadow uint64 // CR0.CD and CR0.NW as the guest sees them
	tscAux   uint64
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

// Run implements vcpu.VCPU.
func (v *VCPU) Run(cpu int, x *vcpu.Exit) {
	c := v.b.cpus[cpu]
	for {
		seen := v.seen()
		if c.current != v || v.on != c || v.todo != 0 || v.tables.Generation() != v.tablesGen {
			if !v.prepare(c, x) {
				return
			}
		}
		v.vmcb.rax = v.frame.regs.RAX
		if !v.enter() {
			v.takeKick(c)
			v.cancelStep()
			*x = vcpu.Exit{Reason: vcpu.Interrupted, CPL: v.vmcb.cpl & 3, RIP: v.vmcb.rip}
			return
		}
		v.entered(seen)
		v.frame.regs.RAX = v.vmcb.rax
		if v.finish(x) {
			if x.Reason == vcpu.Interrupted {
				v.takeKick(c)
			}
			return
		}
	}
}

// takeKick clears the words that keep v from entering. Whoever set one changed
// something first, and the caller of Run looks after Interrupted: nothing is
// missed.
func (v *VCPU) takeKick(c *cpu) {
	v.frame.kick.Store(0)
	c.kick.clear()
}

// enter runs the guest until an exit, or returns false: a preemption request or
// a kick came first. Every path through the caller's loop returns to a function
// with a stack check, which is where Go's preemption happens.
func (v *VCPU) enter() bool {
	switch v.b.f.fpu {
	case fpuXSAVEOPT:
		return enterXSAVEOPT(v.frame) != 0
	case fpuXSAVE:
		return enterXSAVE(v.frame) != 0
	}
	return enterFXSAVE(v.frame) != 0
}

// Regs implements vcpu.VCPU.
func (v *VCPU) Regs() *x86.Regs { return &v.frame.regs }

// Invalidate implements vcpu.VCPU.
func (v *VCPU) Invalidate() { v.todo |= todoFlush }

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
	// A CPU may still name v as its current vCPU; it compares pointers only.
	*v = VCPU{b: v.b}
}
