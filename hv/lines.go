// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"github.com/usbarmory/tamago/soc/intel/ioapic"

	"ringo/boot/acpi"
	"ringo/boot/cmdline"
	"ringo/boot/kernel"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/pci"
)

// chip is an I/O APIC with the interrupts that it has.
type chip struct {
	acpi.IOAPIC
	pins uint32
}

// connectLines lets functions interrupt by their lines.
//
// Preconditions: nobody else uses the I/O APICs meanwhile.
func connectLines(h *pci.Host, fw *acpi.Tables, g *iommu.Guard, opts cmdline.Options) {
	h.Lines, h.MaskPin, h.UnmaskPin, h.DropPin = opts.Lines, kernel.MaskPin, kernel.UnmaskPin, kernel.DropPin
	h.ISA = func(irq uint8) uint32 { return uint32(irq) }
	var chips []chip
	console, hasConsole := uint32(0), false
	if fw.MADT != nil {
		h.ISA = func(irq uint8) uint32 {
			gsi, _ := fw.MADT.GSI(irq)
			return gsi
		}
		for i, a := range fw.MADT.IOAPICs {
			x := ioapic.IOAPIC{Index: i, Base: uint32(a.Addr), GSIBase: int(a.GSIBase)}
			chips = append(chips, chip{a, uint32(x.Entries())})
		}
		if s, irq := serialPort(opts, fw); s.Port != 0 && irq != 0 {
			console, hasConsole = h.ISA(irq), true
		}
	}
	h.Pin = func(gsi uint32, edge bool, vector uint8, apic uint32) bool {
		if hasConsole && gsi == console {
			return false
		}
		for _, c := range chips {
			if gsi >= c.GSIBase && gsi-c.GSIBase < c.pins {
				return setLine(c, fw.MADT, g, gsi, edge, vector, apic)
			}
		}
		return false
	}
}

// Of the low half of an entry (82093AA, "IOREDTBL").
const activeLow = 1 << 13

// setLine has a pin raise a vector. Lines of PCI, which are level-triggered, are active
// low, unless firmware says otherwise of an ISA interrupt that has become one; edges, of
// ISA, are active high.
func setLine(c chip, m *acpi.MADT, g *iommu.Guard, gsi uint32, edge bool, vector uint8, apic uint32) bool {
	low, high, ok := uint32(vector), apic<<24, apic < 255
	if !edge {
		low |= iommu.PinLevel
	}
	if g != nil && g.Remaps() {
		low, high, ok = g.Pin(c.ID, vector, apic, !edge)
	}
	if !ok {
		return false
	}
	if p := m.Polarity(gsi); p == acpi.ActiveLow || p != acpi.ActiveHigh && !edge {
		low |= activeLow
	}
	kernel.SetPin(vector, c.Addr, uint8(gsi-c.GSIBase), low, high)
	return true
}
