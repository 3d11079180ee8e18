// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
)

// Whoever gives a vCPU another state, by INIT or from dom0, leaves nothing of what
// was on its way to the old one.
func TestNewStateForgetsEvents(t *testing.T) {
	for name, renew := range map[string]func(d vcpuOf) abi.Status{
		"INIT": func(d vcpuOf) abi.Status { d.init(); return abi.OK },
		"SetContext": func(d vcpuOf) abi.Status {
			return d.set(&abi.VCPUContext{RIP: 0x2000, RFLAGS: 2, Online: 1})
		},
	} {
		g := newRig(t)
		d, v := g.guest("a", exit(vcpu.HLT, 1))
		v.Set(x86.RFLAGS, 2|x86.FlagIF)
		v.Inject(vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: 0x30})
		v.Inject(vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: 0x31})
		v.Shadow, v.NMIBlocked = true, true
		if st := renew(vcpuOf{d.VCPUs[0].Reset, d.VCPUs[0].SetContext}); st != abi.OK {
			t.Fatalf("%s: %v", name, st)
		}
		if v.HasPending || v.Shadow || v.NMIBlocked {
			t.Errorf("%s: event %v, shadow %v, NMIs blocked %v", name, v.HasPending, v.Shadow, v.NMIBlocked)
		}
		d.Unpause()
		g.run()
		if got := v.Only(vcputest.OpDeliver); len(got) != 0 {
			t.Errorf("%s: delivered %+v", name, got)
		}
	}
}

// vcpuOf is the two ways.
type vcpuOf struct {
	init func()
	set  func(*abi.VCPUContext) abi.Status
}
