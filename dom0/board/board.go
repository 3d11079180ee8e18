// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package board describes the machine that a guest sees, in one place: its memory
// map and its devices with their resources. What must agree is made from the
// description: the RAM that the hypervisor is asked for, the map that the guest's
// kernel is given, the ranges that are claimed, the device models and the ACPI
// tables.
//
// Threats: none of the input is a guest's.
package board

import (
	"fmt"
	"slices"

	"ringo/dom0/acpi"
	"ringo/dom0/devmodel/debug"
	"ringo/dom0/devmodel/hotplug"
	"ringo/dom0/devmodel/i8042"
	"ringo/dom0/devmodel/pcihost"
	"ringo/dom0/devmodel/rtc"
	"ringo/dom0/devmodel/serial"
	"ringo/hv/abi"
)

// Config says what machine is wanted.
type Config struct {
	CPUs int
	// Present says that CPUs come and go, and which of them are there at the start, a
	// bit for each; 0: all are, and stay.
	Present  uint32
	Topology abi.Topology
	Memory   uint64 // bytes of RAM
	// Base is where the RAM beyond the first 2 MiB lies, a multiple of BaseAlign; 0:
	// there. Some kernels are linked to higher addresses than they need memory.
	Base uint64
	RNG  bool // an entropy device
	// Console says that there is a virtio console device.
	Console bool
	// NICs are the slots of network cards, from FirstNIC on.
	NICs []int
	// Disks are their slots, from FirstDisk on.
	Disks []int
	// DebugExit says that there is a port to end the machine with a code.
	DebugExit bool
}

// Kind is a kind of device.
type Kind uint8

// The kinds of devices that dom0 has models of.
const (
	Serial Kind = iota
	Serial2
	Clock
	Keyboard // the controller
	Debug    // the ports of a log
	DebugExit
	PCIHost // ConfigPorts, the apertures for I/O and memory, and its own function
	RNG     // in a slot of the PCIHost
	Hotplug // its events, and its registers of PCI functions and of CPUs
	NIC     // in a slot of the PCIHost, from FirstNIC on
	Disk    // in a slot of the PCIHost, from FirstDisk on
	Console // in a slot of the PCIHost, or beside the RNG
)

// FirstNIC and FirstDisk are the slots of the first network card and of the first disk:
// what an installed system calls them, by their slots, does not change with how many
// others there are. From FirstNIC on functions come and go while the machine runs.
const (
	FirstNIC  = 2
	FirstDisk = 8
	Slots     = pcihost.BusSize / pcihost.SlotSize
	// Places are the slots, and functions of slot 1 besides the first (pcihost.Places).
	Places = pcihost.Places
)

// Span is a range that a device answers: ports, or guest physical addresses.
type Span struct {
	Space       abi.Space
	Start, Size uint64
	Cell        uint64 // if not 0, the ports have the cells from Cell-1 on
}

// Device is a device model and what it takes of the machine.
type Device struct {
	Kind  Kind
	Spans []Span
	Slot  int // of a PCI function, or another place (pcihost.Places)
}

// Machine is the description of a machine. It does not change.
type Machine struct {
	CPUs     int
	Present  uint32 // as Config has it
	Topology abi.Topology
	Memory   []Range // ascending, disjoint
	Devices  []Device
	tables   []byte
}

