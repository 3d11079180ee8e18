// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
)

// A write to a doorbell sets its bit and the guest goes on; several are one event.
// Reads, and writes that stick out, wait for dom0 as before.
func TestBell(t *testing.T) {
	g := newRig(t)
	out := func(port uint16, size uint8) vcputest.Step {
		return vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.IO, Len: 1, IO: vcpu.IOExit{Port: port, Size: size}}}
	}
	raised := func(d *part.Domain) bool { return g.shared.Pending[d.Port/64]>>(d.Port%64)&1 != 0 }
	d, v := g.guest("a", out(0xc010, 2), out(0xc011, 1), exit(vcpu.CPUID, 2), out(0xc012, 4))
	if st := d.SetBell(70, abi.SpacePort, 0xc010, 4); st != abi.BadArg {
		t.Errorf("a bell outside of claims: %v", st)
	}
	for _, st := range []abi.Status{
		d.Claim(abi.SpacePort, 0xc000, 0x4000, 0), d.SetBell(3, abi.SpacePort, 0xc020, 4),
		d.SetBell(70, abi.SpacePort, 0xc000, 4), d.SetBell(70, abi.SpacePort, 0xc010, 4),
	} {
		if st != abi.OK {
			t.Fatal(st)
		}
	}
	for _, st := range []abi.Status{
		d.SetBell(abi.MaxBells, abi.SpacePort, 0xc010, 4), d.SetBell(0, abi.SpaceMemory+1, 0xc010, 4),
		d.SetBell(0, abi.SpacePort, 0xfffe, 4), d.SetBell(0, abi.SpacePort, 0x1_0000, 4), d.SetBell(0, abi.SpacePort, 0xbfff, 2),
		d.SetBell(0, abi.SpacePort, 0xc000, 1<<63), d.SetBell(0, abi.SpaceMemory, 0xc000, 1),
	} {
		if st != abi.BadArg {
			t.Errorf("an impossible bell: %v", st)
		}
	}
	d.Unpause()
	g.run()
	if d.IOReq.Bell[1] != 1<<6 || d.IOReq.Bell[0] != 0 || !raised(d) {
		t.Errorf("bells %#x, event %v", d.IOReq.Bell, raised(d))
	}
	q := &d.IOReq.Slot[0]
	if q.State != abi.IOReqReady || q.Addr != 0xc012 || q.Size != 4 || v.State[x86.RIP] != 0x1005 {
		t.Errorf("the guest stands at %#x, slot %+v", v.State[x86.RIP], *q)
	}
	if q.Time != d.VCPUs[0].Exit.TSC {
		t.Errorf("the slot has time %d, the exit was at %d", q.Time, d.VCPUs[0].Exit.TSC)
	}

	// A bell that was taken away is an ordinary claim again.
	g.shared.Ready, g.shared.Pending[d.Port/64] = 0, 0
	d2, v2 := g.guest("b", out(0xc010, 2), exit(vcpu.HLT, 1))
	for _, st := range []abi.Status{
		d2.Claim(abi.SpacePort, 0xc000, 0x4000, 0), d2.SetBell(70, abi.SpacePort, 0xc010, 4), d2.SetBell(70, abi.SpacePort, 0, 0),
	} {
		if st != abi.OK {
			t.Fatal(st)
		}
	}
	d2.Unpause()
	g.run()
	if d2.IOReq.Bell != [2]uint64{} || d2.IOReq.Slot[0].State != abi.IOReqReady || v2.State[x86.RIP] != 0x1001 {
		t.Errorf("no bell: bits %#x, slot %+v", d2.IOReq.Bell, d2.IOReq.Slot[0])
	}
	if n := testing.AllocsPerRun(100, func() { d.HasBells(abi.SpacePort); d.Ring(abi.SpacePort, 0xc010, 2) }); n != 0 {
		t.Errorf("a ring allocates %v times", n)
	}
}

// An interrupt message is decoded as the CPU does, and what is none is refused.
func TestMSI(t *testing.T) {
	g := newRig(t)
	d, _ := g.guest("a")
	apic := d.VCPUs[0].APIC
	apic.Write(0xf0, 4, 0x1ff, g.now)
	for _, c := range []struct {
		addr uint64
		data uint32
		want abi.Status
		irr  bool
	}{
		{0xfee0_0000, 0x4041, abi.OK, true},
		{0xfee0_1000, 0x4042, abi.OK, false}, // to nobody
		{0xfee0_0000, 0x0343, abi.BadArg, false},
		{0xfed0_0000, 0x4044, abi.BadArg, false},
		{0x1_fee0_0000, 0x4045, abi.BadArg, false},
	} {
		st := d.MSI(c.addr, c.data)
		vec := c.data & 0xff
		irr := apic.Read(0x200+uint64(vec/32)*0x10, 4, g.now)>>(vec%32)&1 != 0
		if st != c.want || irr != c.irr {
			t.Errorf("MSI(%#x, %#x) = %v, IRR %v; want %v, %v", c.addr, c.data, st, irr, c.want, c.irr)
		}
	}
}
