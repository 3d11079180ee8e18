// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import "ringo/hv/abi"

// Base classes, and classes with their subclass (PCI Code and ID Assignment
// Specification 1.11).
const (
	classDisplay = 0x03
	classBridge  = 0x06
	classSystem  = 0x08
	classUSB     = 0x0c03
)

func baseClass(f *abi.PCIFunction) uint32 { return f.Class >> 16 }

// Quiesce takes the bus and their interrupt lines from all functions that firmware, or a
// loader, has left working: a network card may still write what it receives to memory that
// is somebody else's by now, and a line that one asserts for nobody keeps others' quiet. It
// returns how many there were that had the bus.
//
// Bridges pass on what others do. Displays and USB controllers are left alone as well,
// since firmware shows and reads keys with them for the hypervisor's own console, from
// memory that it has reserved. System devices (timers, IOMMUs) are the hypervisor's.
func (t *Table) Quiesce() (n int) {
	for i := range t.Functions {
		f := &t.Functions[i]
		command := t.space.Load(f.Addr, regCommand) & 0xffff
		master, quiet := command&commandMaster != 0, command&^commandMaster
		switch {
		case baseClass(f) == classBridge:
			continue
		case baseClass(f) == classDisplay, f.Class>>8 == classUSB:
			if master {
				f.Flags |= abi.PCIMaster
			}
			continue
		case baseClass(f) != classSystem:
			quiet |= commandNoLine
		}
		if quiet != command {
			t.space.Store(f.Addr, regCommand, quiet)
		}
		if master {
			f.Flags |= abi.PCIStopped
			n++
		}
	}
	return n
}

// Capabilities ("Capabilities List"), and what of them is looked at.
const (
	capPower    = 0x01
	capMSI      = 0x05
	capVendor   = 0x09
	capExpress  = 0x10
	capMSIX     = 0x11
	capAdvanced = 0x13
	expressType = 20 // of the first doubleword, bits 23:20: device/port type
	rootPort    = 4
	downPort    = 6
)

// capability returns the register of a capability of a function, 0 if there is none.
func (t *Table) capability(a abi.PCIAddr, id uint8) (at uint16) {
	t.capabilities(a, func(n uint8, reg uint16) bool {
		if n == id {
			at = reg
		}
		return n != id
	})
	return at
}

// capabilities calls f for each entry of a function's list until it returns false.
func (t *Table) capabilities(a abi.PCIAddr, f func(id uint8, reg uint16) bool) {
	if t.space.Load(a, regCommand)&statusCaps == 0 {
		return
	}
	at := uint16(t.space.Load(a, regCaps)) & 0xfc
	for range SpaceSize / 4 { // a list may have a loop
		if at < capsFirst {
			return
		}
		v := t.space.Load(a, at)
		if !f(uint8(v), at) {
			return
		}
		at = uint16(v>>8) & 0xfc
	}
}

// downstream reports whether a bridge to PCI leads to a link, where there is one
// device: its number is 0, and others must not be asked for ("Device Number
// Assignment" of PCI Express).
func (t *Table) downstream(f *abi.PCIFunction) bool {
	at := t.capability(f.Addr, capExpress)
	if at == 0 {
		return false
	}
	kind := t.space.Load(f.Addr, at) >> expressType & 15
	return kind == rootPort || kind == downPort
}

// extended reports whether the part of a function's configuration space behind the
// first 256 bytes can be read: it is an Express function that a window shows.
// Windows that show something else, or wrap around, do not count.
func (t *Table) extended(a abi.PCIAddr) bool {
	w := t.space.window(a)
	if w == nil || t.capability(a, capExpress) == 0 {
		return false
	}
	return w.load(a, regID) == t.space.Load(a, regID)
}
