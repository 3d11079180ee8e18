// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"fmt"

	"ringo/hv/abi"
)

// The guest's physical address space.
//
//	0          - 0xa0000     RAM; boot structures below 0x20000
//	0xa0000    - 0xc0000     nothing (VGA)
//	0xc0000    - 0xe0000     reserved, empty: where option ROMs would be. It is
//	                         RAM because systems scan it, and each access to
//	                         nothing is an exit
//	0xe0000    - 0x100000    RAM of type ACPI: root pointer and tables, and at the
//	                         end the reset vector
//	1 MiB      - low end     RAM
//	3 GiB      - 4 GiB       devices
//	4 GiB      - high end    RAM beyond the first 3 GiB
const (
	lowEnd   = 0xa0000
	romBase  = 0xc0000
	acpiBase = 0xe0000
	acpiSize = 0x20000 - vectorSize
	vectorAt = oneMiB - vectorSize
	// vectorSize is what the code at the reset vector takes.
	vectorSize = 0x40
	oneMiB     = 1 << 20
	holeBase   = 3 << 30
	highBase   = 4 << 30
)

// MinMemory and MaxMemory bound a guest's memory, in bytes. All of it lies
// within 40 address bits, which every 64-bit processor with nested paging has.
const (
	MinMemory = 4 << 20
	MaxMemory = 1<<40 - (highBase - holeBase)
)

// Boot structures. They lie in low memory, unless the kernel's image does: see
// placeBoot.
const (
	bootAt    GPA = 0x1000
	gdtAt     GPA = 0x1000 // global descriptor table
	paramsAt  GPA = 0x2000 // boot_params, one page
	infoAt    GPA = 0x3000 // hvm_start_info or multiboot information, one page
	tablesAt  GPA = 0x4000 // page tables, six pages
	stackAt   GPA = 0x10000
	cmdlineAt GPA = 0x10000 // up to cmdlineMax bytes
	// cmdlineMax is the longest command line of an image that names no limit
	// of its own, with the final NUL.
	cmdlineMax = 0x10000
	bootEnd    = cmdlineAt + cmdlineMax
)

// at returns where a boot structure is.
func (g *guest) at(a GPA) GPA { return a + g.boot }

// placeBoot finds room for the boot structures beside the kernel's image: in low
// memory, as near to its beginning or its end as can be, or behind the image.
func (g *guest) placeBoot(img *image) error {
	free := func(at GPA) bool {
		for _, t := range img.taken {
			if t.at < at+bootEnd && at+bootAt < t.at+GPA(t.size) {
				return false
			}
		}
		return true
	}
	if g.boot = 0; free(g.boot) {
		return nil
	}
	for g.boot = lowEnd - bootEnd; g.boot > 0; g.boot -= bootAt {
		if free(g.boot) {
			return nil
		}
	}
	g.boot = (img.end + 0xfff) &^ 0xfff
	img.end = g.boot + bootEnd
	return g.fits(uint64(g.boot), uint64(img.end))
}

// Layout returns the memory map (as E820 types) of a guest with memory bytes
// of RAM, rounded down to whole pages of 4 KiB.
func Layout(memory uint64) ([]abi.MemRange, error) {
	if memory < MinMemory || memory > MaxMemory {
		return nil, fmt.Errorf("guest memory of %d MiB is out of range: use %d MiB to %d GiB", memory>>20, MinMemory>>20, MaxMemory>>30)
	}
	memory &^= 0xfff
	m := []abi.MemRange{
		{Start: 0, Size: lowEnd, Type: abi.MemRAM},
		{Start: romBase, Size: acpiBase - romBase, Type: abi.MemReserved},
		{Start: acpiBase, Size: oneMiB - acpiBase, Type: abi.MemACPI},
		{Start: oneMiB, Size: min(memory, holeBase) - oneMiB, Type: abi.MemRAM},
	}
	if memory > holeBase {
		m = append(m, abi.MemRange{Start: highBase, Size: memory - holeBase, Type: abi.MemRAM})
	}
	return m, nil
}

// Populate returns the ranges of guest physical addresses that must be backed
// by memory for a guest with memory bytes, ascending and disjoint: what
// [Layout] returns, with neighbours joined. The sum of their sizes is less
// than memory by the hole below 1 MiB.
func Populate(memory uint64) ([]abi.MemRange, error) {
	layout, err := Layout(memory)
	if err != nil {
		return nil, err
	}
	var out []abi.MemRange
	for _, r := range layout {
		r.Type = abi.MemRAM
		if n := len(out); n > 0 && out[n-1].Start+out[n-1].Size == r.Start {
			out[n-1].Size += r.Size
			continue
		}
		out = append(out, r)
	}
	return out, nil
}
