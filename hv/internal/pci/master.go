// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// statusAborted is, of the command and status register, that the function refused an
// access to it ("Signaled Target Abort"). Ones clear it.
const statusAborted = 1 << 27

// TakeBus turns the bus mastering of a function off, and reports whether there is such
// a function. Of a bridge that takes the bus from all that is behind it.
//
// It takes no lock of the table's: it is called with that of the IOMMUs, which comes
// after. So a change of the same register at the same time may undo it. The IOMMU
// refuses the function all the same.
func (t *Table) TakeBus(a abi.PCIAddr) bool {
	if t.find(a) < 0 {
		return false
	}
	command := t.space.Load(a, regCommand) & 0xffff
	t.space.Store(a, regCommand, command&^commandMaster)
	return true
}

// Aborted reports whether a function has refused an access since the last call.
func (t *Table) Aborted(a abi.PCIAddr) bool {
	v := t.space.Load(a, regCommand)
	if v&statusAborted == 0 || v == ^uint32(0) {
		return false
	}
	t.space.Store(a, regCommand, v&0xffff|statusAborted)
	return true
}

// Path returns the function that firmware's tables name by a way through bridges: each
// element is device<<3 | function, on the bus behind the one before.
func (t *Table) Path(segment uint16, bus uint8, path []uint8) (a abi.PCIAddr, ok bool) {
	for i, hop := range path {
		a = abi.NewPCIAddr(segment, bus, hop>>3, hop&7)
		if i+1 < len(path) {
			f := t.Find(a)
			if f == nil || f.Header != 1 {
				return 0, false
			}
			bus = f.Secondary
		}
	}
	return a, len(path) > 0
}

// Behind returns the functions behind a bridge, and the bridge.
func (t *Table) Behind(bridge abi.PCIAddr) (out []abi.PCIAddr) {
	b := t.Find(bridge)
	if b == nil {
		return nil
	}
	out = append(out, bridge)
	for i := range t.Functions {
		f := t.Functions[i].Addr
		if b.Header == 1 && f.Segment() == bridge.Segment() && b.Secondary != 0 && b.Secondary <= f.Bus() && f.Bus() <= b.Subordinate {
			out = append(out, f)
		}
	}
	return out
}
