// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import "fmt"

// Events is a block of general-purpose events: status and enable registers, half of Size
// each, by which what comes and goes is told of.
type Events struct {
	Base uint16
	Size uint8 // 0: there are none
}

// Hotplug is how processors come and go while the machine runs: an event, and five
// registers with a bit for each processor, which are, in this order: those that are
// present, those that have come, those to be given back; to give one back; and to report
// on one.
type Hotplug struct {
	Present uint32 // when the machine starts
	Event   uint8
	Base    uint16
}

const (
	hotplugSize = 5 * 4 // ports from Base on
	maxHotplug  = 32    // bits of a register
)

// Values of Notify (ACPI 6.5, "Device Object Notification Types").
const (
	notifyBus   = 0
	notifyCheck = 1
	notifyEject = 3
)

// there is the value of _STA for a device that is present, enabled, shown and working
// (ACPI 6.5, "_STA (Device Status)").
const there = 0xf

// cpuName is the node of a processor.
func cpuName(n int) string { return fmt.Sprintf("C%03X", n) }

// registers is the device that has the ports, as a resource that nobody else is to use, and the
// method that looks for what has happened. A bit is cleared before it is told of: what
// comes meanwhile is an event of its own.
func (h *Hotplug) registers(cpus int) []byte {
	scan := cat(
		store(nameString("INSR"), local(0)), store(local(0), nameString("INSR")),
		store(nameString("REMV"), local(1)), store(local(1), nameString("REMV")))
	for n := 1; n < cpus; n++ {
		cpu := nameString(`\_SB.` + cpuName(n))
		scan = cat(scan,
			when(and(local(0), integer(1<<n)), notify(cpu, notifyCheck)),
			when(and(local(1), integer(1<<n)), notify(cpu, notifyEject)))
	}
	return device("HPLG",
		name("_HID", eisaID("PNP0C02")),
		name("_UID", integer(1)), // MRES has none
		name("_CRS", resources(ioPorts(h.Base, hotplugSize))),
		ioRegion("REGS", h.Base, hotplugSize),
		dwords("REGS", "PRES", "INSR", "REMV", "EJCT", "OSTS"),
		method("SCAN", 0, true, scan))
}

// processor is a processor's node (ACPI 6.5, "Processor Device"). _MAT says that it is
// enabled, whatever the MADT says, since it is for when it is present.
func (h *Hotplug) processor(n int, apicID uint32) []byte {
	terms := cat(
		name("_HID", text("ACPI0007")),
		name("_UID", integer(uint32(n))),
		name("_MAT", buffer([]byte{madtLAPIC, 8, byte(n), byte(apicID), madtEnabled, 0, 0, 0})),
		method("_STA", 0, false, cat(
			when(and(nameString(`\_SB.HPLG.PRES`), integer(1<<n)), giveBack(integer(there))),
			giveBack(integer(0)))))
	if n != 0 {
		report := or(or(integer(uint32(n)), shiftLeft(and(arg(0), integer(0xff)), integer(8))), shiftLeft(and(arg(1), integer(0xff)), integer(16)))
		terms = cat(terms,
			method("_EJ0", 1, false, store(integer(1<<n), nameString(`\_SB.HPLG.EJCT`))),
			method("_OST", 3, false, store(report, nameString(`\_SB.HPLG.OSTS`))))
	}
	return device(cpuName(n), terms)
}

// handler is the method for an event, of which the terms are does. The event is
// edge-triggered: its status is cleared before the method runs.
func handler(event uint8, does []byte) []byte {
	return method(fmt.Sprintf("_E%02X", event), 0, false, does)
}
