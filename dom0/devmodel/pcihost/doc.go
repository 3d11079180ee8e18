// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pcihost is a PCI host bridge with one bus: the functions behind it with
// their configuration spaces, base address registers, INTx lines and MSI-X
// capability. The ports of configuration mechanism #1 are the hypervisor's; of them
// the reset control register, a byte at 0xcf9, is here (Intel 82801IB (ICH9) data
// sheet, "RST_CNT").
//
// The hypervisor knows fixed apertures only. Which function has which part of
// them is decided here, and changes whenever the guest writes a base address
// register or the command register. Functions hear of it, since a doorbell moves
// with its register.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	writes any register                   only bits that a mask lets through
//	                                      change; identities cannot
//	puts a base address anywhere          outside of the apertures, and where
//	                                      another function was first, it is not
//	                                      decoded: nobody sees half of an access
//	moves base addresses in a loop        the table of at most 32*6 ranges is made
//	                                      anew each time; the old one is garbage
//	writes any message address            the hypervisor delivers to this guest's
//	                                      local APICs, or refuses
//	masks and unmasks vectors             one pending bit each; one message each
//	shares an INTx line among functions   the line is high while any of them is
package pcihost

import "ringo/hv/bus"

// Where the host has its parts. Ports and addresses of the apertures are for
// base address registers; the guest is told by ACPI.
const (
	ConfigPort = 0xcf8 // eight ports: address, data
	ConfigSize = 8

	FunctionSize = 4 << 10 // of a function's configuration space
	SlotSize     = 8 * FunctionSize
	BusSize      = slots * SlotSize

	ECAM     = 0xb000_0000 // configuration space as memory: where a q35 has it
	ECAMSize = 256 << 20   // room for 256 buses
	// Buses is how many there are. Of each that tables name beyond, Linux reads 32
	// functions, two exits each, for bridges of which nobody has told.
	Buses = 1

	// Places is how many functions there may be: one in each slot, and behind those, from
	// Further on, functions 1 to 7 of slot 1.
	Places      = slots + perSlot - 1
	Further     = slots
	furtherSlot = 1

	IOBase  = 0xc000
	IOSize  = 0x4000
	MemBase = 0xc000_0000
	MemSize = 0xfec0_0000 - MemBase

	// FirstGSI is the interrupt line of pin INTA of slot 0; the pins of the slots
	// take turns on Lines of them.
	FirstGSI = 16
	Lines    = 8
)

// GSI is the interrupt line of a pin (0 is INTA) of a slot.
func GSI(slot, pin int) uint32 { return FirstGSI + uint32(slot+pin)%Lines }

// Platform is what is around the host.
type Platform interface {
	// Line returns an interrupt line by its number.
	Line(gsi uint32) bus.Line
	// Message delivers the interrupt message that a write of data to addr is.
	Message(addr uint64, data uint32)
	// Reset restarts the guest.
	Reset()
}

// ones is what an absent function reads.
const ones = ^uint64(0)
