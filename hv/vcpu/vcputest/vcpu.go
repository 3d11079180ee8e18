// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"sync/atomic"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm/pt"
)

// Step is one exit of a script. Guest, when set, is what the guest did before
// it: change registers through the fields of v, not through Set, so that the
// record holds the hypervisor's doings only.
type Step struct {
	Exit  vcpu.Exit
	Guest func(v *VCPU)
}

// Op is a kind of [Call].
type Op string

// The calls that are recorded. Deliver is not a call: it marks the entry at
// which an injected event reached the guest.
const (
	OpRun        Op = "run"
	OpSet        Op = "set"
	OpSetSegment Op = "setsegment"
	OpInject     Op = "inject"
	OpDeliver    Op = "deliver"
	OpAdvance    Op = "advance"
	OpFree       Op = "free"
)

// Call is one recorded call. Fields that do not belong to Op are zero.
type Call struct {
	Op      Op
	CPU     int         // run
	Reason  vcpu.Reason // run: what it returned
	Reg     x86.Reg     // set
	Val     uint64      // set: the value; advance: the length
	Seg     x86.Seg     // setsegment
	Segment x86.Segment // setsegment
	Event   vcpu.Event  // inject, deliver
	OK      bool        // inject: accepted
}

// VCPU is a scripted vcpu.VCPU. Tests read and write its fields between calls.
type VCPU struct {
	// Steps are the exits to return; Next is the index of the first one not
	// yet returned. After the last one Run returns End.
	Steps []Step
	Next  int
	// End is the exit after the script's end: Shutdown by default, so that a
	// run loop terminates.
	End vcpu.Exit
	// Calls is the record. Reset empties it and keeps its capacity, so that
	// code under testing.AllocsPerRun can be recorded as well.
	Calls []Call

	Registers x86.Regs
	State     [x86.NumRegs]uint64
	Segments  [x86.NumSegs]x86.Segment
	// Shadow and NMIBlocked say why the guest cannot take an event. IF is in
	// State[x86.RFLAGS].
	Shadow     bool
	NMIBlocked bool
	// Pending is the event to deliver at the next Run, when HasPending.
	Pending    vcpu.Event
	HasPending bool
	Tables     *pt.Tables
	Freed      bool
	Left       int // calls of Leave
	// Page, when set, makes v one with a virtual local APIC. X2 is what the last
	// of Loads calls of LoadAPIC said.
	Page  *x86.APICPage
	Loads int
	X2    bool

	meter vcpu.Meter
	costs vcpu.Costs

	window vcpu.Event // the event that Inject refused last
	wanted bool
	kicked atomic.Bool
}

var _ vcpu.VCPU = (*VCPU)(nil)

// NewVCPU returns a vCPU in reset state that runs the given exits.
func NewVCPU(exits ...vcpu.Exit) *VCPU {
	v := &VCPU{End: vcpu.Exit{Reason: vcpu.Shutdown}}
	vcpu.Reset(v)
	v.Calls = make([]Call, 0, 64)
	for _, x := range exits {
		v.Steps = append(v.Steps, Step{Exit: x})
	}
	return v
}

// Rewind restarts the script and empties the record; registers stay.
func (v *VCPU) Rewind() {
	v.Next = 0
	v.Calls = v.Calls[:0]
}

// Only returns the recorded calls of the given kinds, in order.
func (v *VCPU) Only(ops ...Op) []Call {
	var out []Call
	for _, c := range v.Calls {
		for _, op := range ops {
			if c.Op == op {
				out = append(out, c)
			}
		}
	}
	return out
}

// Run implements vcpu.VCPU: it delivers a pending event, returns Interrupted if
// kicked, Window if the guest can take the refused event, else the next step.
// RIP of the exit is filled from State when the script leaves it 0.
func (v *VCPU) Run(cpu int, x *vcpu.Exit) {
	if v.Freed {
		panic("vcputest: Run after Free")
	}
	v.run(x)
	if x.RIP == 0 {
		x.RIP = v.State[x86.RIP]
	}
	v.costs[min(x.Reason, vcpu.NumReasons)].Add(1)
	v.Calls = append(v.Calls, Call{Op: OpRun, CPU: cpu, Reason: x.Reason})
}

// Meter implements vcpu.Metered: every exit has cost a cycle.
func (v *VCPU) Meter() (*vcpu.Meter, *vcpu.Costs) { return &v.meter, &v.costs }

