// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"testing"

	"ringo/hv/spec"
	"ringo/hv/x86"
)

// A guest sees the registers of speculation control that the backend switches, and
// no other.
func TestSpeculationControl(t *testing.T) {
	all := func(leaf, sub uint32) Result { return Result{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)} }
	for _, tt := range []struct {
		p      spec.Plan
		d7, b8 uint32
	}{
		{spec.Plan{}, 0, 0},
		{spec.Plan{IBPB: true, Guest: 7, GuestCaps: 0xab}, d7IBRS | d7STIBP | d7SSBD | d7ArchCaps, b8IBPB | b8IBRS | b8STIBP | b8SSBD},
		{spec.Plan{IBPB: true}, 0, b8IBPB},
		{spec.Plan{Guest: spec.CtrlSSBD}, d7SSBD, b8SSBD},
	} {
		cfg := config(amd, all)
		cfg.Spec = tt.p
		c := NewCPUID(cfg)
		const d7 = d7IBRS | d7STIBP | d7SSBD | d7ArchCaps
		const b8 = b8IBPB | b8IBRS | b8STIBP | b8SSBD
		if got := c.Get(&View{}, 7, 0).EDX & d7; got != tt.d7 {
			t.Errorf("%+v: leaf 7 EDX %#x, want %#x", tt.p, got, tt.d7)
		}
		if got := c.Get(&View{}, extBase+8, 0).EBX & b8; got != tt.b8 {
			t.Errorf("%+v: leaf 0x80000008 EBX %#x, want %#x", tt.p, got, tt.b8)
		}
		m := NewMSRs(c)
		var s Storage
		read := func(msr uint32) (Action, uint64) { v, a, _ := m.Read(&s, msr); return a, v }
		write := func(msr uint32, val uint64) (Action, x86.Reg) { a, w := m.Write(&s, msr, val); return a, w.Reg }
		wantCtrl, wantPred, wantCaps := Fault, Fault, Fault
		if tt.p.Guest != 0 {
			wantCtrl = Register
		}
		if tt.p.IBPB {
			wantPred = Register
		}
		if tt.p.GuestCaps != 0 {
			wantCaps = Done
		}
		if a, _ := read(spec.MSRSpecCtrl); a != wantCtrl {
			t.Errorf("%+v: read of SPEC_CTRL: %d", tt.p, a)
		}
		if a, r := write(spec.MSRSpecCtrl, tt.p.Guest); a != wantCtrl || a == Register && r != x86.SpecCtrl {
			t.Errorf("%+v: write of SPEC_CTRL: %d, register %d", tt.p, a, r)
		}
		if a, _ := write(spec.MSRSpecCtrl, 8); a != Fault {
			t.Errorf("%+v: reserved bit of SPEC_CTRL: %d", tt.p, a)
		}
		if a, r := write(spec.MSRPredCmd, 1); a != wantPred || a == Register && r != x86.BranchBarrier {
			t.Errorf("%+v: write of PRED_CMD: %d, register %d", tt.p, a, r)
		}
		if a, _ := write(spec.MSRPredCmd, 2); a != Fault {
			t.Errorf("%+v: reserved bit of PRED_CMD: %d", tt.p, a)
		}
		if a, _ := read(spec.MSRPredCmd); a != Fault {
			t.Errorf("%+v: read of PRED_CMD: %d", tt.p, a)
		}
		if a, v := read(spec.MSRArchCaps); a != wantCaps || v != tt.p.GuestCaps {
			t.Errorf("%+v: ARCH_CAPABILITIES: %d, %#x", tt.p, a, v)
		}
		if a, _ := write(spec.MSRArchCaps, 0); a != Fault {
			t.Errorf("%+v: write of ARCH_CAPABILITIES: %d", tt.p, a)
		}
	}
}
