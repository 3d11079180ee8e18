// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
)

// MaxFunctions bounds a [Table].
const MaxFunctions = 2048

// Registers ("Configuration Space Header"), by the doubleword that they are in.
const (
	regID        = 0x00 // vendor, device
	regCommand   = 0x04 // command, status
	regClass     = 0x08 // revision, class
	regHeader    = 0x0c // cache line, latency, header type, self test
	regBAR       = 0x10
	regBuses     = 0x18 // of a bridge: primary, secondary, subordinate
	regSubsystem = 0x2c
	regCaps      = 0x34
	regLine      = 0x3c // and pin

	statusCaps  = 1 << 20 // of regCommand: there is a list of capabilities
	headerMulti = 1 << 7  // of the header type: functions 1 to 7 are to be looked for
)

// Commands.
const (
	commandPort   = 1 << 0
	commandMemory = 1 << 1
	commandMaster = 1 << 2
	commandNoLine = 1 << 10
)

// Table is the functions that the machine had at boot, in the order of their
// addresses, and what dom0 has of them. Of a function only the flags change.
type Table struct {
	// Functions may be read as a whole before Connect; then [Table.At] is for others.
	Functions []abi.PCIFunction
	// Full: there were more than MaxFunctions.
	Full  bool
	space *Space
	host  Host

	mu      sync.Mutex // guards what follows; before that of space and the ledger's of dom0
	devices []device   // by index of a function
	irqs    [abi.NumDevicePorts]irq
	lines   [maxLines]line
	ports   [256]atomic.Uint32 // by vector: 0 none, or a line
	paces   [256]pace
	storm   chan struct{} // there is a vector that must rest

	offered map[owner]*PortRange // does not change after OfferPorts
}

// At returns the function of an index.
func (t *Table) At(i uint64) (f abi.PCIFunction, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i >= uint64(len(t.Functions)) {
		return f, false
	}
	return t.Functions[i], true
}

// NewTable looks for all functions, and says what each decodes. Bridges must have
// their bus numbers from firmware; buses that no bridge leads to (other roots) are
// looked at as well.
//
// Preconditions: nobody uses a device; base addresses do not decode while they are
// measured.
func NewTable(s *Space) *Table {
	t := &Table{space: s}
	single := map[abi.PCIAddr]bool{} // buses that are links with one device
	s.buses(func(segment uint16, bus uint8) {
		devices := uint8(32)
		if single[abi.NewPCIAddr(segment, bus, 0, 0)] {
			devices = 1
		}
		for device := range devices {
			t.scan(abi.NewPCIAddr(segment, bus, device, 0), single)
		}
	})
	t.devices = make([]device, len(t.Functions))
	return t
}

// scan takes up the functions of a device, given its first one. A function 0 that is
// missing means that there is no device.
func (t *Table) scan(first abi.PCIAddr, single map[abi.PCIAddr]bool) {
	functions := 1
	for n := 0; n < functions; n++ {
		a := first + abi.PCIAddr(n)
		id := t.space.Load(a, regID)
		if v := uint16(id); v == 0xffff || v == 0 {
			continue
		}
		if n == 0 && t.space.Load(a, regHeader)>>16&headerMulti != 0 {
			functions = 8
		}
		if len(t.Functions) == MaxFunctions {
			t.Full = true
			return
		}
		f := t.describe(a, id)
		if f.Header == 1 && t.downstream(&f) {
			single[abi.NewPCIAddr(a.Segment(), f.Secondary, 0, 0)] = true
		}
		t.Functions = append(t.Functions, f)
	}
}

// describe reads the header of a function whose register 0 is id.
func (t *Table) describe(a abi.PCIAddr, id uint32) abi.PCIFunction {
	class := t.space.Load(a, regClass)
	f := abi.PCIFunction{
		Addr: a, Vendor: uint16(id), Device: uint16(id >> 16), Class: class >> 8, Revision: uint8(class),
		Header: uint8(t.space.Load(a, regHeader)>>16) &^ headerMulti,
	}
	switch f.Header {
	case 0:
		sub := t.space.Load(a, regSubsystem)
		f.Subvendor, f.Subdevice = uint16(sub), uint16(sub>>16)
		t.measure(&f, 6)
		fixed(&f)
	case 1:
		buses := t.space.Load(a, regBuses)
		f.Secondary, f.Subordinate = uint8(buses>>8), uint8(buses>>16)
		t.measure(&f, 2)
	}
	if t.extended(a) {
		f.Flags |= abi.PCIExtended
	}
	return f
}

// Find returns the function with an address as it was at boot, or nil.
func (t *Table) Find(a abi.PCIAddr) *abi.PCIFunction {
	if i := t.find(a); i >= 0 {
		return &t.Functions[i]
	}
	return nil
}

// Read reads a register of size bytes: all ones where the function has none.
func (t *Table) Read(a abi.PCIAddr, reg, size uint64) (uint32, abi.Status) {
	switch {
	case size != 1 && size != 2 && size != 4, reg%size != 0, reg > ExtendedSize-size:
		return 0, abi.BadArg
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.find(a)
	if i < 0 {
		return 0, abi.NoDevice
	}
	v := ^uint32(0)
	if reg < SpaceSize || t.Functions[i].Flags&abi.PCIExtended != 0 {
		v = t.space.Load(a, uint16(reg)&^3) >> (reg & 3 * 8)
	}
	return v & uint32(1<<(size*8)-1), abi.OK
}
