// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package acpi builds the ACPI tables of guests: RSDP, XSDT, FADT, MADT, HPET,
// MCFG, FACS and a DSDT in AML. The numbers of what hv emulates come from the guest
// platform in hv/abi, those of dom0's devices from the caller, who has made them:
// neither can differ from what is emulated.
//
// Threats: none of the input is a guest's. The guest owns its copy of the
// tables afterwards; nobody reads them back.
package acpi

import (
	"encoding/binary"
	"errors"

	"ringo/hv/abi"
)

// MaxCPUs bounds Config.CPUs.
const MaxCPUs = 1024

// Config says what the tables describe.
type Config struct {
	// CPUs is the number of virtual processors, 1 to MaxCPUs.
	CPUs int
	// Topology gives their APIC IDs.
	Topology abi.Topology
	// Base is the guest physical address of the first byte that Build
	// returns: a multiple of 64, below 4 GiB. The root pointer stands there; between
	// 0xe0000 and 0xfffff operating systems find it by scanning.
	Base uint64
	// Devices are those of the ISA bus, in the order of the table.
	Devices []Device
	// PCI is the host bridge, nil: there is none.
	PCI *PCI
	// Hotplug is of the processors, nil: all are present, and stay.
	Hotplug *Hotplug
	// Generation is the generation identifier, nil: there is none.
	Generation *Generation
	// Events are those of Hotplug, PCI.Plug and Generation.
	Events Events
}

// ErrConfig is returned for a Config out of its documented range.
var ErrConfig = errors.New("acpi: number of processors, topology or base address out of range")

const (
	headerLen = 36
	rsdpLen   = 36
)

// Build returns the tables as they shall lie in guest memory from c.Base on.
func Build(c Config) ([]byte, error) {
	if c.CPUs < 1 || c.CPUs > MaxCPUs || c.Base%64 != 0 || c.Base >= 1<<32-1<<20 {
		return nil, ErrConfig
	}
	topology, ok := c.Topology.For(uint32(c.CPUs))
	if !ok || c.Hotplug != nil && (c.CPUs > maxHotplug || c.Hotplug.Present&1 == 0 || topology.APICID(uint32(c.CPUs)-1) > 254) {
		return nil, ErrConfig
	}
	img := make([]byte, 64) // the root pointer comes last, when all is placed
	place := func(t []byte) uint64 {
		for len(img)%64 != 0 { // FACS must be aligned to 64, the others may
			img = append(img, 0)
		}
		at := c.Base + uint64(len(img))
		img = append(img, t...)
		return at
	}
	facsAt := place(facs())
	dsdtAt := place(dsdt(&c, topology))
	tables := [][]byte{fadt(facsAt, dsdtAt, c.Events), madt(&c, topology), hpet()}
	if c.PCI != nil {
		tables = append(tables, c.PCI.mcfg())
	}
	var list []byte
	for _, t := range tables {
		list = binary.LittleEndian.AppendUint64(list, place(t))
	}
	xsdtAt := place(table("XSDT", 1, list))
	copy(img, rsdp(xsdtAt))
	return img, nil
}

// rsdp returns the root pointer, revision 2, without an RSDT (ACPI 6.5, "Root
// System Description Pointer (RSDP) Structure").
func rsdp(xsdtAt uint64) []byte {
	b := make([]byte, rsdpLen)
	copy(b, "RSD PTR ")
	copy(b[9:], oemID)
	b[15] = 2
	binary.LittleEndian.PutUint32(b[20:], rsdpLen)
	binary.LittleEndian.PutUint64(b[24:], xsdtAt)
	b[8] = -sum(b[:20])
	b[32] = -sum(b)
	return b
}

const (
	oemID      = "RINGO "
	oemTableID = "RINGOHV "
	creatorID  = "RNGO"
)

// table puts a system description table header before body and fixes the
// checksum (ACPI 6.5, "System Description Table Header").
func table(signature string, revision uint8, body []byte) []byte {
	b := make([]byte, headerLen, headerLen+len(body))
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[4:], uint32(headerLen+len(body)))
	b[8] = revision
	copy(b[10:], oemID)
	copy(b[16:], oemTableID)
	binary.LittleEndian.PutUint32(b[24:], 1)
	copy(b[28:], creatorID)
	binary.LittleEndian.PutUint32(b[32:], 1)
	b = append(b, body...)
	b[9] = -sum(b)
	return b
}

// sum adds all bytes modulo 256; over a valid table it is zero.
func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}
