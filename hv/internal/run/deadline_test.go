// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// A guest that sets its timer costs a look at nothing else, unless there is something to
// look at; and the host's timer is set for whatever comes first.
func TestDeadline(t *testing.T) {
	const now, until = 5000, 9000
	for _, tt := range []struct {
		name    string
		val     uint64
		vector  uint8 // pending before, if not 0
		turn    uint64
		running uint64 // another deadline of its timer, before
		want    action
		armed   uint64 // 0: not set
	}{
		{"to come", 7000, 0, until, 0, resume, 7000},
		{"behind the end of its slice", 20000, 0, until, 0, resume, until},
		{"never", 0, 0, until, 7000, resume, until},
		{"later than before", 8000, 0, until, 7000, resume, 8000},
		{"now", now, 0, until, 0, look, 0},
		{"past", 1, 0, until, 0, look, 0},
		{"beyond the end of time", ^uint64(0), 0, until, 0, resume, until},
		{"while an interrupt waits", 7000, 0x41, until, 0, look, 0},
		{"while its slice is over", 7000, 0, now, 0, look, 0},
	} {
		g := newRig(t)
		d, _ := g.guest("a")
		v := d.VCPUs[0]
		set := func(msr uint32, val uint64) action {
			*v.Regs = x86.Regs{RCX: uint64(msr), RAX: val & 0xffff_ffff, RDX: val >> 32}
			return wrmsr(g.r, v, &vcpu.Exit{Reason: vcpu.WRMSR, Len: 2, Ahead: true, TSC: now})
		}
		set(x86.MSRAPICBase, v.APIC.Base()|1<<10)
		set(x86.MSRX2APICBase+0xf, 0x1ff)
		set(x86.MSRX2APICBase+0x32, 2<<17|0x51)
		g.r.until = tt.turn
		if tt.running != 0 {
			set(x86.MSRTSCDeadline, tt.running)
		}
		if tt.vector != 0 {
			v.APIC.SetIRR(tt.vector, false)
		}
		armed := uint64(0)
		g.r.host.Arm = func(at uint64) { armed = at }
		if got := set(x86.MSRTSCDeadline, tt.val); got != tt.want || armed != tt.armed {
			t.Errorf("%s: action %d, the host's timer at %d, want %d and %d", tt.name, got, armed, tt.want, tt.armed)
		}
	}
}
