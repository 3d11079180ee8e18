// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"testing"

	"ringo/hv/abi"
	"ringo/mm"
)

type level bool

func (l *level) Set(on bool) { *l = level(on) }

// A line that the HPET shares is high while one of the two wants it, and the other one's
// alone is not heard while the HPET has its place.
func TestJoint(t *testing.T) {
	var out level
	j := new(joint)
	pit := j.or(&out)
	for i, step := range []struct {
		do   func()
		want level
	}{
		{func() { pit.Set(true) }, true},
		{func() { j.set(fromHPET, true) }, true},
		{func() { pit.Set(false) }, true},
		{func() { j.set(fromHPET, false) }, false},
		{func() { pit.Set(true) }, true},
		{func() { j.replace(true) }, false},
		{func() { pit.Set(false) }, false},
		{func() { pit.Set(true) }, false},
		{func() { j.set(fromHPET, true) }, true},
		{func() { j.set(fromHPET, false) }, false},
		{func() { j.replace(false) }, true},
	} {
		if step.do(); out != step.want {
			t.Fatalf("step %d: %v", i, out)
		}
	}
}

// TestHPET: a guest's HPET answers at its address, wakes vCPU 0 and interrupts through
// the I/O APIC.
func TestHPET(t *testing.T) {
	m, _ := newMachine(t, 8)
	a := abi.CreateArgs{VCPUs: 1, MaxBytes: mm.MiB}
	a.Name[0] = 'a'
	d, st := m.Create(&a)
	if st != abi.OK {
		t.Fatal(st)
	}
	dev, off, ok := d.Mem.Find(abi.HPETBase+0x3f8, 8)
	if !ok || off != 0x3f8 || dev != d.Plat.hpet {
		t.Fatal("no HPET")
	}
	v, now := d.VCPUs[0], m.Now()
	v.APIC.Write(0xf0, 4, 0x1ff, now)
	for _, w := range [][2]uint64{{0x10 + 2*20, 0x41}, {0x11 + 2*20, 0}} { // input 20: vector 0x41, edge
		d.Plat.ioapic.Write(0, 4, w[0], now)
		d.Plat.ioapic.Write(0x10, 4, w[1], now)
	}
	const enable, route = 1 << 2, 9
	dev.Write(0x100, 8, enable|20<<route, now)
	dev.Write(0x108, 8, 1000, now)
	if _, ok := d.Plat.hpet.Deadline(); ok {
		t.Error("a deadline while it stands")
	}
	dev.Write(0x10, 8, 1, now)
	at := v.Deadline()
	if want := now + m.TSCHz*1000/abi.HPETHz; at < want || at > want+m.TSCHz/abi.HPETHz+2 {
		t.Errorf("deadline %d, want %d", at, want)
	}
	if v.Tick(at - 1); v.Deadline() != at {
		t.Error("early")
	}
	v.Tick(at)
	if vec, ok := v.APIC.Pending(); vec != 0x41 || !ok {
		t.Errorf("vector %#x %v", vec, ok)
	}
	d.SetLine(20, true) // as PCI functions do
	if in := d.Plat.lines[20]; in == d.Plat.ioapic.Line(20) {
		t.Error("the line is not shared")
	}
}
