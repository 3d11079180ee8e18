// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"bytes"
	"os"
	"testing"

	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// svm tests the macros; both have the same.
func TestSecureMacros(t *testing.T) {
	ours, err := os.ReadFile("secure_amd64.h")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile("../svm/secure_amd64.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, theirs) {
		t.Error("secure_amd64.h differs from svm's")
	}
}

// Exits of vCPUs that run by enterXSAVE go where the return stack buffer is filled.
func TestExitsTo(t *testing.T) {
	for _, p := range []spec.Plan{{}, {RSB: true}} {
		m := newMachine(t, broadwell(t), 1)
		m.Backend.env.Spec = p
		v := m.vcpu(m.tables())
		var x vcpu.Exit
		v.prepare(0, &x)
		want := exitAddress()
		if p.RSB {
			want = exitSecureAddress()
		}
		if got := m.cpus[0].current.fields[uint32(hostRIP)]; got != want || exitAddress() == exitSecureAddress() {
			t.Errorf("%+v: exits go to %#x, want %#x", p, got, want)
		}
	}
}

func TestBarrier(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	m.Backend.env.Spec = spec.Plan{IBPB: true, L1D: true}
	ta := m.tables()
	a, a2, b := m.vcpu(ta), m.vcpu(ta), m.vcpu(m.tables())
	msrs := m.cpus[0].msrs
	var x vcpu.Exit
	for i, step := range []struct {
		v    *VCPU
		want bool
	}{{a, true}, {a, false}, {a2, false}, {b, true}, {b, false}, {a, true}} {
		delete(msrs, spec.MSRPredCmd)
		delete(msrs, spec.MSRFlushCmd)
		run(step.v, 0, &x, cpuid)
		if got := msrs[spec.MSRPredCmd] == spec.PredIBPB && msrs[spec.MSRFlushCmd] == spec.FlushL1D; got != step.want {
			t.Errorf("step %d: barrier %v, want %v", i, got, step.want)
		}
	}
	delete(msrs, spec.MSRPredCmd)
	if a.Set(x86.BranchBarrier, 1); msrs[spec.MSRPredCmd] != spec.PredIBPB {
		t.Error("a guest's IBPB has no effect")
	}
}

func TestSpecCtrl(t *testing.T) {
	m := newMachine(t, broadwell(t), 1)
	m.Backend.env.Spec = spec.Plan{SpecCtrl: spec.CtrlIBRS, Guest: 7}
	v := m.vcpu(m.tables())
	for _, val := range []uint64{0, spec.CtrlIBRS, spec.CtrlSSBD, spec.CtrlIBRS | spec.CtrlSTIBP} {
		v.Set(x86.SpecCtrl, val)
		f := v.frame
		if v.Get(x86.SpecCtrl) != val || uint64(f.guestCtrl) != val|spec.CtrlIBRS || f.hostCtrl != spec.CtrlIBRS ||
			(f.secure&secureCtrl != 0) != (val&^spec.CtrlIBRS != 0) {
			t.Errorf("%#x: sees %#x, runs with %#x, secure %#x", val, v.Get(x86.SpecCtrl), f.guestCtrl, f.secure)
		}
	}
}
