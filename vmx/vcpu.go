// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"sync/atomic"

	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// VCPU implements vcpu.VCPU. What each exit uses comes first: its addresses are short.
type VCPU struct {
	b     *Backend
	frame *frame
	// generation is that of tables, tablesGen the one that on's TLB may know.
	generation *atomic.Uint64
	tablesGen  uint64
	at         int // on's number while v is loaded, else -1
	todo       todo
	fpu        vcpu.FPUKind // copy of b.f's, for Run
	// on is the CPU that v ran on last, nil at first. While loaded, v's VMCS is
	// current there, and only the thread bound to it may use v.
	loaded     bool
	configured bool
	on         *cpu
	cost       uint64 // the address of costs
	costIO     uint64 // that of the row of vcpu.IO
	cache

	costs  *vcpu.Costs
	apic   *x86.APICPage
	tables *pt.Tables
	pages  mm.HPA // VMCS, virtual-APIC page, frame, costs
	npages int
	eptp   uint64
	vpid   uint16 // 0: the CPU has none

	ev  events
	dbg debug

	crHidden   uint64 // CR0.CD and CR0.NW as the guest sees them
	tscAux     uint64
	specCtrl   uint64          // IA32_SPEC_CTRL as the guest sees it
	live       [numLive]uint64 // MSRs while they are not in a CPU
	liveSet    bool            // they differ from what on has
	parkedXCR0 uint32          // XCR0 while CR4.OSXSAVE is clear

	eoiExit [4]uint64 // what the VMCS has: vectors whose EOI exits
}

var (
	_ vcpu.VCPU      = (*VCPU)(nil)
	_ vcpu.Metered   = (*VCPU)(nil)
	_ vcpu.LocalAPIC = (*VCPU)(nil)
)

// todo are the reasons to take the slow way through prepare.
type todo uint32

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
	todoNet                       // the net is out, see quirks.go
)

// Run implements vcpu.VCPU. Exits that an instruction caused are the frequent
// ones: they are translated here when they left nothing to look after but
// themselves, all others by rest.
func (v *VCPU) Run(cpu int, x *vcpu.Exit) {
	seen := v.seen()
	switch {
	case v.generation.Load() != v.tablesGen, v.at != cpu, v.todo != 0:
		if !v.prepare(cpu, x) {
			return
		}
	}
	if v.fpu != vcpu.XSAVEOPT {
		v.enterOther()
	} else {
		enterXSAVEOPT(v.frame)
	}
	v.entered(seen)
	f := v.frame
	x.TSC = f.meter.TSC
	v.valid = stable
	n := uint8(f.reason)
	why := quick[n]
	if uint32(f.interrupt)|uint32(v.todo) != 0 {
		why = v.left(why)
	}
	if why != 0 {
		rip := f.rip
		// Where RIP wraps, and for INS and OUTS, finish looks closer.
		next, size := rip+f.length, uint32(f.length)
		if n != reasonIO {
			if uint32(next) >= size {
				x.Len, x.RIP = uint8(size), rip
				x.Reason, x.CPL, x.Ahead = vcpu.Reason(why), 0, true
				f.rip, f.meter.Row = next, v.cost+why<<vcpu.CostShift
				if n == reasonVMCALL {
					x.CPL = f.cpl()
				}
				return
			}
		} else if q := f.qualification(); q&ioString == 0 && uint32(next) >= size {
			x.Raw[1], x.Len, x.RIP = q, uint8(size), rip
			x.Reason, x.CPL, x.Ahead, x.IO.String = vcpu.IO, 0, true, false
			x.IO.In = q&ioIn != 0
			x.IO.Size = uint8(q&7) + 1
			x.IO.Port = f.qualified[1]
			f.rip, f.meter.Row = next, v.costIO
			return
		}
	}
	if f.reason == reasonEPTViolation && v.violation(x) {
		return
	}
	v.rest(x)
}

// rest translates an exit that Run does not.
func (v *VCPU) rest(x *vcpu.Exit) {
	if r := v.frame.reason; (r == reasonInterrupt || r == reasonTimer) && v.tick(x) {
		return
	}
	if v.finish(x); x.Reason == vcpu.Interrupted {
		v.takeKick()
	}
}

// left is why, if what the exit has left, or the entry was to do, is nothing to look
// after, and else 0.
//
//go:noinline
func (v *VCPU) left(why uint64) uint64 {
	if r := v.frame.reason; v.todo&todoNet != 0 && r != reasonInterrupt && r != reasonTimer {
		v.spreadNet()
	}
	switch {
	case v.frame.interrupt&blockedOnce != 0:
		return 0
	case v.todo != 0:
		return v.delivered(why)
	}
	return why
}

// delivered is why, if all that was to be looked after was an event that the entry
// has delivered, and else 0. An exit that why is not 0 of has not cut it short.
func (v *VCPU) delivered(why uint64) uint64 {
	if why == 0 || v.todo != todoEvents || !v.ev.single {
		return 0
	}
	v.ev.HasNext, v.ev.armed, v.ev.single, v.todo = false, false, false, 0
	return why
}

// enterOther enters the guest on hosts without XSAVEOPT.
func (v *VCPU) enterOther() {
	switch v.fpu {
	case vcpu.XSAVE:
		enterXSAVE(v.frame)
	case vcpu.FXSAVE:
		enterFXSAVE(v.frame)
	default:
		v.b.pretend(v)
	}
}

// refused reports a run that did not happen, because a preemption request or a kick
// came first. Every path from there leads to a function with a stack check, which is
// where Go's preemption happens.
func (v *VCPU) refused(x *vcpu.Exit) {
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

// Meter implements vcpu.Metered.
func (v *VCPU) Meter() (*vcpu.Meter, *vcpu.Costs) { return &v.frame.meter, v.costs }

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
