// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import (
	"encoding/binary"

	"ringo/hv/bus"
)

// Registers of the configuration space (PCI Local Bus Specification 3.0,
// "Configuration Space Organization").
const (
	regVendor  = 0x00
	regCommand = 0x04
	regStatus  = 0x06
	regClass   = 0x08 // revision, then three bytes of class
	regHeader  = 0x0e
	regBAR     = 0x10
	regSubsys  = 0x2c
	regCaps    = 0x34
	regLine    = 0x3c
	regPin     = 0x3d
	firstCap   = 0x40
	configLen  = 256

	commandIO     = 1 << 0
	commandMemory = 1 << 1
	commandMaster = 1 << 2
	commandNoINTx = 1 << 10
	statusINTx    = 1 << 3
	statusCaps    = 1 << 4
	headerMulti   = 1 << 7 // there are functions besides number 0

	barIO    = 1
	bars     = 6
	capMSIX  = 0x11
	slots    = 32
	perSlot  = SlotSize / FunctionSize
	barFlags = 0xf
)

// Identity is what a function is.
type Identity struct {
	Vendor, Device       uint16
	SubVendor, SubDevice uint16
	Class                uint32 // base class, subclass, interface: 24 bits
	Revision             uint8
}

// bar is a base address register: 0 bytes means that there is none.
type bar struct {
	size uint32
	io   bool
	dev  bus.Device
	at   uint64 // where it is decoded, if ok
	ok   bool
}

// Function is a PCI function. What makes it calls methods named Add before it is
// put into a slot.
type Function struct {
	// Moved is called, unless it is nil, when base address register n begins to be
	// decoded at an address, or with ok false ends to be. It must not call the
	// host.
	Moved func(n int, at uint64, ok bool)

	config [configLen]byte
	mask   [configLen]byte // bits that the guest may write
	bar    [bars]bar
	next   int // where the next capability goes
	link   int // where the offset of the next capability is written
	msix   *MSIX
	// windowAt is a doubleword that a device answers itself; 0: there is none.
	windowAt int
	window   bus.Device

	host *Host
	gsi  int // index of its line
	intx bool
	up   bool // what its line was last told
	gone bool // it was removed
}

// NewFunction returns a function without resources.
func NewFunction(id Identity) *Function {
	f := &Function{next: firstCap, link: regCaps}
	le := binary.LittleEndian
	le.PutUint16(f.config[regVendor:], id.Vendor)
	le.PutUint16(f.config[regVendor+2:], id.Device)
	le.PutUint32(f.config[regClass:], id.Class<<8|uint32(id.Revision))
	le.PutUint16(f.config[regSubsys:], id.SubVendor)
	le.PutUint16(f.config[regSubsys+2:], id.SubDevice)
	le.PutUint16(f.mask[regCommand:], commandIO|commandMemory|commandMaster|commandNoINTx)
	f.mask[regLine] = 0xff
	return f
}

// AddBAR gives base address register n a range of size bytes, a power of two of
// at least 4 (I/O) or 16 (memory), that dev answers.
func (f *Function) AddBAR(n int, size uint32, io bool, dev bus.Device) {
	f.bar[n] = bar{size: size, io: io, dev: dev}
	at := regBAR + 4*n
	binary.LittleEndian.PutUint32(f.mask[at:], -size)
	if io {
		f.config[at] = barIO
	}
}

// AddPin gives the function interrupt pin INTA.
func (f *Function) AddPin() { f.config[regPin] = 1 }

// AddCapability adds a capability with its body, which begins behind the two
// bytes of the header; mask says which bits of the body the guest may write, nil:
// none. It returns where the capability is.
func (f *Function) AddCapability(id byte, body, mask []byte) int {
	at := f.next
	f.config[f.link] = byte(at)
	f.config[at] = id
	f.link = at + 1
	copy(f.config[at+2:], body)
	copy(f.mask[at+2:], mask)
	f.next = (at + 2 + len(body) + 3) &^ 3
	f.config[regStatus] |= statusCaps
	return at
}

// AddWindow makes dev answer the doubleword at an offset of the configuration
// space.
func (f *Function) AddWindow(at int, dev bus.Device) { f.windowAt, f.window = at, dev }

// Config returns the byte at an offset of the configuration space, as the guest
// has left it.
//
// Preconditions: the caller is the window of f.
func (f *Function) Config(at int) byte {
	f.host.mu.Lock()
	defer f.host.mu.Unlock()
	return f.config[at]
}

// Enabled reports whether the function uses MSI-X instead of its pin.
func (f *Function) Enabled() bool { return f.msix != nil && f.msix.enabled() }

// SetINTx sets the level of the function's interrupt pin.
func (f *Function) SetINTx(level bool) {
	h := f.host
	if h == nil {
		return // in no slot yet
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.gone {
		return
	}
	f.intx = level
	h.drive(f)
}

// command is the command register.
func (f *Function) command() uint16 { return binary.LittleEndian.Uint16(f.config[regCommand:]) }

// read returns size bytes of the configuration space from an offset.
func (f *Function) read(at int, size uint8) (v uint64) {
	for i := range int(size) {
		if at+i < configLen {
			v |= uint64(f.config[at+i]) << (8 * i)
		}
	}
	return v
}

// write changes what the guest may change.
func (f *Function) write(at int, size uint8, val uint64) {
	for i := range int(size) {
		if at+i < configLen {
			m := f.mask[at+i]
			f.config[at+i] = f.config[at+i]&^m | byte(val>>(8*i))&m
		}
	}
}

// address is where the guest has put base address register n, and whether it
// lets it be decoded.
func (f *Function) address(n int) (at uint64, on bool) {
	b := &f.bar[n]
	v := binary.LittleEndian.Uint32(f.config[regBAR+4*n:])
	if b.io {
		return uint64(v &^ 3), b.size != 0 && f.command()&commandIO != 0
	}
	return uint64(v &^ barFlags), b.size != 0 && f.command()&commandMemory != 0
}
