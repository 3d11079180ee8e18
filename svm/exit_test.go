// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
)

func TestDecode(t *testing.T) {
	qemu, real := features{}, features{nextRIP: true, decodeAssists: true}
	gp := vcpu.Event{Type: vcpu.HardException, Vector: 13, HasErr: true, Err: 8}
	for _, tt := range []struct {
		name string
		f    features
		b    vmcb
		want vcpu.Exit
	}{
		{"CPUID without NRIPS", qemu, vmcb{exitCode: 0x72, rip: 0x1000, nextRIP: 0},
			vcpu.Exit{Reason: vcpu.CPUID}},
		{"CPUID", real, vmcb{exitCode: 0x72, rip: 0x1000, nextRIP: 0x1003, cpl: 3},
			vcpu.Exit{Reason: vcpu.CPUID, Len: 3, CPL: 3}},
		{"next RIP nonsense", real, vmcb{exitCode: 0x72, rip: 0x1000, nextRIP: 0x2000},
			vcpu.Exit{Reason: vcpu.CPUID}},
		{"RDMSR", real, vmcb{exitCode: 0x7c, rip: 0x1000, nextRIP: 0x1002},
			vcpu.Exit{Reason: vcpu.RDMSR, Len: 2}},
		{"WRMSR", real, vmcb{exitCode: 0x7c, exitInfo1: 1, rip: 0x1000, nextRIP: 0x1002},
			vcpu.Exit{Reason: vcpu.WRMSR, Len: 2}},
		{"VMMCALL", real, vmcb{exitCode: 0x81, rip: 0x1000, nextRIP: 0x1003},
			vcpu.Exit{Reason: vcpu.Hypercall, Len: 3}},
		{"write of an absent page", qemu, vmcb{exitCode: 0x400, exitInfo1: 1<<32 | 6, exitInfo2: 0xfee00080},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0xfee00080, Write: true}}},
		{"fetch from a forbidden page", qemu, vmcb{exitCode: 0x400, exitInfo1: 1<<32 | 0x15, exitInfo2: 0x1000},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0x1000, Fetch: true, Present: true}}},
		{"guest page table absent", qemu, vmcb{exitCode: 0x400, exitInfo1: 1<<33 | 6, exitInfo2: 0x2000},
			vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: 0x2000, Write: true, Walk: true}}},
		{"#GP", qemu, vmcb{exitCode: 0x4d, exitInfo1: 8}, vcpu.Exit{Reason: vcpu.Exception, Event: gp}},
		{"#DB", qemu, vmcb{exitCode: 0x41, exitInfo1: 8},
			vcpu.Exit{Reason: vcpu.Exception, Event: vcpu.Event{Type: vcpu.HardException, Vector: 1}}},
		{"#BP", qemu, vmcb{exitCode: 0x43},
			vcpu.Exit{Reason: vcpu.Exception, Event: vcpu.Event{Type: vcpu.SoftException, Vector: 3}}},
		{"ICEBP", real, vmcb{exitCode: 0x88, rip: 5, nextRIP: 6},
			vcpu.Exit{Reason: vcpu.Exception, Len: 1, Event: vcpu.Event{Type: vcpu.SoftException, Vector: 1}}},
		{"MOV CR0, RBX", real, vmcb{exitCode: 0x10, exitInfo1: 1<<63 | 3, rip: 0, nextRIP: 3},
			vcpu.Exit{Reason: vcpu.CRWrite, Len: 3, CR: vcpu.CRExit{Known: true, GPR: 3}}},
		{"LMSW or CLTS", real, vmcb{exitCode: 0x10, rip: 0, nextRIP: 2},
			vcpu.Exit{Reason: vcpu.CRWrite, Len: 2}},
		{"MOV CR4 without assists", qemu, vmcb{exitCode: 0x14, exitInfo1: 1<<63 | 3},
			vcpu.Exit{Reason: vcpu.CRWrite, CR: vcpu.CRExit{CR: 4}}},
		{"MOV from CR0", real, vmcb{exitCode: 0, exitInfo1: 1<<63 | 15, nextRIP: 4},
			vcpu.Exit{Reason: vcpu.CRRead, Len: 4, CR: vcpu.CRExit{Known: true, GPR: 15}}},
		{"MOV DR7", qemu, vmcb{exitCode: 0x37}, vcpu.Exit{Reason: vcpu.DRAccess}},
		{"shutdown", qemu, vmcb{exitCode: 0x7f}, vcpu.Exit{Reason: vcpu.Shutdown}},
		{"invalid", qemu, vmcb{exitCode: 0xffff_ffff}, vcpu.Exit{Reason: vcpu.Invalid}},
		{"unknown", qemu, vmcb{exitCode: 0x403}, vcpu.Exit{Reason: vcpu.Unknown}},
	} {
		var got vcpu.Exit
		decode(&tt.b, &tt.f, &got)
		tt.want.RIP = tt.b.rip
		tt.want.Raw = [3]uint64{tt.b.exitCode, tt.b.exitInfo1, tt.b.exitInfo2}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestDecodeIO(t *testing.T) {
	for _, tt := range []struct {
		name string
		info uint32
		want vcpu.IOExit
	}{
		{"OUT DX, AL", 0x3f8<<16 | 0x10, vcpu.IOExit{Port: 0x3f8, Size: 1}},
		{"IN EAX, DX", 0xcfc<<16 | 0x41, vcpu.IOExit{Port: 0xcfc, Size: 4, In: true}},
		{"IN AX, imm8", 0x60<<16 | 0x21, vcpu.IOExit{Port: 0x60, Size: 2, In: true}},
		// The figure of safety.md: QEMU's REP INSB on port 0x60.
		{"REP INSB, QEMU", 0x60001d, vcpu.IOExit{Port: 0x60, Size: 1, In: true, String: true}},
		{"REP INSB, Bochs", 0x60021d, vcpu.IOExit{Port: 0x60, Size: 1, In: true, String: true}},
		{"GS OUTSW, assists", 0x10<<16 | 5<<10 | 0x224, vcpu.IOExit{Port: 0x10, Size: 2, String: true}},
	} {
		if d := cmp.Diff(tt.want, decodeIO(tt.info)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// Any VMCB decodes to something, with a length that Advance can take.
func FuzzDecode(f *testing.F) {
	f.Add(uint64(0x7b), uint64(0x60001d), uint64(3), uint64(1), uint64(0))
	f.Add(uint64(0x400), uint64(7), uint64(0xfee00000), uint64(1), uint64(9))
	f.Fuzz(func(t *testing.T, code, info1, info2, rip, next uint64) {
		for _, ft := range []features{{}, {nextRIP: true, decodeAssists: true}} {
			var x vcpu.Exit
			b := vmcb{exitCode: code, exitInfo1: info1, exitInfo2: info2, rip: rip, nextRIP: next}
			decode(&b, &ft, &x)
			if x.Len > 15 || x.Reason >= vcpu.NumReasons || x.CR.GPR > 15 {
				t.Errorf("%+v", x)
			}
		}
	})
}
