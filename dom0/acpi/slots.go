// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import "fmt"

// Slots is how PCI functions come and go while the machine runs: an event, and four
// registers with a bit for each slot, which are, in this order: those into which
// something has come, those that are to be given back, those that are suddenly empty; and
// to give one back.
type Slots struct {
	First, Last int // slots in which functions come and go, 31 at most
	Event       uint8
	Base        uint16
}

const slotsSize = 4 * 4 // ports from Base on

// slotName is the node of a slot.
func slotName(n int) string { return fmt.Sprintf("S%02X", n) }

// registers is the device that has the ports, and the method that looks for what has
// happened. A bit is cleared before it is told of: what comes meanwhile is an event of
// its own. Of a function that has gone away the bridge is told: of what is said of
// the slot itself Linux (drivers/pci/hotplug/acpiphp_glue.c) looks for new functions only.
func (s *Slots) registers() []byte {
	scan := cat(
		store(nameString("INSR"), local(0)), store(local(0), nameString("INSR")),
		store(nameString("REMV"), local(1)), store(local(1), nameString("REMV")),
		store(nameString("GONE"), local(2)), store(local(2), nameString("GONE")))
	for n := s.First; n <= s.Last; n++ {
		slot, bit := nameString(`\_SB.PCI0.`+slotName(n)), integer(1<<n)
		scan = cat(scan,
			when(and(local(0), bit), notify(slot, notifyCheck)),
			when(and(local(1), bit), notify(slot, notifyEject)))
	}
	scan = cat(scan, when(local(2), notify(nameString(`\_SB.PCI0`), notifyBus)))
	return device("HPCI",
		name("_HID", eisaID("PNP0C02")),
		name("_UID", integer(2)), // HPLG has 1
		name("_CRS", resources(ioPorts(s.Base, slotsSize))),
		ioRegion("REGS", s.Base, slotsSize),
		dwords("REGS", "INSR", "REMV", "GONE", "EJCT"),
		method("SCAN", 0, true, scan))
}

// slots is the nodes of the slots, which belong into the bridge's. They have no _STA: a
// system looks whether there is a function.
func (s *Slots) slots() (all []byte) {
	if s == nil {
		return nil
	}
	for n := s.First; n <= s.Last; n++ {
		all = append(all, device(slotName(n),
			name("_ADR", integer(uint32(n)<<16)),
			name("_SUN", integer(uint32(n))),
			method("_EJ0", 1, false, store(integer(1<<n), nameString(`\_SB.HPCI.EJCT`))))...)
	}
	return all
}
