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
	r.m.EpochNS = 1_700_000_000_000_000_041
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
