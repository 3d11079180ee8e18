// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import (
	"encoding/binary"

	"ringo/dom0/devmodel/pcihost"
	"ringo/hv/bus"
)

// Base address register 0 is memory, 1 is I/O: a doubleword for each queue.
const (
	barMemory = 0
	barNotify = 1

	offCommon = 0
	commonLen = 0x38
	offISR    = 0x1000
	offTable  = 0x2000
	offPBA    = 0x2800
	offDevice = 0x3000 // the device configuration
	deviceLen = 0x100
	memoryLen = 0x4000

	// BellSize is the number of ports of a queue's doorbell.
	BellSize   = 4
	multiplier = BellSize
)

// Types of structures (VIRTIO 1.2, "Virtio Structure PCI Capabilities").
const (
	capVendor  = 0x09
	cfgCommon  = 1
	cfgNotify  = 2
	cfgISR     = 3
	cfgDevice  = 4
	cfgPCI     = 5
	capLen     = 16
	pciCfgLen  = capLen + 4
	vendorID   = 0x1af4
	deviceBase = 0x1040
)

// build makes the PCI function.
func (d *Device) build() {
	f := pcihost.NewFunction(pcihost.Identity{
		Vendor: vendorID, Device: deviceBase + d.kind.ID, SubVendor: vendorID, SubDevice: deviceBase + d.kind.ID,
		Class: d.kind.Class, Revision: 1,
	})
	d.Function = f
	f.AddPin()
	f.AddBAR(barMemory, memoryLen, false, registers{d})
	size := uint32(multiplier)
	for int(size) < multiplier*len(d.queues) {
		size *= 2
	}
	f.AddBAR(barNotify, size, true, notify{d})
	f.Moved = func(n int, at uint64, ok bool) {
		if n == barNotify {
			for q := range d.queues {
				d.bells(q, at+uint64(q)*multiplier, ok)
			}
		}
	}
	d.msix = f.AddMSIX(1+len(d.queues), barMemory, offTable, offPBA-offTable)
	f.AddCapability(capVendor, structure(capLen, cfgCommon, barMemory, offCommon, commonLen), nil)
	f.AddCapability(capVendor, structure(capLen, cfgISR, barMemory, offISR, 1), nil)
	if d.kind.Config != nil {
		f.AddCapability(capVendor, structure(capLen, cfgDevice, barMemory, offDevice, deviceLen), nil)
	}
	f.AddCapability(capVendor, binary.LittleEndian.AppendUint32(
		structure(capLen+4, cfgNotify, barNotify, 0, size), multiplier), nil)
	// Access to the ranges through configuration space: bar, offset and length are
	// the guest's (VIRTIO 1.2, "PCI configuration access capability").
	mask := make([]byte, pciCfgLen-2)
	mask[2] = 0xff
	for i := 6; i < 14; i++ {
		mask[i] = 0xff
	}
	at := f.AddCapability(capVendor, append(structure(pciCfgLen, cfgPCI, 0, 0, 0), 0, 0, 0, 0), mask)
	f.AddWindow(at+capLen, window{d, at})
}

// structure is the body of a capability: it begins behind id and link.
func structure(length, kind, bar byte, offset, size uint32) []byte {
	b := []byte{length, kind, bar, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, offset)
	return binary.LittleEndian.AppendUint32(b, size)
}

// registers is the range of base address register 0.
type registers struct{ d *Device }

// Read answers a read of a register.
func (r registers) Read(off uint64, size uint8, now uint64) uint64 {
	d := r.d
	switch {
	case off >= offDevice:
		return d.config(off-offDevice, size)
	case off >= offTable:
		return d.msix.Read(off-offTable, size, now)
	case off == offISR:
		return uint64(d.takeISR())
	case off >= commonLen:
		return 0
	}
	var b [commonLen + 8]byte
	d.common((*[commonLen]byte)(b[:]))
	return binary.LittleEndian.Uint64(b[off:]) & (^uint64(0) >> (64 - 8*uint(size)))
}

// Write answers a write of a register.
func (r registers) Write(off uint64, size uint8, val, now uint64) {
	switch {
	case off >= offDevice:
		r.d.setConfig(off-offDevice, size, val)
	case off >= offTable:
		r.d.msix.Write(off-offTable, size, val, now)
	case off < commonLen:
		r.d.setCommon(off, size, val)
	}
}

// notify is the range of base address register 1. Accesses come here while the
// doorbells are not where the register is, and through configuration space.
type notify struct{ d *Device }

// Read answers a read: there is nothing.
func (notify) Read(uint64, uint8, uint64) uint64 { return ^uint64(0) }

// Write notifies a queue.
func (n notify) Write(off uint64, _ uint8, _, _ uint64) {
	if q := off / multiplier; q < uint64(len(n.d.queues)) {
		if q := n.d.live[q].Load(); q != nil {
			q.later() // locks of the bus are held
		}
	}
}

// window is the data of the configuration access capability at an offset.
type window struct {
	d  *Device
	at int
}

// target is what the capability names: a device, an offset and a size.
func (w window) target() (dev bus.Device, off uint64, size uint8, ok bool) {
	var b [pciCfgLen]byte
	for i := range b {
		b[i] = w.d.Config(w.at + i)
	}
	off, n := uint64(binary.LittleEndian.Uint32(b[8:])), binary.LittleEndian.Uint32(b[12:])
	if n != 1 && n != 2 && n != 4 || off%uint64(n) != 0 {
		return nil, 0, 0, false
	}
	switch {
	case b[4] == barMemory && off+uint64(n) <= memoryLen:
		return registers{w.d}, off, uint8(n), true
	case b[4] == barNotify:
		return notify{w.d}, off, uint8(n), true
	}
	return nil, 0, 0, false
}

// Read reads what the capability names.
func (w window) Read(_ uint64, _ uint8, now uint64) uint64 {
	if dev, off, n, ok := w.target(); ok {
		return dev.Read(off, n, now)
	}
	return 0
}

// Write writes what the capability names.
func (w window) Write(_ uint64, _ uint8, val, now uint64) {
	if dev, off, n, ok := w.target(); ok {
		dev.Write(off, n, val&(1<<(8*n)-1), now)
	}
}
