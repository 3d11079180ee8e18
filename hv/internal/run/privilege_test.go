// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// TestPrivilege tries what only a kernel may from the other rings. VMCALL and VMMCALL
// exit in any (SDM Vol. 3, "VMCALL"; APM Vol. 3, "VMMCALL"). Of all other instructions
// that exit the CPU checks the privilege level first (SDM Vol. 3, "Relative Priority of
// Faults and VM Exits"; APM Vol. 2, "Instruction Intercepts").
func TestPrivilege(t *testing.T) {
	for _, c := range []struct {
		reason vcpu.Reason
		n      uint8
		rax    uint64
		want   vcpu.Event
	}{
		{vcpu.Hypercall, 3, uint64(abi.CallNop), vcpu.Event{Type: vcpu.HardException, Vector: x86.VecUD}},
		{vcpu.Hypercall, 3, uint64(abi.CallDomCreate), vcpu.Event{Type: vcpu.HardException, Vector: x86.VecUD}},
		{vcpu.Hypercall, 3, uint64(abi.CallIOReqDone), vcpu.Event{Type: vcpu.HardException, Vector: x86.VecUD}},
	} {
		for cpl := range uint8(4) {
			for _, ahead := range []bool{false, true} {
				g := newRig(t)
				d, v := g.guest("a")
				p := d.VCPUs[0]
				v.Registers.RAX, v.Registers.RCX, v.Registers.RDX = c.rax, 0, 0
				v.State[x86.RIP] = 0x1000
				p.Exit = vcpu.Exit{Reason: c.reason, Len: c.n, CPL: cpl, RIP: 0x1000, Ahead: ahead}
				if ahead {
					v.State[x86.RIP] += uint64(c.n)
				}
				regs := v.Registers
				handlers[c.reason](g.r, p, &p.Exit)
				if cpl == 0 {
					if v.HasPending || v.State[x86.RIP] != 0x1000+uint64(c.n) {
						t.Errorf("%v, RAX %#x, of the kernel: RIP %#x, pending %v %+v", c.reason, c.rax, v.State[x86.RIP], v.HasPending, v.Pending)
					}
					continue
				}
				if !v.HasPending || v.Pending != c.want || v.State[x86.RIP] != 0x1000 || v.Registers != regs || info(d).Shutdown != 0 {
					t.Errorf("%v, RAX %#x, CPL %d, ahead %v: RIP %#x, pending %v %+v, shutdown %d", c.reason, c.rax, cpl, ahead,
						v.State[x86.RIP], v.HasPending, v.Pending, info(d).Shutdown)
				}
			}
		}
	}
}
