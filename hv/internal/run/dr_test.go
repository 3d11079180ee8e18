// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

func TestDRWrite(t *testing.T) {
	const at = 0x1000
	for _, tt := range []struct {
		name string
		code []byte
		edx  uint64
		cr4  uint64
		reg  x86.Reg
		want uint64
		exc  uint8 // injected, if not 0
	}{
		{"mov dr0, edx", []byte{0x0f, 0x23, 0xc2}, 0x1234, 0, x86.DR0, 0x1234, 0},
		{"mov dr3, edx", []byte{0x0f, 0x23, 0xda}, 0x5678, 0, x86.DR3, 0x5678, 0},
		{"mov dr6, edx", []byte{0x0f, 0x23, 0xf2}, 0xffff_ffff, 0, x86.DR6, 0xffff_efff &^ 0x1000, 0},
		{"mov dr7, edx", []byte{0x0f, 0x23, 0xfa}, 0xffff_ffff, 0, x86.DR7, 0xffff_27ff, 0},
		{"mov dr7, edx enables nothing", []byte{0x0f, 0x23, 0xfa}, 0x400, 0, x86.DR7, 0x400, 0},
		{"mov dr7, edx one breakpoint", []byte{0x0f, 0x23, 0xfa}, 0x2, 0, x86.DR7, 0x402, 0},
		{"mov dr5, edx is dr7", []byte{0x0f, 0x23, 0xea}, 0, 0, x86.DR7, 0x400, 0},
		{"mov dr4, edx is dr6", []byte{0x0f, 0x23, 0xe2}, 0, 0, x86.DR6, 0xffff_0ff0, 0},
		{"mov dr5, edx under DE", []byte{0x0f, 0x23, 0xea}, 0, x86.CR4DE, x86.DR7, vcpu.ResetDR7, x86.VecUD},
		{"something else by now", []byte{0x90, 0x90, 0x90}, 1, 0, x86.DR7, vcpu.ResetDR7, 0},
	} {
		g := newRig(t)
		d, v := g.guest("a")
		p := d.VCPUs[0]
		seg := v.Segments[x86.CS]
		seg.Base, seg.Selector = 0, 0
		v.Segments[x86.CS] = seg
		v.State[x86.CR0], v.State[x86.CR4], v.State[x86.EFER] = x86.CR0ET, tt.cr4, 0
		v.State[x86.RIP], v.Registers.RDX = at, tt.edx
		v.State[x86.DR6], v.State[x86.DR7] = vcpu.ResetDR6, vcpu.ResetDR7
		if !d.Write(at, tt.code) {
			t.Fatal("no memory")
		}
		drWrite(g.r, p, &vcpu.Exit{Reason: vcpu.DRWrite})
		if got := v.State[tt.reg]; got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.name, got, tt.want)
		}
		moved := tt.exc == 0 && tt.code[0] == 0x0f
		if got := v.State[x86.RIP]; (got == at+3) != moved {
			t.Errorf("%s: RIP %#x", tt.name, got)
		}
		if v.HasPending != (tt.exc != 0) || v.HasPending && v.Pending.Vector != tt.exc {
			t.Errorf("%s: pending %v %+v", tt.name, v.HasPending, v.Pending)
		}
	}
}