func (v *VCPU) run(x *vcpu.Exit) {
	if v.kicked.Swap(false) {
		*x = vcpu.Exit{Reason: vcpu.Interrupted}
		return
	}
	if v.HasPending {
		v.HasPending = false
		v.Calls = append(v.Calls, Call{Op: OpDeliver, Event: v.Pending})
	}
	if v.wanted && v.can(v.window) {
		v.wanted = false
		*x = vcpu.Exit{Reason: vcpu.Window}
		return
	}
	if v.Next >= len(v.Steps) {
		*x = v.End
		return
	}
	s := &v.Steps[v.Next]
	v.Next++
	if s.Guest != nil {
		s.Guest(v)
	}
	*x = s.Exit
}

// Regs implements vcpu.VCPU.
func (v *VCPU) Regs() *x86.Regs { return &v.Registers }

// Get implements vcpu.VCPU.
func (v *VCPU) Get(r x86.Reg) uint64 { return v.State[r] }

// Set implements vcpu.VCPU.
func (v *VCPU) Set(r x86.Reg, val uint64) {
	v.State[r] = val
	if r == x86.CR0 || r == x86.EFER {
		v.State[x86.EFER] &^= x86.EFERLMA
		if v.State[x86.EFER]&x86.EFERLME != 0 && v.State[x86.CR0]&x86.CR0PG != 0 {
			v.State[x86.EFER] |= x86.EFERLMA
		}
	}
	v.Calls = append(v.Calls, Call{Op: OpSet, Reg: r, Val: val})
}

// Segment implements vcpu.VCPU.
func (v *VCPU) Segment(s x86.Seg) x86.Segment { return v.Segments[s] }

// Snapshot implements vcpu.VCPU.
func (v *VCPU) Snapshot(s *vcpu.Snapshot) {
	r, cs := &v.State, &v.Segments[x86.CS]
	*s = vcpu.Snapshot{
		RIP: r[x86.RIP], RSP: r[x86.RSP], RFLAGS: r[x86.RFLAGS],
		CR0: r[x86.CR0], CR3: r[x86.CR3], CR4: r[x86.CR4], EFER: r[x86.EFER],
		CSBase: cs.Base, CSAccess: cs.Access,
	}
}

// SetSegment implements vcpu.VCPU.
func (v *VCPU) SetSegment(s x86.Seg, seg x86.Segment) {
	v.Segments[s] = seg
	v.Calls = append(v.Calls, Call{Op: OpSetSegment, Seg: s, Segment: seg})
}

// can reports whether the guest can take e now.
func (v *VCPU) can(e vcpu.Event) bool {
	switch {
	case v.HasPending:
		return false
	case e.Type == vcpu.ExternalInterrupt:
		return !v.Shadow && v.State[x86.RFLAGS]&x86.FlagIF != 0
	case e.Type == vcpu.NMI:
		return !v.Shadow && !v.NMIBlocked
	}
	return true
}

// Inject implements vcpu.VCPU.
func (v *VCPU) Inject(e vcpu.Event) bool {
	ok := v.can(e)
	if ok {
		v.Pending, v.HasPending = e, true
	} else {
		v.window, v.wanted = e, true
	}
	v.Calls = append(v.Calls, Call{Op: OpInject, Event: e, OK: ok})
	return ok
}

// APIC implements vcpu.LocalAPIC.
func (v *VCPU) APIC() *x86.APICPage { return v.Page }

// LoadAPIC implements vcpu.LocalAPIC. It is not recorded, but counted.
func (v *VCPU) LoadAPIC(x2 bool) { v.Loads, v.X2 = v.Loads+1, x2 }

// ClearEvents implements vcpu.VCPU. It is not recorded: its effect is in the
// fields.
func (v *VCPU) ClearEvents() {
	v.Pending, v.HasPending = vcpu.Event{}, false
	v.window, v.wanted = vcpu.Event{}, false
	v.Shadow, v.NMIBlocked = false, false
}

// Advance implements vcpu.VCPU.
func (v *VCPU) Advance(n uint8) {
	v.State[x86.RIP] += uint64(n)
	v.Shadow = false
	v.Calls = append(v.Calls, Call{Op: OpAdvance, Val: uint64(n)})
}

// Leave implements vcpu.VCPU. It is not recorded, but counted.
func (v *VCPU) Leave() { v.Left++ }

// Kick implements vcpu.VCPU. It is not recorded: other threads call it.
func (v *VCPU) Kick() { v.kicked.Store(true) }

// Free implements vcpu.VCPU.
func (v *VCPU) Free() {
	v.Freed = true
	v.Calls = append(v.Calls, Call{Op: OpFree})
}
