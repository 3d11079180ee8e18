// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

// Config reads a doubleword of a function's configuration space: all ones where it has
// none. The register is a multiple of 4 below 4096.
type Config func(reg uint16) uint32

// Capability is an entry of a function's lists of capabilities.
type Capability struct {
	ID       uint16
	Extended bool // of the list that begins at register 0x100
	Reg      uint16
	Head     uint32 // the doubleword there
}

// Registers of the header, and of the lists.
const (
	regCommand  = 0x04
	regCaps     = 0x34
	regExtended = 0x100

	statusCaps = 1 << 20
)

// Capabilities returns the entries of both lists, in their order. A list that a broken
// device has made a loop of ends where it comes to an entry again.
func Capabilities(c Config) []Capability {
	var all []Capability
	seen := map[uint16]bool{}
	at := uint16(0)
	if v := c(regCommand); v != ^uint32(0) && v&statusCaps != 0 {
		at = uint16(c(regCaps)) & 0xfc
	}
	for at >= 0x40 && !seen[at] {
		head := c(at)
		if head == ^uint32(0) {
			break
		}
		all = append(all, Capability{ID: uint16(uint8(head)), Reg: at, Head: head})
		seen[at], at = true, uint16(head>>8)&0xfc
	}
	for at = regExtended; at >= regExtended && !seen[at]; {
		head := c(at)
		if head == 0 || head == ^uint32(0) {
			break
		}
		all = append(all, Capability{ID: uint16(head), Extended: true, Reg: at, Head: head})
		seen[at], at = true, uint16(head>>20)&0xffc
	}
	return all
}

// Identifiers of capabilities that are looked into (PCI Code and ID Assignment
// Specification 1.11, "Capability IDs").
const (
	CapMSI     = 0x05
	CapVendor  = 0x09
	CapExpress = 0x10
	CapMSIX    = 0x11
)

// names of capabilities, and of extended ones.
var (
	names = map[uint16]string{
		0x01: "power management", 0x02: "AGP", 0x03: "vital product data", 0x04: "slot", CapMSI: "MSI", 0x06: "hot swap",
		0x07: "PCI-X", 0x08: "HyperTransport", CapVendor: "vendor-specific", 0x0a: "debug port", 0x0c: "hot plug",
		0x0d: "bridge subsystem", 0x0f: "secure device", CapExpress: "PCI Express", CapMSIX: "MSI-X", 0x12: "SATA",
		0x13: "advanced features", 0x14: "enhanced allocation",
	}
	extended = map[uint16]string{
		0x01: "advanced error reporting", 0x02: "virtual channel", 0x03: "serial number", 0x04: "power budgeting",
		0x0b: "vendor-specific (extended)", 0x0d: "access control services", 0x0e: "alternative routing-ID",
		0x0f: "address translation services", 0x10: "SR-IOV", 0x13: "page requests", 0x15: "resizable BAR",
		0x17: "TPH requester", 0x18: "latency tolerance", 0x19: "secondary Express", 0x1b: "PASID",
		0x1d: "downstream port containment", 0x1e: "L1 substates", 0x1f: "precision time", 0x23: "designated vendor-specific",
		0x25: "data link features", 0x26: "16 GT/s", 0x27: "lane margining", 0x2a: "32 GT/s",
	}
)

// Name is what the capability is called, "" if that is not known.
func (c Capability) Name() string {
	if c.Extended {
		return extended[c.ID]
	}
	return names[c.ID]
}

// Messages is how many interrupt messages an MSI or MSI-X capability offers, 0 of others
// ("Message Control for MSI", "Message Control for MSI-X").
func (c Capability) Messages() int {
	control := c.Head >> 16
	switch {
	case c.Extended:
	case c.ID == CapMSI:
		return 1 << (control >> 1 & 7)
	case c.ID == CapMSIX:
		return int(control&0x7ff) + 1
	}
	return 0
}