// New describes a machine. Errors are one line, for the user.
func New(c Config) (*Machine, error) {
	m := &Machine{CPUs: c.CPUs, Present: c.Present, Topology: c.Topology}
	var err error
	if slices.ContainsFunc(c.NICs, func(slot int) bool { return slot < FirstNIC || slot >= FirstDisk }) {
		return nil, fmt.Errorf("network cards in slots %v: they are from %d on, below %d", c.NICs, FirstNIC, FirstDisk)
	}
	if m.Memory, err = layout(c.Memory, c.Base); err != nil {
		return nil, err
	}
	m.Devices = []Device{
		{Kind: Serial, Spans: []Span{{abi.SpacePort, serial.Base, serial.Size, 1}}},
		{Kind: Serial2, Spans: []Span{{abi.SpacePort, serial.Base2, serial.Size, 0}}},
		{Kind: Debug, Spans: []Span{{abi.SpacePort, debug.Bochs, 1, 0}, {abi.SpacePort, debug.QEMU, 1, 0}}},
		{Kind: Clock, Spans: []Span{{abi.SpacePort, rtc.Base, rtc.Size, 0}}},
		{Kind: Keyboard, Spans: []Span{{abi.SpacePort, i8042.Base, 1, 0}, {abi.SpacePort, i8042.Command, 1, 0}}},
		// All configuration space is claimed: what is plugged in later has its own.
		{Kind: PCIHost, Spans: []Span{
			{abi.SpacePort, pcihost.ConfigPort, pcihost.ConfigSize, 0},
			{abi.SpacePort, pcihost.IOBase, pcihost.IOSize, 0},
			{abi.SpaceMemory, pcihost.MemBase, pcihost.MemSize, 0},
			{abi.SpaceConfig, 0, pcihost.BusSize, 0},
			{abi.SpaceMemory, pcihost.ECAM, pcihost.BusSize, 0},
		}},
		{Kind: Hotplug, Spans: []Span{
			{abi.SpacePort, hotplug.EventBase, hotplug.EventSize, 0},
			{abi.SpacePort, hotplug.SlotBase, hotplug.SlotSize, 0},
		}},
	}
	if c.Present != 0 {
		h := &m.Devices[len(m.Devices)-1]
		h.Spans = append(h.Spans, Span{abi.SpacePort, hotplug.Base, hotplug.Size, 0})
	}
	if c.DebugExit {
		m.Devices = append(m.Devices, Device{Kind: DebugExit, Spans: []Span{{abi.SpacePort, debug.ExitPort, debug.ExitSize, 0}}})
	}
	if c.RNG {
		m.Devices = append(m.Devices, Device{Kind: RNG, Slot: 1})
	}
	switch {
	case c.Console && c.RNG:
		m.Devices = append(m.Devices, Device{Kind: Console, Slot: pcihost.Further})
	case c.Console: // nobody looks for a second function where there is no first one
		m.Devices = append(m.Devices, Device{Kind: Console, Slot: 1})
	}
	for _, slot := range c.NICs {
		m.Devices = append(m.Devices, Device{Kind: NIC, Slot: slot})
	}
	for _, slot := range c.Disks {
		m.Devices = append(m.Devices, Device{Kind: Disk, Slot: slot})
	}
	return m, m.describe()
}

// pci is in the tables of all machines.
var pci = acpi.PCI{
	ConfigPort: pcihost.ConfigPort, ECAM: pcihost.ECAM, Buses: pcihost.Buses,
	FirstIO: pcihost.IOBase, LastIO: pcihost.IOBase + (pcihost.IOSize - 1),
	FirstMem: pcihost.MemBase, LastMem: pcihost.MemBase + (pcihost.MemSize - 1),
	GSI:  pcihost.GSI,
	Plug: &acpi.Slots{First: FirstNIC, Last: Slots - 1, Base: hotplug.SlotBase, Event: hotplug.SlotEvent},
}

// describe makes the ACPI tables.
func (m *Machine) describe() (err error) {
	var plug *acpi.Hotplug
	if m.Present != 0 {
		plug = &acpi.Hotplug{Present: m.Present, Base: hotplug.Base, Event: hotplug.Event}
	}
	m.tables, err = acpi.Build(acpi.Config{
		Hotplug: plug, Events: acpi.Events{Base: hotplug.EventBase, Size: hotplug.EventSize},
		Generation: &acpi.Generation{Address: GenerationAt, Event: hotplug.GenerationEvent},
		CPUs:       m.CPUs, Topology: m.Topology, Base: ACPIBase,
		Devices: []acpi.Device{
			{Name: "COM1", HID: "PNP0501", UID: 1, Ports: []acpi.Ports{{Base: serial.Base, Size: serial.Size}}, IRQs: []uint8{serial.GSI}},
			{Name: "COM2", HID: "PNP0501", UID: 2, Ports: []acpi.Ports{{Base: serial.Base2, Size: serial.Size}}, IRQs: []uint8{serial.GSI2}},
			{Name: "RTC", HID: "PNP0B00", Ports: []acpi.Ports{{Base: rtc.Base, Size: rtc.Size}}, IRQs: []uint8{rtc.GSI}},
		},
		PCI: &pci,
	})
	if err == nil && len(m.tables) > acpiSize {
		err = fmt.Errorf("ACPI tables for %d vCPUs need %d bytes, there is room for %d: use fewer vCPUs", m.CPUs, len(m.tables), acpiSize)
	}
	return err
}

// Tables returns the ACPI tables, which belong at ACPIBase.
func (m *Machine) Tables() []byte { return m.tables }

// Claims returns the ranges whose accesses dom0 answers.
func (m *Machine) Claims() []Span {
	var all []Span
	for i := range m.Devices {
		all = append(all, m.Devices[i].Spans...)
	}
	return all
}
