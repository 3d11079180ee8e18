// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// Write writes a register of size bytes of a function that dom0 has, as far as it is
// dom0's. Denied: nothing of it is. What the hypervisor manages stays as it is: base
// addresses, interrupt messages, resets, power, and what lets a device go around
// an IOMMU or appear anew.
func (t *Table) Write(a abi.PCIAddr, reg, size uint64, v uint32) abi.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case size != 1 && size != 2 && size != 4, reg%size != 0, reg > ExtendedSize-size, uint64(v)>>(8*size) != 0:
		return abi.BadArg
	}
	i, st := t.own(a)
	if st != abi.OK {
		return st
	}
	if reg >= SpaceSize && t.Functions[i].Flags&abi.PCIExtended == 0 {
		return abi.Denied
	}
	at := uint16(reg) &^ 3
	shift := reg & 3 * 8
	bytes := uint32(1<<(8*size)-1) << shift
	may, keep := t.writable(i, at)
	if may &= bytes; may == 0 {
		return abi.Denied
	}
	old := t.space.Load(a, at)
	t.space.Store(a, at, old&keep&^may|v<<shift&may)
	return abi.OK
}

// writable returns which bits of a doubleword are dom0's, and which of the others are
// written back as they are: not those that ones clear.
func (t *Table) writable(i int, at uint16) (may, keep uint32) {
	switch {
	case at == regCommand:
		return commandPort | commandMemory | commandMaster, 0xffff
	case at == regLine&^3:
		return 0xff, ^uint32(0) // the number of the line, which is the driver's to note
	case at < capsFirst:
		return 0, 0
	case at >= SpaceSize:
		return 0, 0
	}
	id, first := t.within(i, at)
	switch id {
	case 0: // in no capability: the device's own
		return ^uint32(0), 0
	case capVendor:
		return ^uint32(0), 0
	case capExpress:
		switch at - first {
		case expressControl:
			return expressMay, 0xffff
		case expressLink:
			return linkMay, 0xffff
		}
	}
	return 0, 0
}

// capsFirst is where capabilities begin.
const capsFirst = 0x40

// within returns the capability that a register behind the header is in, and where that
// begins: the one before it that is next, if the register is among those that one of
// its kind has. 0 is none.
func (t *Table) within(i int, at uint16) (id uint8, first uint16) {
	t.capabilities(t.Functions[i].Addr, func(n uint8, reg uint16) bool {
		if reg <= at && reg >= first {
			id, first = n, reg
		}
		return true
	})
	if id == 0 || at-first >= capSize(id, uint8(t.space.Load(t.Functions[i].Addr, first)>>16)) {
		return 0, 0
	}
	return id, first
}

// capSize is how many bytes a capability has at most; length is its third byte. Of those
// that are not known it is all up to the next.
func capSize(id, length uint8) uint16 {
	switch id {
	case capPower:
		return 8
	case capMSI:
		return 24
	case capMSIX:
		return 12
	case capExpress:
		return 0x3c
	case capAdvanced:
		return 8
	case capVendor:
		return uint16(length)
	}
	return SpaceSize
}

// What of the capability PCI Express is dom0's: error reporting, relaxed ordering, the
// size of read requests; and whether the link saves power.
const (
	expressControl = 8
	expressMay     = 0x0f | 1<<4 | 7<<12
	expressLink    = 16
	linkMay        = 3
)
