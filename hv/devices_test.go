// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"testing"

	"ringo/boot/acpi"
	"ringo/mm"
)

// TestKept: base addresses that lie are not believed.
func TestKept(t *testing.T) {
	ram := []mm.Range[mm.HPA]{{Start: 1 * mm.MiB, Size: 127 * mm.MiB}, {Start: 4 * mm.GiB, Size: mm.GiB}}
	fw := &acpi.Tables{
		ECAM: []acpi.ECAM{{Base: 0xb000_0000, First: 0, Last: 255}},
		MADT: &acpi.MADT{IOAPICs: []acpi.IOAPIC{{Addr: 0xfec0_0000}, {Addr: 0xf0a0_0000}}},
		DMAR: &acpi.DMAR{Units: []acpi.DRHD{{Base: 0xfed9_0000}}},
		IVRS: &acpi.IVRS{Units: []acpi.IVHD{{Base: 0xfeb8_0000}}},
	}
	all := kept(ram, fw, 40)
	for at, want := range map[uint64]bool{
		0: true, 0xa0000: true, 0x10_0000: true, 0x7ff_ffff: true, 0x800_0000: false, 0xafff_ffff: false, 0xb000_0000: true,
		0xbfff_ffff: true, 0xc000_0000: false, 0xf09f_ffff: false, 0xf0a0_0000: true, 0xf0a0_0fff: true, 0xf0a0_1000: false, 0xfeb8_0000: true, 0xfeb8_3fff: true, 0xfeb8_4000: false, 0xfebf_ffff: false,
		0xfec0_0000: true, 0xfed9_1fff: true, 0xfee0_0000: true, 0xfef0_0000: false,
		0x1_0000_0000: true, 0x1_4000_0000: false, 0xff_ffff_f000: false, 0x100_0000_0000: true, 1 << 45: true,
	} {
		got := false
		for _, k := range all {
			got = got || k[0] <= at && at < k[1]
		}
		if got != want {
			t.Errorf("%#x: %v", at, got)
		}
	}
}
