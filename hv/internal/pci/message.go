// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"sync/atomic"

	"ringo/hv/abi"
)

// Interrupt messages ("Message Signaled Interrupts", and "MSI-X Capability and Table
// Structure"). Control is the upper half of the capability's first doubleword.
const (
	msixEnable = 1 << 31
	msixMask   = 1 << 30
	msixTable  = 4 // register behind the capability's: base address in bits 2:0, offset
	msixEntry  = 16
	entryMask  = 1 << 0 // of an entry's fourth doubleword

	msiEnable = 1 << 16
	msiCount  = 7 << 20 // how many messages are enabled, a power of two
	msi64     = 1 << 23
	msiMasks  = 1 << 24
)

// Message is what makes a local APIC, in physical mode, interrupt (SDM Vol. 3, "Message
// Signalled Interrupts"), where nothing remaps it.
func Message(_ abi.PCIAddr, vector uint8, apic uint32) (addr, data uint32, ok bool) {
	return 0xfee0_0000 | apic<<12, uint32(vector), apic < noAPIC
}

// noAPIC is the first local APIC that such a message does not reach: it is that of all.
const noAPIC = 255

// messages returns where a function has its messages of MSI-X: within a base address, or
// it has none.
func (t *Table) messages(i int) (bar int, off uint64, n int, ok bool) {
	f, d := &t.Functions[i], &t.devices[i]
	if d.msix == 0 {
		return 0, 0, 0, false
	}
	n = int(t.space.Load(f.Addr, d.msix)>>16&0x7ff) + 1
	at := t.space.Load(f.Addr, d.msix+msixTable)
	bar, off = int(at&7), uint64(at&^7)
	size := uint64(n) * msixEntry
	if bar >= len(f.BAR) || size > f.BAR[bar].Size || off > f.BAR[bar].Size-size {
		return 0, 0, 0, false
	}
	return bar, off, n, true
}

// messagePages returns the pages of a base address that hold messages of MSI-X.
func (t *Table) messagePages(i, bar int) (from, to uint64, ok bool) {
	b, off, n, ok := t.messages(i)
	if !ok || b != bar {
		return 0, 0, false
	}
	start := t.Functions[i].BAR[bar].Addr + off
	end := start + uint64(n)*msixEntry
	return start &^ (pageSize - 1), (end + pageSize - 1) &^ (pageSize - 1), true
}

// openTable makes a function's messages of MSI-X accessible, all of them masked, with
// the capability enabled and not masked as a whole. False: it has none, or they cannot be
// reached.
func (t *Table) openTable(i int) bool {
	f, d := &t.Functions[i], &t.devices[i]
	if d.table != nil {
		return true
	}
	bar, off, n, ok := t.messages(i)
	if !ok {
		return false
	}
	b := &f.BAR[bar]
	if b.Flags&abi.BARPresent == 0 || b.Flags&abi.BARPort != 0 || b.Addr == 0 {
		return false
	}
	if t.mayMap(i, b.Addr&^(pageSize-1), b.Addr+b.Size) != abi.OK {
		return false
	}
	words, ok := t.host.Registers(b.Addr+off, uint64(n)*msixEntry)
	if !ok {
		return false
	}
	t.command(f.Addr, 0, commandMemory)
	control := t.space.Load(f.Addr, d.msix)
	t.space.Store(f.Addr, d.msix, control|msixEnable|msixMask)
	d.table, d.messages = words, n
	for e := range n {
		d.maskEntry(e, true)
	}
	t.space.Store(f.Addr, d.msix, control&^msixMask|msixEnable)
	return true
}

// setEntry writes a message of MSI-X, which is masked meanwhile, and lets it through.
func (d *device) setEntry(n int, addr, data uint32) {
	d.maskEntry(n, true)
	for i, v := range [...]uint32{addr, 0, data} {
		atomic.StoreUint32(&d.table[4*n+i], v)
	}
	d.maskEntry(n, false)
}

// maskEntry masks a message of MSI-X, or lets it through. Its accesses are to a device:
// the compiler must leave out none, and it is read again so that the device has been told
// when this returns; what it had sent before has arrived by then.
func (d *device) maskEntry(n int, on bool) {
	control := &d.table[4*n+3]
	v := atomic.LoadUint32(control) &^ entryMask
	if on {
		v |= entryMask
	}
	atomic.StoreUint32(control, v)
	atomic.LoadUint32(control)
}

// setMSI writes the message of MSI, which is disabled meanwhile, and enables it, alone.
func (t *Table) setMSI(i int, addr, data uint32) {
	a, at := t.Functions[i].Addr, t.devices[i].msi
	control := t.space.Load(a, at) &^ (msiEnable | msiCount)
	t.space.Store(a, at, control)
	t.space.Store(a, at+4, addr)
	next := at + 8
	if control&msi64 != 0 {
		t.space.Store(a, next, 0)
		next += 4
	}
	t.space.Store(a, next, t.space.Load(a, next)&^0xffff|data)
	if control&msiMasks != 0 {
		t.space.Store(a, next+4, 0)
	}
	t.space.Store(a, at, control|msiEnable)
}

// enableMSI enables the message of MSI, or disables it: one that is due meanwhile is
// lost, or made by the function's line, which is off.
func (t *Table) enableMSI(i int, on bool) {
	a, at := t.Functions[i].Addr, t.devices[i].msi
	control := t.space.Load(a, at) &^ msiEnable
	if on {
		control |= msiEnable
	}
	t.space.Store(a, at, control)
}
