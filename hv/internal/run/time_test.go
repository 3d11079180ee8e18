// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/bus"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// TestExitTime: all that tells a guest the time does so for the moment of the
// exit, whenever the hypervisor comes to answer.
func TestExitTime(t *testing.T) {
	g := newRig(t)
	d, hw := g.guest("clock")
	d.Unpause() // the guest's TSC is 0 now
	v := d.VCPUs[0]
	flat(t, v, 0x8b, 0x07) // MOV EAX, [EDI]
	v.APIC.Write(0xf0, 4, 0x1ff, g.now)
	v.APIC.Write(0x3e0, 4, 0xb, g.now) // count by 1
	v.APIC.Write(0x380, 4, 0xffff_ffff, g.now)
	start := g.now
	rate := bus.NewRate(abi.PMTimerHz, g.m.TSCHz)
	type times struct{ PM, TSC, Count uint64 }
	for _, span := range []uint64{0, 1, 999, 123_456, 10_000_000} {
		g.now = start + span + 5_000_000 // hv is late
		x := &v.Exit
		*x = vcpu.Exit{Reason: vcpu.IO, Len: 1, TSC: start + span,
			IO: vcpu.IOExit{Port: abi.PortPMTimer, Size: 4, In: true}}
		port(g.r, v, x)
		got := times{PM: v.Regs.RAX}
		*x = vcpu.Exit{Reason: vcpu.RDMSR, Len: 2, TSC: start + span}
		v.Regs.RCX = x86.MSRTSC
		anyRDMSR(g.r, v, x)
		got.TSC = v.Regs.RDX<<32 | v.Regs.RAX
		*x = vcpu.Exit{Reason: vcpu.Memory, TSC: start + span, Mem: vcpu.MemExit{GPA: abi.LAPICBase + 0x390}}
		v.Regs.RDI = abi.LAPICBase + 0x390
		hw.State[x86.RIP] = 0x1000
		memory(g.r, v, x)
		got.Count = v.Regs.RAX
		want := times{rate.Counts(start+span) - rate.Counts(start), span, 0xffff_ffff - span}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("after %d ticks: %s", span, d)
		}
	}
}

// A guest that was paused finds that in its clock's record before it goes on, once;
// its clock has gone on.
func TestPauseIsInTheClock(t *testing.T) {
	g := newRig(t)
	d, hw := g.guest("paused")
	v := d.VCPUs[0]
	if !v.SetSystemTime(0x3001) {
		t.Fatal("refused")
	}
	const flags, stopped = 0x3000 + 29, 1 << 1
	var seen []byte
	forever(hw, func(*x86.Regs) vcpu.Exit {
		var b [1]byte
		d.Read(flags, b[:])
		seen = append(seen, b[0]&stopped)
		d.Write(flags, []byte{b[0] &^ stopped}) // as Linux does
		return vcpu.Exit{Reason: vcpu.HLT, Len: 1, TSC: g.now}
	})
	v.APIC.Write(apicSVR, 4, 0x1ff, g.now)
	hw.State[x86.RFLAGS] = 2 | x86.FlagIF
	d.Unpause()
	g.run()
	for range 2 {
		if st := d.Pause(); st != abi.OK {
			t.Fatal(st)
		}
		g.now += 65e9
		d.Unpause()
		v.NMI()
		g.run()
		v.NMI()
		g.run()
	}
	if d := cmp.Diff([]byte{0, stopped, 0, stopped, 0}, seen); d != "" {
		t.Error("flag at each run:", d)
	}
	var b [8]byte
	d.Read(0x3008, b[:])
	if tsc := binary.LittleEndian.Uint64(b[:]); tsc != 0 {
		t.Errorf("the record's TSC has moved to %d", tsc)
	}
}
