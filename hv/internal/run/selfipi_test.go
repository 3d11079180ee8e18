// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// What a vCPU sends itself is on its way to it before the next entry, without a look at
// everything else, if it takes interrupts; if not, that look arranges what is needed.
func TestSelfIPI(t *testing.T) {
	const on = 2 | x86.FlagIF
	for _, tt := range []struct {
		name   string
		flags  uint64
		cr8    uint64
		vector uint64
		before uint8 // an interrupt that is on its way already, if not 0
		want   action
		given  uint8
	}{
		{"taken", on, 0, 0x41, 0, resume, 0x41},
		{"interrupts off", 2, 0, 0x41, 0, look, 0},
		{"below the task priority, by CR8", on, 5, 0x41, 0, look, 0},
		{"above the task priority, by CR8", on, 3, 0x41, 0, resume, 0x41},
		{"an illegal vector", on, 0, 0xf, 0, look, 0},
		{"not a vector", on, 0, 0x141, 0, resume, 0}, // #GP
		{"behind another event", on, 0, 0x41, 0x30, look, 0x30},
	} {
		g := newRig(t)
		d, hw := g.guest("a")
		v := d.VCPUs[0]
		const apicBase, en, extd = 0xfee0_0000, 1 << 11, 1 << 10
		if !v.APIC.WriteMSR(x86.MSRAPICBase, apicBase|en|extd, 0) || !v.APIC.WriteMSR(x86.MSRX2APICBase+0xf, 0x1ff, 0) {
			t.Fatal("no x2APIC")
		}
		hw.State[x86.RFLAGS] = on
		if tt.before != 0 {
			hw.Inject(vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: tt.before})
		}
		syncCR8(v)
		hw.State[x86.RFLAGS], hw.State[x86.CR8] = tt.flags, tt.cr8
		v.Regs.RCX, v.Regs.RAX, v.Regs.RDX = x86.MSRX2APICBase+x86.APICSelfIPI, tt.vector, 0
		if got := wrmsr(g.r, v, &vcpu.Exit{Reason: vcpu.WRMSR, Len: 2, Ahead: true}); got != tt.want {
			t.Errorf("%s: action %d, want %d", tt.name, got, tt.want)
		}
		given := uint8(0)
		if hw.HasPending && hw.Pending.Type == vcpu.ExternalInterrupt {
			given = hw.Pending.Vector
		}
		if given != tt.given {
			t.Errorf("%s: %+v is on its way, want vector %#x", tt.name, hw.Pending, tt.given)
		}
		inService, _ := v.APIC.ReadMSR(x86.MSRX2APICBase+x86.APICISR+2, 0) // 0x40 to 0x5f
		if (inService != 0) != (tt.given == 0x41) {
			t.Errorf("%s: in service %#x", tt.name, inService)
		}
	}
}
