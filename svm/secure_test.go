// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"slices"
	"testing"

	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/hosttest"
	"ringo/hv/x86"
)

func TestSecureMacros(t *testing.T) {
	hosttest.Macros(t, "secure_amd64.h", map[string]hosttest.Macro{
		"RSBCALL": {Source: "call 1f; 2: pause; lfence; jmp 2b; 1:",
			Code: []byte{0xe8, 7, 0, 0, 0, 0xf3, 0x90, 0x0f, 0xae, 0xe8, 0xeb, 0xf9}},
	})
}

// IBPB and the flush of the L1 cache come when a CPU turns to another domain, and
// only then; a guest's own IBPB is the CPU's.
func TestBarrier(t *testing.T) {
	m := newMachine(t, full, 2)
	var wrote []uint32
	m.wrmsr = func(msr uint32, _ uint64) { wrote = append(wrote, msr) }
	m.Backend.env.Spec = spec.Plan{IBPB: true, L1D: true}
	ta, tb := m.tables(), m.tables()
	a, a2, b := m.vcpu(ta), m.vcpu(ta), m.vcpu(tb)
	var x vcpu.Exit
	turn := func(v *VCPU, cpu int, want ...uint32) {
		t.Helper()
		wrote = nil
		run(v, cpu, &x, fakeExit{code: exitCPUID})
		if !slices.Equal(wrote, want) {
			t.Errorf("writes %#x, want %#x", wrote, want)
		}
	}
	both := []uint32{spec.MSRPredCmd, spec.MSRFlushCmd}
	turn(a, 0, both...)
	turn(a, 0)
	turn(a2, 0)
	turn(b, 0, both...)
	turn(b, 0)
	turn(a, 1, both...)
	turn(a2, 0, both...)
	wrote = nil
	a.Set(x86.BranchBarrier, 1)
	a.Set(x86.BranchBarrier, 0)
	if !slices.Equal(wrote, both[:1]) {
		t.Errorf("writes %#x, want %#x", wrote, both[:1])
	}
}

// The guest's IA32_SPEC_CTRL is switched only where it makes a difference.
func TestSpecCtrl(t *testing.T) {
	for _, tt := range []struct {
		host, guest, val uint64
		sees, runs       uint64
		switched         bool
	}{
		{0, 7, 0, 0, 0, false},
		{0, 7, spec.CtrlSSBD, spec.CtrlSSBD, spec.CtrlSSBD, true},
		{spec.CtrlIBRS, 7, 0, 0, spec.CtrlIBRS, false},
		{spec.CtrlIBRS, 7, spec.CtrlIBRS, spec.CtrlIBRS, spec.CtrlIBRS, false},
		{spec.CtrlIBRS, 7, spec.CtrlSTIBP, spec.CtrlSTIBP, spec.CtrlIBRS | spec.CtrlSTIBP, true},
		{0, 1, 7, 1, 1, true},
		{0, 0, 7, 0, 0, false},
	} {
		m := newMachine(t, full, 1)
		m.Backend.env.Spec = spec.Plan{SpecCtrl: tt.host, Guest: tt.guest}
		v := m.vcpu(m.tables())
		v.Set(x86.SpecCtrl, tt.val)
		f := v.frame
		if v.Get(x86.SpecCtrl) != tt.sees || uint64(f.guestCtrl) != tt.runs || uint64(f.hostCtrl) != tt.host ||
			(f.secure&secureCtrl != 0) != tt.switched {
			t.Errorf("%+v: sees %#x, runs with %#x, host %#x, secure %#x", tt, v.Get(x86.SpecCtrl), f.guestCtrl, f.hostCtrl, f.secure)
		}
		if tt.switched && v.fpu != vcpu.XSAVE {
			t.Errorf("%+v: the entry code does not switch it", tt)
		}
		v.Set(x86.SpecCtrl, 0)
		if f.secure&secureCtrl != 0 {
			t.Errorf("%+v: still switched", tt)
		}
	}
}
