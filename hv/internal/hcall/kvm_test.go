// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"encoding/binary"
	"testing"

	"ringo/hv/abi"
	"ringo/mm"
)

// TestClockPairing decodes KVM's structure of a wall time and the guest's TSC at the
// offsets of Linux's struct kvm_clock_pairing (arch/x86/include/uapi/asm/kvm_para.h).
func TestClockPairing(t *testing.T) {
	r := newRig(t)
	r.m.EpochNS.Store(1_700_000_000_000_000_041)
	r.m.TSC = func() uint64 { return 7 } // nanoseconds
	d := r.create("g")
	for again := abi.Again; again == abi.Again; {
		again, _ = r.call(r.dom0, abi.CallDomPopulate, uint64(d.ID), 0, mm.MiB, 0)
	}
	v := d.VCPUs[0]
	v.Time.Offset = 100
	pair := func(gpa, kind uint64) int64 {
		g := v.HW.Regs()
		g.RAX, g.RBX, g.RCX = 9, gpa, kind
		r.c.Do(v)
		return int64(g.RAX)
	}
	const at = 2*mm.PageSize - 8 // across pages
	if st := pair(at, 0); st != 0 {
		t.Fatal(st)
	}
	b := make([]byte, 80)
	if !d.Read(at-8, b) {
		t.Fatal("no memory")
	}
	le := binary.LittleEndian
	if sec, ns, tsc := le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]); sec != 1_700_000_000 || ns != 48 || tsc != 107 {
		t.Errorf("%d s %d ns, TSC %d", sec, ns, tsc)
	}
	for i, c := range b {
		if (i < 8 || i >= 32) && c != 0 {
			t.Errorf("byte %d is %#x", i-8, c)
		}
	}
	for gpa, kind := range map[uint64]uint64{at: 1, at + 8: 1 << 32} {
		if st := pair(gpa, kind); st != -95 {
			t.Errorf("clock %#x: %d", kind, st)
		}
	}
	for _, gpa := range []uint64{mm.MiB - 63, mm.MiB, 1 << 45, ^uint64(0) - 30} {
		if st := pair(gpa, 0); st != -14 {
			t.Errorf("at %#x: %d", gpa, st)
		}
	}
	if n := testing.AllocsPerRun(10, func() { pair(at, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSetWall: guests that ask for the wall time get the one that was set last, also those
// that have run before.
func TestSetWall(t *testing.T) {
	r := newRig(t)
	now := uint64(1000)
	r.m.TSC = func() uint64 { return now } // nanoseconds
	d := r.create("g")
	for again := abi.Again; again == abi.Again; {
		again, _ = r.call(r.dom0, abi.CallDomPopulate, uint64(d.ID), 0, mm.MiB, 0)
	}
	v, le := d.VCPUs[0], binary.LittleEndian
	if st, _ := r.call(d, abi.CallSetWall, 5_000_000_000); st != abi.Denied {
		t.Error("a guest: ", st)
	}
	if st, _ := r.call(r.dom0, abi.CallDomUnpause, uint64(d.ID)); st != abi.OK {
		t.Fatal(st)
	}
	now += 500
	b := make([]byte, 12)
	for _, wall := range []uint64{1_700_000_000_000_000_000, 1_600_000_000_000_000_100, 1000} {
		if st, _ := r.call(r.dom0, abi.CallSetWall, wall+500); st != abi.OK {
			t.Fatal(wall, st)
		}
		// The guest's clock is 500 ns old.
		if n := testing.AllocsPerRun(10, func() { v.WallClock(0x100) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if !d.Read(0x100, b) || uint64(le.Uint32(b[4:]))*1e9+uint64(le.Uint32(b[8:])) != wall {
			t.Errorf("%d: %x", wall, b)
		}
	}
	if st, _ := r.call(r.dom0, abi.CallSetWall, 1499); st != abi.BadArg {
		t.Error("before 1970: ", st)
	}
}
