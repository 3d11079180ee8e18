// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

func TestDecode(t *testing.T) {
	exc := func(vector uint8, hasErr bool, err uint32) vcpu.Event {
		return vcpu.Event{Type: vcpu.HardException, Vector: vector, HasErr: hasErr, Err: err}
	}
	for _, tt := range []struct {
		name   string
		reason uint32
		info   information
		want   vcpu.Exit
		form   form
	}{
		{"CPUID", 10, information{}, vcpu.Exit{Reason: vcpu.CPUID}, fInsn},
		{"VMCALL", 18, information{}, vcpu.Exit{Reason: vcpu.Hypercall}, fInsn},
		{"VMXON", 27, information{}, vcpu.Exit{Reason: vcpu.Privileged}, fInsn},
		{"triple fault", 2, information{}, vcpu.Exit{Reason: vcpu.Shutdown}, fEvent},
		{"interrupt", 1, information{}, vcpu.Exit{Reason: vcpu.Tick}, fEvent},
		{"window", 7, information{}, vcpu.Exit{Reason: vcpu.Window}, fOwn},
		{"timer", 52, information{}, vcpu.Exit{Reason: vcpu.Tick}, fEvent},
		{"out dx, al", 30, information{qualification: 0x3f8_0000},
			vcpu.Exit{Reason: vcpu.IO, IO: vcpu.IOExit{Port: 0x3f8, Size: 1}}, fIO},
		{"in eax, dx", 30, information{qualification: 0xcfc_000b},
			vcpu.Exit{Reason: vcpu.IO, IO: vcpu.IOExit{Port: 0xcfc, Size: 4, In: true}}, fIO},
		{"rep insw", 30, information{qualification: 0x1f0_0039},
			vcpu.Exit{Reason: vcpu.IO, IO: vcpu.IOExit{Port: 0x1f0, Size: 2, In: true, String: true}}, fIO},
		{"outsb", 30, information{qualification: 0x80_0010},
			vcpu.Exit{Reason: vcpu.IO, IO: vcpu.IOExit{Port: 0x80, Size: 1, String: true}}, fIO},
		{"mov cr0, rbx", 28, information{qualification: 0x300},
			vcpu.Exit{Reason: vcpu.CRWrite, CR: vcpu.CRExit{Known: true, GPR: 3}}, fCR},
		{"mov r9, cr8", 28, information{qualification: 0x918},
			vcpu.Exit{Reason: vcpu.CRRead, CR: vcpu.CRExit{Known: true, CR: 8, GPR: 9}}, fCR},
		{"clts", 28, information{qualification: 0x20}, vcpu.Exit{Reason: vcpu.CRWrite, CR: vcpu.CRExit{}}, fCR},
		{"lmsw", 28, information{qualification: 0xffff_0030}, vcpu.Exit{Reason: vcpu.CRWrite, CR: vcpu.CRExit{}}, fCR},
		{"write to nothing", 48, information{qualification: 0x182, gpa: 0xfee0_0300},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0xfee0_0300, Write: true}}, fEPT},
		{"fetch from nothing", 48, information{qualification: 0x184, gpa: 0x1000},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0x1000, Fetch: true}}, fEPT},
		{"write to read-only", 48, information{qualification: 0x19a, gpa: 0x1000},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0x1000, Write: true, Present: true}}, fEPT},
		{"page table", 48, information{qualification: 0x81, gpa: 0x2000},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0x2000, Walk: true}}, fEPT},
		{"PDPTE, no linear address", 48, information{qualification: 0x1, gpa: 0x2000},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0x2000}}, fEPT},
		{"#AC", 0, information{interruption: 0x8000_0b11, err: 0}, vcpu.Exit{Reason: vcpu.Exception, Event: exc(17, true, 0)}, fException},
		{"#DB", 0, information{interruption: 0x8000_0301}, vcpu.Exit{Reason: vcpu.Exception, Event: exc(1, false, 0)}, fException},
		{"INT1", 0, information{interruption: 0x8000_0501},
			vcpu.Exit{Reason: vcpu.Exception, Event: vcpu.Event{Type: vcpu.SoftException, Vector: 1}}, fException},
		{"NMI", 0, information{interruption: 0x8000_0202}, vcpu.Exit{Reason: vcpu.Interrupted}, fException},
		{"EPT misconfiguration", 49, information{}, vcpu.Exit{Reason: vcpu.Unknown}, fEvent},
		{"bus lock", 74, information{qualification: ^uint64(0)}, vcpu.Exit{Reason: vcpu.BusLock}, fEvent},
		{"notify", 75, information{qualification: 1 << 12}, vcpu.Exit{Reason: vcpu.Notify}, fNotify},
		{"notify, context invalid", 75, information{qualification: 1<<12 | 1}, vcpu.Exit{Reason: vcpu.Lost}, fNotify},
		{"unknown", 69, information{}, vcpu.Exit{Reason: vcpu.Unknown}, fEvent},
		{"beyond", 0xffff, information{}, vcpu.Exit{Reason: vcpu.Unknown}, fEvent},
		{"bad guest state", 0x8000_0021, information{}, vcpu.Exit{Reason: vcpu.Invalid}, fEvent},
		{"not tried", reasonNotTried, information{}, vcpu.Exit{Reason: vcpu.Invalid}, fEvent},
	} {
		var got vcpu.Exit
		form := decode(tt.reason, &tt.info, &got)
		got.Raw = tt.want.Raw
		if d := cmp.Diff(tt.want, got); d != "" || form != tt.form {
			t.Errorf("%s: form %d, want %d (-want +got):\n%s", tt.name, form, tt.form, d)
		}
	}
}

