// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"strconv"

	"ringo/mm"
)

// ECAM is a window to the configuration space of the PCI buses First to Last
// (PCI Firmware Specification 3.3, "MCFG Table Description").
type ECAM struct {
	// Base belongs to bus 0, even when First is another.
	Base        mm.HPA
	Segment     uint16
	First, Last uint8
}

// Config returns the physical address of the 4 KiB of one function.
// Preconditions: First <= bus <= Last, device < 32, function < 8.
func (e *ECAM) Config(bus, device, function uint8) mm.HPA {
	return e.Base + mm.HPA(bus)<<20 + mm.HPA(device)<<15 + mm.HPA(function)<<12
}

func (t *Tables) parseMCFG(b []byte) []ECAM {
	const entry = 16
	if len(b) < header+8 {
		t.warn("ACPI table MCFG: too short")
		return nil
	}
	var all []ECAM
	for b = b[header+8:]; len(b) >= entry; b = b[entry:] {
		e := ECAM{mm.HPA(le.Uint64(b)), le.Uint16(b[8:]), b[10], b[11]}
		if e.Base == 0 || e.First > e.Last {
			t.warn("ACPI table MCFG: segment " + strconv.Itoa(int(e.Segment)) + " has no valid window, ignored")
			continue
		}
		all = append(all, e)
	}
	return all
}

// HPET is the event timer block (IA-PC HPET Specification 1.0a, "The ACPI 2.0
// HPET Description Table").
type HPET struct {
	ID   uint32 // event timer block ID: the hardware's capabilities, low half
	Base Register
	// MinTick is the shortest period without lost interrupts, in ticks.
	MinTick uint16
}

func (t *Tables) parseHPET(b []byte) *HPET {
	if len(b) < 56 {
		t.warn("ACPI table HPET: too short")
		return nil
	}
	return &HPET{ID: le.Uint32(b[36:]), Base: register(b[40:]), MinTick: le.Uint16(b[53:])}
}
