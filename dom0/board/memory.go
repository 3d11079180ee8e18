// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package board

import (
	"fmt"

	"ringo/dom0/devmodel/pcihost"
	"ringo/hv/abi"
)

// The guest's physical address space.
//
//	0          - 0xa0000     RAM; the loader's structures at the beginning
//	0xa0000    - 0xc0000     nothing (VGA)
//	0xc0000    - 0xe0000     reserved, empty: where option ROMs would be. It is
//	                         RAM because systems scan it, and each access to
//	                         nothing is an exit; its last page has the generation
//	                         identifier
//	0xe0000    - 0x100000    RAM of type ACPI: root pointer and tables, and at the
//	                         end the reset vector
//	1 MiB      - low end     RAM; of a kernel that wants to be loaded higher 1 MiB
//	                         here, the rest at Config.Base
//	2816 MiB   - 3 GiB       PCI configuration space (pcihost.ECAM)
//	3 GiB      - 4 GiB       devices: base address registers below the I/O APIC
//	4 GiB      - high end    RAM beyond the first 2816 MiB
const (
	LowEnd   = 0xa0000
	romBase  = 0xc0000
	ACPIBase = 0xe0000
	acpiSize = 0x20000 - VectorSize
	OneMiB   = 1 << 20
	HoleBase = pcihost.ECAM
	HighBase = 4 << 30

	// BaseAlign is what Config.Base is a multiple of: large pages fit.
	BaseAlign = 2 << 20

	// GenerationAt is where the generation identifier is, of GenerationSize bytes: where
	// no option ROM can begin, and systems take no memory from (acpi.Generation).
	GenerationAt   = ACPIBase - 0x100
	GenerationSize = 16
	// lowBased is what of the RAM lies at 0 where there is a Config.Base.
	lowBased = BaseAlign

	// VectorAt is where the code at the reset vector is, VectorSize what it takes.
	VectorAt   = OneMiB - VectorSize
	VectorSize = 0x40
)

// MinMemory and MaxMemory bound a guest's memory, in bytes. All of it lies
// within 40 address bits, which every 64-bit processor with nested paging has.
const (
	MinMemory = 4 << 20
	MaxMemory = 1<<40 - (HighBase - HoleBase)
)

// Range is a range of guest physical addresses.
type Range struct {
	Start, Size uint64
	Type        abi.MemType // as the guest is told
	RAM         bool        // there is memory behind it
	Kind        abi.RAMKind // of that memory
}

// layout returns the memory map of a guest with memory bytes of RAM, rounded down
// to whole pages of 4 KiB. base is Config.Base.
func layout(memory, base uint64) ([]Range, error) {
	if memory < MinMemory || memory > MaxMemory {
		return nil, fmt.Errorf("guest memory of %d MiB is out of range: use %d MiB to %d GiB", memory>>20, MinMemory>>20, MaxMemory>>30)
	}
	memory &^= 0xfff
	low := min(memory, HoleBase)
	if base != 0 {
		if base < lowBased || base >= HoleBase || base%BaseAlign != 0 || memory-lowBased > HoleBase-base {
			return nil, fmt.Errorf("guest memory of %d MiB does not fit between %#x, where the kernel wants it, and 2816 MiB: lower it", memory>>20, base)
		}
		low = lowBased
	}
	m := []Range{
		{Start: 0, Size: LowEnd, Type: abi.MemRAM, RAM: true},
		{Start: romBase, Size: ACPIBase - romBase, Type: abi.MemReserved, RAM: true},
		{Start: ACPIBase, Size: OneMiB - ACPIBase, Type: abi.MemACPI, RAM: true},
		{Start: OneMiB, Size: low - OneMiB, Type: abi.MemRAM, RAM: true},
	}
	if base != 0 {
		m = append(m, Range{Start: base, Size: memory - low, Type: abi.MemRAM, RAM: true})
	}
	m = append(m, Range{Start: pcihost.ECAM, Size: pcihost.ECAMSize, Type: abi.MemReserved})
	if base == 0 && memory > HoleBase {
		m = append(m, Range{Start: HighBase, Size: memory - HoleBase, Type: abi.MemRAM, RAM: true})
	}
	return m, nil
}

// Map returns the memory map that the guest is given, with E820 types.
func (m *Machine) Map() []abi.MemRange {
	var out []abi.MemRange
	for _, r := range m.Memory {
		out = append(out, abi.MemRange{Start: r.Start, Size: r.Size, Type: r.Type})
	}
	return out
}

// RAM returns the ranges that are to be backed by memory, ascending and disjoint,
// with neighbours of one kind joined. The sum of their sizes is less than the
// configured memory by the hole below 1 MiB.
func (m *Machine) RAM() []Range {
	var out []Range
	for _, r := range m.Memory {
		if !r.RAM {
			continue
		}
		r.Type = abi.MemRAM
		if n := len(out); n > 0 && out[n-1].Start+out[n-1].Size == r.Start && out[n-1].Kind == r.Kind {
			out[n-1].Size += r.Size
			continue
		}
		out = append(out, r)
	}
	return out
}
