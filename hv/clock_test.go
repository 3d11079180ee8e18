// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/boot/acpi"
	"ringo/boot/kernel"
)

// What firmware says of clocks that are not there, or out of reach, is not believed.
func TestReferences(t *testing.T) {
	pm := acpi.Register{Space: acpi.SpaceIO, Addr: 0x608}
	memory := acpi.Register{Space: acpi.SpaceMemory, Addr: 0xfed0_0000}
	for _, c := range []struct {
		name string
		fw   acpi.Tables
		want []reference
	}{
		{"nothing", acpi.Tables{}, nil},
		{"no PM timer", acpi.Tables{FADT: &acpi.FADT{}}, nil},
		{"one in memory", acpi.Tables{FADT: &acpi.FADT{PMTimer: memory}}, nil},
		{"24 bits", acpi.Tables{FADT: &acpi.FADT{PMTimer: pm}}, []reference{{"PM timer", kernel.Reference{Port: 0x608, Bits: 24, Hz: 3_579_545}}}},
		{"32 bits", acpi.Tables{FADT: &acpi.FADT{PMTimer: pm, PMTimer32: true}}, []reference{{"PM timer", kernel.Reference{Port: 0x608, Bits: 32, Hz: 3_579_545}}}},
		{"HPET by ports", acpi.Tables{HPET: &acpi.HPET{Base: pm}}, nil},
		{"HPET out of reach", acpi.Tables{HPET: &acpi.HPET{Base: acpi.Register{Space: acpi.SpaceMemory, Addr: 1 << 51}}}, nil},
		{"HPET at zero", acpi.Tables{HPET: &acpi.HPET{Base: acpi.Register{Space: acpi.SpaceMemory}}}, nil},
		{"HPET at an odd address", acpi.Tables{HPET: &acpi.HPET{Base: acpi.Register{Space: acpi.SpaceMemory, Addr: 0xfed0_0004}}}, nil},
	} {
		if d := cmp.Diff(c.want, references(&c.fw), cmp.AllowUnexported(reference{})); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
