// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// Which pin of which I/O APIC a function's interrupt line leads to is known to firmware's
// ACPI code only, which is not run here. Of some chipsets it is known what they do.
const (
	ich9  = 0x2918_8086 // Intel ICH9, its LPC bridge: QEMU's q35
	piix3 = 0x7000_8086 // Intel 82371SB, its ISA bridge: QEMU's pc, Bochs

	ich9Registers = 0xf0   // RCBA ("Root Complex Base Address")
	ich9Routes    = 0x3140 // there, D31IR, D30IR and so on ("Interrupt Route")
	ich9Words     = 5      // down to D25IR; D30 to D28 have two a doubleword
	ich9Bits      = 1 << 14

	qemu = 0x1af4 // as subsystem vendor

	piixRoutes = 0x60 // PIRQRCA to PIRQRCD ("PIRQ Route Control"), a byte each
	piixNone   = 1 << 7
	pciGSI     = 16 // the first pin that is no ISA interrupt's
)

// route returns the global system interrupt of a function's line. The command line's
// word comes first.
func (t *Table) route(i int) (gsi uint32, ok bool) {
	f := &t.Functions[i]
	if gsi, ok = t.host.Lines[uint32(f.Addr)]; ok {
		return gsi, true
	}
	device, pin, ok := t.pin(f.Addr)
	if !ok {
		return 0, false
	}
	for n := range t.Functions {
		b := &t.Functions[n]
		if b.Addr.Segment() != 0 || b.Addr.Bus() != 0 {
			break
		}
		switch id := uint32(b.Device)<<16 | uint32(b.Vendor); {
		case id == ich9 && b.Subvendor == qemu: // on others boards' wiring differs
			return t.routeICH9(b.Addr, device, pin)
		case id == piix3:
			return t.routePIIX3(b.Addr, device, pin)
		}
	}
	return 0, false
}

// pin returns which pin (0 to 3) of which device of bus 0 a function's line is: a bridge
// hands on its devices' pins, turned by their numbers (PCI-to-PCI Bridge Architecture
// Specification, "Interrupt Routing").
func (t *Table) pin(a abi.PCIAddr) (device, pin uint8, ok bool) {
	pin = uint8(t.space.Load(a, regLine)>>8) - 1
	if pin > 3 || a.Segment() != 0 {
		return 0, 0, false
	}
	for range 256 {
		if a.Bus() == 0 {
			return a.Device(), pin, true
		}
		b := t.above(a)
		if b == nil {
			return 0, 0, false
		}
		pin = (a.Device() + pin) & 3
		a = b.Addr
	}
	return 0, 0, false
}

// above returns the bridge to a function's bus, or nil.
func (t *Table) above(a abi.PCIAddr) *abi.PCIFunction {
	for i := range t.Functions {
		f := &t.Functions[i]
		if f.Header == 1 && f.Addr.Segment() == a.Segment() && f.Secondary == a.Bus() && f.Addr.Bus() != a.Bus() {
			return f
		}
	}
	return nil
}

// routeICH9 is that of QEMU's q35: the devices that the chip has, from 25 on, as its
// registers say, the others in turn.
func (t *Table) routeICH9(bridge abi.PCIAddr, device, pin uint8) (gsi uint32, ok bool) {
	if device < 25 {
		return pciGSI + 4 + uint32(device+pin)&3, true
	}
	base := t.space.Load(bridge, ich9Registers)
	if base&1 == 0 {
		return 0, false
	}
	words, ok := t.host.Registers(uint64(base&^(ich9Bits-1))+ich9Routes, 4*ich9Words)
	if !ok {
		return 0, false
	}
	// D31IR at 0, D30IR at 2, D29IR at 4, D28IR at 6, D27IR at 8, D26IR at 12, D25IR at 16.
	at := [...]uint{25: 16, 26: 12, 27: 8, 28: 6, 29: 4, 30: 2, 31: 0}[device]
	return pciGSI + words[at/4]>>(at%4*8+4*uint(pin))&7, true
}

// routePIIX3 takes the ISA interrupt where firmware has routed the line to one. In Bochs
// the line has a pin of its own beside, which asserts with it and stays masked; it is
// taken where there is no other.
func (t *Table) routePIIX3(bridge abi.PCIAddr, device, pin uint8) (gsi uint32, ok bool) {
	n := (device - 1 + pin) & 3
	route := t.space.Load(bridge, piixRoutes) >> (8 * n)
	if route&piixNone != 0 {
		return pciGSI + uint32(n), true
	}
	return t.host.ISA(uint8(route & 15)), true
}
