// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
)

func TestProbe(t *testing.T) {
	with := func(change func(r *Registers)) Registers {
		r := qemuMax
		change(&r)
		return r
	}
	qemu := vcpu.Caps{Name: "AMD-V", Short: "svm", HugePages1G: true, XSAVE: true, XCR0Mask: 7}
	for _, tt := range []struct {
		name string
		r    Registers
		want *vcpu.Caps
		err  string
	}{
		{name: "QEMU max", r: qemuMax, want: &qemu},
		{name: "everything", r: full, want: &vcpu.Caps{
			Name: "AMD-V", Short: "svm", HugePages1G: true, XSAVE: true, XCR0Mask: 7,
		}},
		{name: "no OSXSAVE", r: with(func(r *Registers) { r.Leaf1C &^= leaf1OSXSAVE; r.XCR0 = 0 }),
			want: &vcpu.Caps{Name: "AMD-V", Short: "svm", HugePages1G: true}},
		{name: "no 1G", r: with(func(r *Registers) { r.Ext1D &^= ext1Page1G }),
			want: &vcpu.Caps{Name: "AMD-V", Short: "svm", XSAVE: true, XCR0Mask: 7}},
		{name: "Intel", r: with(func(r *Registers) { r.Ext1C &^= ext1SVM; r.MaxExt = 0x8000_0008 }),
			err: "this CPU has no AMD-V"},
		{name: "no leaf", r: with(func(r *Registers) { r.MaxExt = 0x8000_0008 }),
			err: "this CPU has no AMD-V"},
		{name: "firmware", r: with(func(r *Registers) { r.VMCR = vmcrSVMDis }),
			err: "AMD-V is off in the firmware (VM_CR.SVMDIS): enable SVM in the BIOS set-up"},
		{name: "no NPT", r: with(func(r *Registers) { r.ExtAD &^= extANPT }),
			err: "AMD-V: this CPU has no nested paging"},
		{name: "no NX", r: with(func(r *Registers) { r.Ext1D &^= ext1NX }),
			err: "AMD-V: this CPU has no NX page protection, or it is off in the firmware"},
		{name: "one ASID", r: with(func(r *Registers) { r.ExtAB = 1 }),
			err: "AMD-V: this CPU has no address-space identifiers"},
		{name: "no FXSAVE", r: with(func(r *Registers) { r.Leaf1D &^= leaf1FXSR }),
			err: "AMD-V: this CPU has no FXSAVE"},
	} {
		got, err := Probe(tt.r)
		msg := ""
		if err != nil {
			msg = err.Error()
		}
		if msg != tt.err {
			t.Errorf("%s: error %q, want %q", tt.name, msg, tt.err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// How the FPU state is kept depends on what the host enabled.
func TestProbeFPU(t *testing.T) {
	if _, err := Probe(Registers{}); err != ErrAbsent {
		t.Errorf("nothing: %v", err)
	}
	f, err := probe(qemuMax)
	if err != nil || f.fpu != vcpu.XSAVEOPT || f.fpuSize != 0x340 || f.cleanMask != 0 || f.asids != 16 {
		t.Errorf("QEMU: %+v, %v", f, err)
	}
	r := qemuMax
	r.LeafD1A = 0
	if f, _ := probe(r); f.fpu != vcpu.XSAVE {
		t.Errorf("no XSAVEOPT: %+v", f)
	}
	r.Leaf1C &^= leaf1OSXSAVE
	if f, _ := probe(r); f.fpu != vcpu.FXSAVE || f.xcr0 != 0 {
		t.Errorf("no OSXSAVE: %+v", f)
	}
}
