// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

var testGP = vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true}

// A single event that its entry has delivered leaves nothing to do: the exit after it
// is as short as any.
func TestSingleEvent(t *testing.T) {
	_, v := running(t)
	var x vcpu.Exit
	v.Inject(testGP)
	if run(v, 0, &x, cpuid); x.Reason != vcpu.CPUID || !x.Ahead || v.todo != 0 || v.ev.HasNext {
		t.Errorf("%+v, todo %#x", x, v.todo)
	}
	f := v.on.p.(*testCPU).current.fields
	if run(v, 0, &x, cpuid); f[uint32(ctlEntryEvent)]&evValid != 0 {
		t.Error("it is delivered again")
	}
	// Behind it waits an interrupt: the exit must look.
	v.Inject(testGP)
	v.Inject(vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: 0x30})
	if run(v, 0, &x, cpuid); v.todo&todoEvents == 0 || !v.ev.WaitsIRQ() {
		t.Errorf("the window that is owed is forgotten: todo %#x", v.todo)
	}
}

// An exit that cuts the delivery short brings the event back.
func TestViolationCutsDelivery(t *testing.T) {
	_, v := running(t)
	var x vcpu.Exit
	v.Inject(testGP)
	if run(v, 0, &x, fakeExit{reason: reasonEPTViolation, qualification: 2, gpa: 0x5000, cut: true}); x.Reason != vcpu.Memory || !v.ev.HasNext || v.ev.Next != testGP {
		t.Errorf("%+v, next %+v", x, v.ev.Next)
	}
	if run(v, 0, &x, fakeExit{reason: reasonEPTViolation, qualification: 2, gpa: 0x6000}); x.Mem.GPA != 0x6000 || v.todo != 0 {
		t.Errorf("%+v, todo %#x", x, v.todo)
	}
}

// What the guest may change by itself is read back, the rest is what Set gave.
func TestFreeBits(t *testing.T) {
	_, v := running(t)
	var x vcpu.Exit
	cr0, cr4 := v.Get(x86.CR0), v.Get(x86.CR4)
	run(v, 0, &x, fakeExit{reason: reasonCPUID, length: 2, guest: func(_ *testCPU, f map[uint32]uint64) {
		if f[uint32(ctlCR0Mask)] != ^uint64(freeCR0) || f[uint32(ctlCR4Mask)] != ^uint64(freeCR4) {
			t.Errorf("masks %#x, %#x", f[uint32(ctlCR0Mask)], f[uint32(ctlCR4Mask)])
		}
		f[uint32(guestCR0)] ^= x86.CR0TS
		f[uint32(guestCR4)] ^= x86.CR4PGE
	}})
	for _, when := range []string{"loaded", "off the CPU"} {
		if got0, got4 := v.Get(x86.CR0), v.Get(x86.CR4); got0 != cr0^x86.CR0TS || got4 != cr4^x86.CR4PGE {
			t.Errorf("%s: CR0 %#x after %#x, CR4 %#x after %#x", when, got0, cr0, got4, cr4)
		}
		v.Leave()
	}
}
