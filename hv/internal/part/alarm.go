// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/internal/pcpu"
	"ringo/hv/x86"
)

// Bounds on what the timers of a sleeper cost the host, which somebody else's CPU
// may have to pay.
const (
	// napHz is how often they wake it, at most: an alarm is no closer than this to
	// the last one. So one short sleep is as short as the guest wants.
	napHz = 5000
	// deafHz is how often they do while nothing hears the interrupt.
	deafHz = 100
)

// alarm is when v, which is about to wait in HLT, must be woken for its timers. In the
// middle of an instruction (WaitIO) they are of no use: what is due then is seen
// when the instruction ends. With interrupts off, no local timer ends a HLT, nor
// does one end the wait for a start-up message. It is for v's runner.
func (v *VCPU) alarm(now uint64) uint64 {
	at := uint64(pcpu.Never)
	if t, ok := v.APIC.Deadline(); ok && v.HW.Get(x86.RFLAGS)&x86.FlagIF != 0 {
		at = t
	}
	hz := v.Dom.machine.TSCHz
	if p := v.Dom.Plat; v.ID == 0 && p.pit != nil {
		if t, ok := p.pit.Deadline(); ok {
			if p.pitUnheard() {
				t = max(t, now+hz/deafHz)
			}
			at = min(at, t)
		}
		if t, ok := p.hpet.Deadline(); ok {
			at = min(at, t)
		}
	}
	if at != pcpu.Never {
		at = max(at, v.woken+hz/napHz)
	}
	return at
}
