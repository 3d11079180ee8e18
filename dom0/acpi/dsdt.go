// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package acpi

import (
	"sync"

	"ringo/hv/abi"
)

// Device is a device of the ISA bus that systems do not find otherwise.
type Device struct {
	Name  string // of its node, four characters at most
	HID   string // identifier of seven characters
	UID   uint32 // tells devices of one HID apart, unless 0
	Ports []Ports
	IRQs  []uint8 // edge-triggered
}

// Ports is Size ports from Base.
type Ports struct {
	Base uint16
	Size uint8
}

// PCI is a host bridge with one bus. Ranges are inclusive. Once it was built into tables it
// does not change.
type PCI struct {
	ConfigPort        uint16 // of 8
	ECAM              uint32 // base of the memory-mapped configuration space
	Buses             uint16 // that it has room for, 256 at most
	FirstIO, LastIO   uint16
	FirstMem, LastMem uint32
	// GSI is the interrupt line of a pin of a slot.
	GSI func(slot, pin int) uint32
	// Plug is how functions come and go, nil: they stay.
	Plug *Slots

	once sync.Once
	code []byte
}

// nodes is the bus in the definition block. It is encoded once: most of the block is this,
// and all machines have the same.
func (p *PCI) nodes() []byte {
	p.once.Do(func() {
		p.code = cat(p.root(), p.reserved())
		if p.Plug != nil {
			p.code = append(p.code, p.Plug.registers()...)
		}
	})
	return p.code
}

const (
	pciSlots = 32
	pciPins  = 4
)

// dsdt returns the definition block: the sleep type of soft off, the devices of the
// guest platform that cannot be found otherwise, and processors that come and go. topology
// is full.
func dsdt(c *Config, topology abi.Topology) []byte {
	// \_S5: SLP_TYP of PM1a and PM1b control, and two reserved elements.
	s5 := name(`\_S5`, pack(integer(abi.SleepTypeS5), integer(abi.SleepTypeS5), integer(0), integer(0)))
	var nodes [][]byte
	for i := range c.Devices {
		nodes = append(nodes, isaDevice(&c.Devices[i]))
	}
	var handlers [][]byte
	if c.PCI != nil {
		nodes = append(nodes, c.PCI.nodes())
		if p := c.PCI.Plug; p != nil {
			handlers = append(handlers, handler(p.Event, nameString(`\_SB.HPCI.SCAN`)))
		}
	}
	if h := c.Hotplug; h != nil {
		nodes = append(nodes, h.registers(c.CPUs))
		for n := range c.CPUs {
			nodes = append(nodes, h.processor(n, topology.APICID(uint32(n))))
		}
		handlers = append(handlers, handler(h.Event, nameString(`\_SB.HPLG.SCAN`)))
	}
	if g := c.Generation; g != nil {
		nodes = append(nodes, g.node())
		handlers = append(handlers, handler(g.Event, notify(nameString(generationPath), notifyStatus)))
	}
	all := cat(s5, scope(`\_SB`, nodes...))
	if len(handlers) > 0 {
		all = append(all, scope(`\_GPE`, handlers...)...)
	}
	return table("DSDT", 2, all)
}

func isaDevice(d *Device) []byte {
	var crs [][]byte
	for _, p := range d.Ports {
		crs = append(crs, ioPorts(p.Base, p.Size))
	}
	for _, n := range d.IRQs {
		crs = append(crs, irqEdge(n))
	}
	id := name("_HID", eisaID(d.HID))
	if d.UID != 0 {
		id = append(id, name("_UID", integer(d.UID))...)
	}
	return device(d.Name, id, name("_CRS", resources(crs...)))
}

// root is the host bridge (PCI Firmware Specification 3.0, "Host Bridge").
func (p *PCI) root() []byte {
	var routes [][]byte
	for slot := 1; slot < pciSlots; slot++ { // the bridge in slot 0 has no pin
		for pin := range pciPins {
			routes = append(routes, pack(integer(uint32(slot)<<16|0xffff), integer(uint32(pin)), integer(0), integer(p.GSI(slot, pin))))
		}
	}
	return device("PCI0",
		name("_HID", eisaID("PNP0A08")), // PCI Express root bridge
		name("_CID", eisaID("PNP0A03")), // PCI root bridge
		name("_UID", integer(0)),
		name("_BBN", integer(0)),
		name("_CRS", resources(
			wordRange(rangeBus, 0, 0, p.Buses-1),
			ioPorts(p.ConfigPort, 8),
			wordRange(rangeIO, rangeEntire, p.FirstIO, p.LastIO),
			dwordMemory(p.FirstMem, p.LastMem))),
		name("_PRT", pack(routes...)),
		p.Plug.slots())
}

// reserved is the configuration space in memory, which systems use only when it
// is named as a resource (PCI Firmware Specification 3.0, "MCFG Table
// Description").
func (p *PCI) reserved() []byte {
	return device("MRES",
		name("_HID", eisaID("PNP0C02")),
		name("_CRS", resources(memory32(p.ECAM, uint32(p.Buses)<<20))))
}

// mcfg returns the table of memory-mapped configuration spaces.
func (p *PCI) mcfg() []byte {
	b := make([]byte, 8+16)
	put32(b[8:], p.ECAM)
	b[19] = byte(p.Buses - 1) // last bus; segment and first bus are 0
	return table("MCFG", 1, b)
}
