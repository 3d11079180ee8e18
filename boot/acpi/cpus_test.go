// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cpuEntry is a processor's entry: of a local APIC, or of an x2APIC.
func cpuEntry(x2 bool, uid, id uint32, flags uint8) []byte {
	if !x2 {
		return []byte{0, 8, byte(uid), byte(id), flags, 0, 0, 0}
	}
	b := []byte{9, 16, 0, 0, 12: 0, 15: 0}
	le.PutUint32(b[4:], id)
	b[8] = flags
	le.PutUint32(b[12:], uid)
	return b
}

// TestOthers makes tables as firmware of several kinds of machines does: which CPUs are
// started, by APIC ID, and how many have a place only.
func TestOthers(t *testing.T) {
	const enabled, capable = 1, 2
	for _, c := range []struct {
		name  string
		boot  uint32
		cpus  func(add func(x2 bool, uid, id uint32, flags uint8))
		want  []uint32
		later int
	}{
		{"one CPU", 0, func(add func(bool, uint32, uint32, uint8)) { add(false, 0, 0, enabled) }, nil, 0},
		{"threads in the second half of the list", 0, func(add func(bool, uint32, uint32, uint8)) {
			for i := range uint32(4) {
				add(false, i, 2*i, enabled)
			}
			for i := range uint32(4) {
				add(false, 4+i, 2*i+1, enabled)
			}
		}, []uint32{2, 4, 6, 1, 3, 5, 7}, 0},
		{"two sockets of six cores, holes between", 0, func(add func(bool, uint32, uint32, uint8)) {
			for i := range uint32(12) {
				add(false, i, i/6<<5|i%6<<1, enabled)
			}
		}, []uint32{2, 4, 6, 8, 10, 32, 34, 36, 38, 40, 42}, 0},
		{"the boot CPU is neither first nor 0", 16, func(add func(bool, uint32, uint32, uint8)) {
			for _, id := range []uint32{18, 16, 20} {
				add(false, id, id, enabled)
			}
		}, []uint32{18, 20}, 0},
		{"places for more, and entries that are not used", 0, func(add func(bool, uint32, uint32, uint8)) {
			add(false, 0, 0, enabled)
			add(false, 1, 1, enabled)
			add(false, 2, 2, capable)
			add(false, 3, 3, capable)
			add(false, 4, 4, 0)
			add(false, 5, 0xff, 0) // as many as the firmware has room for
			add(false, 6, 0xff, enabled)
			add(true, 7, 0xffff_ffff, 0)
		}, []uint32{1}, 2},
		{"IDs above 255, the small ones twice", 0, func(add func(bool, uint32, uint32, uint8)) {
			for i := range uint32(4) {
				add(false, i, i, enabled)
			}
			for i := range uint32(4) {
				add(true, i, i, enabled)
			}
			for i := range uint32(3) {
				add(true, 300+i, 0x100+i<<4, enabled)
			}
		}, []uint32{1, 2, 3, 0x100, 0x110, 0x120}, 0},
		{"disabled as local APIC, enabled as x2APIC", 0, func(add func(bool, uint32, uint32, uint8)) {
			add(false, 0, 0, enabled)
			add(false, 1, 1, 0)
			add(true, 1, 1, enabled)
		}, []uint32{1}, 0},
	} {
		body := []byte{0, 0, 0xe0, 0xfe, 1, 0, 0, 0}
		c.cpus(func(x2 bool, uid, id uint32, flags uint8) { body = append(body, cpuEntry(x2, uid, id, flags)...) })
		// Tables above 4 GiB, by an XSDT above 4 GiB.
		m := memory{0x12_0000_1000: seal("XSDT", pointers64(0x12_0000_5000)...), 0x12_0000_5000: seal("APIC", body...)}
		got, err := Parse(m.read, RSDP{XSDT: 0x12_0000_1000})
		if err != nil || got.MADT == nil || len(got.Warnings) > 0 {
			t.Fatal(c.name, err, got)
		}
		ready, later := got.MADT.Others(c.boot)
		var ids []uint32
		for _, r := range ready {
			ids = append(ids, r.APICID)
		}
		if d := cmp.Diff(c.want, ids); d != "" || later != c.later {
			t.Errorf("%s: %d later; %s", c.name, later, d)
		}
	}
}
