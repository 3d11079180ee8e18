// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Registers of the local APIC's page.
const (
	apicSVR     = 0xf0
	apicTimer   = 0x320
	apicInitial = 0x380
	apicDivide  = 0x3e0
)

// A sleeper whose timers are as fast as they get wakes the host a bounded number
// of times a second: not at all where nothing can end its sleep, and 5000 times
// where something does.
func TestSleepersWakeTheHostRarely(t *testing.T) {
	const on = 2 | x86.FlagIF
	lapic := func(lvt uint64) func(g *rig, v *part.VCPU) {
		return func(g *rig, v *part.VCPU) {
			v.APIC.Write(apicTimer, 4, lvt, g.now)
			v.APIC.Write(apicInitial, 4, 1, g.now)
		}
	}
	const periodic, masked, vector = 1 << 17, 1 << 16, 0x40
	for _, c := range []struct {
		name     string
		flags    uint64
		set      func(g *rig, v *part.VCPU)
		min, max int
	}{
		{"masked, interrupts off", 2, lapic(periodic | masked | vector), 0, 0},
		{"masked", on, lapic(periodic | masked | vector), 0, 0},
		{"interrupts off", 2, lapic(periodic | vector), 0, 0},
		{"periodic", on, lapic(periodic | vector), 4900, 5001},
		{"set again after each", on, nil, 4900, 5001},
		{"PIT that nobody hears", on, pit(0x34), 95, 102},
		{"PIT, interrupts off", 2, pit(0x34), 95, 102},
	} {
		g := newRig(t)
		d, hw := g.guest("a")
		v := d.VCPUs[0]
		v.APIC.Write(apicSVR, 4, 0x1ff, g.now)
		v.APIC.Write(apicDivide, 4, 0xb, g.now) // by 1
		hw.State[x86.RFLAGS] = c.flags
		forever(hw, func(*x86.Regs) vcpu.Exit {
			v.APIC.EOI()
			if c.set == nil {
				lapic(vector)(g, v)
			}
			return vcpu.Exit{Reason: vcpu.HLT, Len: 1, TSC: g.now}
		})
		d.Unpause()
		if c.set != nil {
			c.set(g, v)
		}
		turns := 0
		for end := g.now + 1e9; g.now < end; {
			if g.r.turn() {
				turns++
				g.now += 1000
			} else {
				g.now = min(g.r.cpu.Timers.Next(), end)
			}
		}
		if n := turns - 1; n < c.min || n > c.max {
			t.Errorf("%s: woken %d times a second, want %d to %d", c.name, n, c.min, c.max)
		}
	}
}

// pit starts channel 0 with a count of 2.
func pit(mode uint64) func(g *rig, v *part.VCPU) {
	return func(g *rig, v *part.VCPU) {
		for _, w := range [][2]uint64{{3, mode}, {0, 2}, {0, 0}} {
			s := v.Dom.Ports.At(uint16(abi.PortPIT + w[0]))
			if s == nil {
				g.t.Fatal("no PIT")
			}
			s.Dev.Write(w[0], 1, w[1], g.now)
		}
	}
}
