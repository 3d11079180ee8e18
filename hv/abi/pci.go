// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

// PCIAddr names a PCI function of the machine: segment<<16 | bus<<8 | device<<3 |
// function.
type PCIAddr uint32

// NewPCIAddr makes the name of a function. Preconditions: device < 32, function < 8.
func NewPCIAddr(segment uint16, bus, device, function uint8) PCIAddr {
	return PCIAddr(segment)<<16 | PCIAddr(bus)<<8 | PCIAddr(device)<<3 | PCIAddr(function)
}

// Segment is the PCI segment group, 0 on most machines.
func (a PCIAddr) Segment() uint16 { return uint16(a >> 16) }

// Bus is the bus within the segment.
func (a PCIAddr) Bus() uint8 { return uint8(a >> 8) }

// Device is the device on the bus.
func (a PCIAddr) Device() uint8 { return uint8(a>>3) & 31 }

// Function is the function of the device.
func (a PCIAddr) Function() uint8 { return uint8(a) & 7 }

// PCIFunction is a function of the machine, as it was at boot.
type PCIFunction struct {
	Addr        PCIAddr
	Class       uint32 // base class<<16 | subclass<<8 | programming interface
	Vendor      uint16
	Device      uint16
	Subvendor   uint16 // 0 of bridges
	Subdevice   uint16
	Revision    uint8
	Header      uint8 // layout of the header: 0, or 1 of a bridge to PCI
	Secondary   uint8 // buses behind a bridge to PCI, first
	Subordinate uint8 // and last
	Flags       uint32
	BAR         [6]PCIBAR
}

// Flags of a [PCIFunction].
const (
	// PCIExtended: all 4 KiB of its configuration space can be read, not only the
	// first 256 bytes.
	PCIExtended = 1 << iota
	// PCIStopped: firmware had left it bus mastering, which the hypervisor turned off.
	PCIStopped
	// PCIMaster: it may still be a bus master, as firmware left it.
	PCIMaster
	// PCIAssigned: it is dom0's. The other flags are as at boot.
	PCIAssigned
	// PCIBroken: it did not come back from a reset, and nobody gets it.
	PCIBroken
)

// IRQKind is a way in which a function interrupts.
type IRQKind uint64

// The kinds of interrupts.
const (
	IRQMSIX IRQKind = iota // one of its messages of MSI-X
	IRQMSI                 // its message of MSI
	// Its line (INTx), which others may share: it is quiet from an interrupt to CallIRQDone.
	// Of an IDE controller's channel in compatibility mode, whose number is the message's,
	// the interrupt of the AT's, which is nobody else's.
	IRQLine
)

// PCIBAR is what a base address register decodes. Of a 64-bit one the register behind
// it is empty.
type PCIBAR struct {
	Addr  uint64 // physical address, or I/O port; 0: not assigned
	Size  uint64 // in bytes; 0: there is none, or it was not measured
	Flags uint32
	_     uint32
}

// Flags of a [PCIBAR].
const (
	BARPresent  = 1 << iota
	BARPort     // I/O ports, else memory
	BAR64       // 64-bit memory
	BARPrefetch // reads have no side effects
	BARFixed    // ports of IDE's compatibility mode, which no register names
)
