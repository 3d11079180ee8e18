// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"ringo/boot/acpi"
	"ringo/boot/kernel"
	"ringo/hv/abi"
	"ringo/hv/internal/amdvi"
	"ringo/hv/internal/iommu"
	"ringo/hv/internal/pci"
	"ringo/hv/internal/vtd"
	"ringo/mm"
)

// dmarWindow and ivrsWindow are how many bytes of registers a unit has, at least: with
// those that other registers point to.
const (
	dmarWindow = 2 * mm.PageSize
	ivrsWindow = 16 << 10
)

// openDMAR opens the units of a DMAR. They interrupt with a vector on the boot CPU.
func openDMAR(h *iommu.Host, d *acpi.DMAR, devices *pci.Table, vector uint8) (iommu.Hardware, error) {
	conf := vtd.Config{
		Remap: d.Interrupts, X2APIC: x2APIC() && !d.NoX2APIC,
		FaultAddress: 0xfee00000 | kernel.APICID(0)<<12, FaultData: uint32(vector),
	}
	for _, u := range d.Units {
		regs, err := unitAt(u.Base, dmarWindow)
		if err != nil {
			return nil, err
		}
		conf.Units = append(conf.Units, vtd.Unit{Segment: u.Segment, Base: u.Base, Regs: regs})
		for _, s := range u.Scopes {
			if s.Kind != acpi.ScopeIOAPIC {
				continue
			}
			// Its function need not be one that configuration space shows.
			if a, ok := devices.Path(u.Segment, s.Bus, s.Path); ok {
				conf.Chips = append(conf.Chips, vtd.Source{Chip: s.ID, ID: uint16(a)})
			}
		}
	}
	return vtd.Open(h, conf)
}

// openIVRS opens the units of an IVRS.
func openIVRS(h *iommu.Host, r *acpi.IVRS, devices *pci.Table) (iommu.Hardware, error) {
	var conf amdvi.Config
	for _, u := range r.Units {
		regs, err := unitAt(u.Base, ivrsWindow)
		if err != nil {
			return nil, err
		}
		own := abi.PCIAddr(u.Segment)<<16 | abi.PCIAddr(u.ID)
		conf.Units = append(conf.Units, amdvi.Unit{
			Segment: u.Segment, Base: u.Base, Flags: u.Flags, Regs: regs,
			Aborted: func() bool { return devices.Aborted(own) },
		})
		for _, s := range u.Special {
			if s.Kind == acpi.IVIOAPIC {
				conf.Chips = append(conf.Chips, amdvi.Source{Chip: s.Handle, From: abi.PCIAddr(u.Segment)<<16 | abi.PCIAddr(s.Source)})
			}
		}
	}
	return amdvi.Open(h, conf)
}