// No reason, and nothing that the VMCS can say about it, makes decode fail, or
// say something that others cannot cope with.
func FuzzDecode(f *testing.F) {
	f.Add(uint32(30), uint64(0x1f0_0039), uint64(0), uint32(0), uint32(0), uint32(7<<7))
	f.Add(uint32(0), uint64(0), uint64(0), uint32(0x8000_07ff), uint32(1), uint32(0))
	f.Add(uint32(48), ^uint64(0), ^uint64(0), uint32(0), uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, reason uint32, q, gpa uint64, info, err, _ uint32) {
		var x vcpu.Exit
		decode(reason, &information{q, gpa, info, err}, &x)
		if x.Reason >= vcpu.NumReasons {
			t.Errorf("%+v", x)
		}
	})
}

func TestEventRoundTrip(t *testing.T) {
	for _, e := range []vcpu.Event{
		{Type: vcpu.ExternalInterrupt, Vector: 0xef},
		{Type: vcpu.NMI, Vector: 2},
		{Type: vcpu.SoftInterrupt, Vector: 0x80},
		{Type: vcpu.HardException, Vector: x86.VecUD},
		{Type: vcpu.HardException, Vector: x86.VecPF, HasErr: true, Err: 6},
	} {
		if got, ok := decodeEvent(encodeEvent(e, true), uint64(e.Err)); !ok || got != e {
			t.Errorf("%+v came back as %+v", e, got)
		}
	}
	// What the CPU insists on, whatever the caller says.
	for _, tt := range []struct {
		e         vcpu.Event
		protected bool
		want      uint64
	}{
		{vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP}, true, 0x8000_0b0d},
		{vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true}, false, 0x8000_030d},
		{vcpu.Event{Type: vcpu.HardException, Vector: x86.VecUD, HasErr: true}, true, 0x8000_0306},
		{vcpu.Event{Type: vcpu.SoftException, Vector: x86.VecDB}, true, 0x8000_0301},
	} {
		if got := encodeEvent(tt.e, tt.protected); got != tt.want {
			t.Errorf("%+v: %#x, want %#x", tt.e, got, tt.want)
		}
	}
	if _, ok := decodeEvent(0x30d, 0); ok {
		t.Error("an event that is not valid")
	}
}
