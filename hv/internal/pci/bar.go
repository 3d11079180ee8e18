// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// Bits of a base address register ("Base Addresses").
const (
	barPort     = 1 << 0
	bar64       = 2 << 1 // of the type, bits 2:1
	barType     = 3 << 1
	barPrefetch = 1 << 3
	portBits    = 3
	memoryBits  = 15
)

// measure fills in the base addresses, of which the header has n. The function does
// not decode meanwhile. Bridges and system devices (interrupt controllers, IOMMUs)
// must not stop decoding: of theirs the addresses are known only.
func (t *Table) measure(f *abi.PCIFunction, n int) {
	command := t.space.Load(f.Addr, regCommand) & 0xffff
	sizes := baseClass(f) != classBridge && baseClass(f) != classSystem
	if sizes {
		t.space.Store(f.Addr, regCommand, command&^(commandPort|commandMemory))
		defer t.space.Store(f.Addr, regCommand, command)
	}
	for i := 0; i < n; i++ {
		wide := t.bar(f, i, i+1 < n, sizes)
		if wide {
			i++
		}
	}
}

// bar fills in base address i, and reports whether it is one of 64 bits, which takes
// the next register as well; next says that there is one.
func (t *Table) bar(f *abi.PCIFunction, i int, next, sizes bool) (wide bool) {
	reg := regBAR + 4*uint16(i)
	low := t.space.Load(f.Addr, reg)
	b := &f.BAR[i]
	mask, high := uint64(memoryBits), uint32(0)
	switch {
	case low&barPort != 0:
		b.Flags, mask = abi.BARPresent|abi.BARPort, portBits
	case low&barType == bar64 && next:
		wide, high = true, t.space.Load(f.Addr, reg+4)
		b.Flags = abi.BARPresent | abi.BAR64
	default:
		b.Flags = abi.BARPresent
	}
	if low&barPort == 0 && low&barPrefetch != 0 {
		b.Flags |= abi.BARPrefetch
	}
	b.Addr = (uint64(high)<<32 | uint64(low)) &^ mask
	if sizes {
		b.Size = t.size(f.Addr, reg, low, high, wide, mask)
	}
	// A register that is not there reads as zero, whatever is written.
	if b.Size == 0 && (sizes || low == 0 && high == 0) {
		*b = abi.PCIBAR{}
	}
	return wide
}

// size writes ones to a base address, looks which of them stay, and writes its value
// back.
func (t *Table) size(a abi.PCIAddr, reg uint16, low, high uint32, wide bool, mask uint64) uint64 {
	t.space.Store(a, reg, ^uint32(0))
	ones := uint64(t.space.Load(a, reg))
	t.space.Store(a, reg, low)
	if wide {
		t.space.Store(a, reg+4, ^uint32(0))
		ones |= uint64(t.space.Load(a, reg+4)) << 32
		t.space.Store(a, reg+4, high)
	}
	ones &^= mask
	return ones & -ones // its lowest bit
}
