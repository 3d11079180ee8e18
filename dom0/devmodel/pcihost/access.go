// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import "ringo/hv/bus"

// configPorts is what is left of the configuration ports: the reset control register.
type configPorts struct{ h *Host }

// ConfigPorts returns the device for the ConfigSize ports from ConfigPort.
func (h *Host) ConfigPorts() bus.Device { return configPorts{h} }

const (
	offReset = 1 // reset control, a byte
	resetCPU = 1 << 2
)

// Read answers a read of a configuration port.
func (c configPorts) Read(off uint64, size uint8, _ uint64) uint64 {
	if off != offReset || size != 1 {
		return ones
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return uint64(c.h.reset)
}

// Write answers a write of a configuration port. A byte to the reset control
// register resets when RST_CPU goes from 0 to 1.
func (c configPorts) Write(off uint64, size uint8, val, _ uint64) {
	if off != offReset || size != 1 {
		return
	}
	h := c.h
	h.mu.Lock()
	reset := val&^uint64(h.reset)&resetCPU != 0
	h.reset = uint8(val) & 0b1110
	h.mu.Unlock()
	if reset {
		h.platform.Reset()
	}
}

// config is the configuration space of what is in a place.
type config struct {
	h    *Host
	slot int
}

// Config returns the device for the FunctionSize bytes of the configuration space of a
// slot's function.
func (h *Host) Config(slot int) bus.Device { return config{h, slot} }

func (c config) Read(off uint64, size uint8, now uint64) uint64 {
	if size == 8 {
		return c.Read(off, 4, now)&0xffff_ffff | c.Read(off+4, 4, now)<<32
	}
	return c.h.configRead(c.slot, int(off), size, now)
}

func (c config) Write(off uint64, size uint8, val, now uint64) {
	if size == 8 {
		c.Write(off, 4, val&0xffff_ffff, now)
		c.Write(off+4, 4, val>>32, now)
		return
	}
	c.h.configWrite(c.slot, int(off), size, val, now)
}

// functions is the configuration space of all functions, by their places.
type functions struct{ slot [Places]bus.Device }

// Functions returns the device for the BusSize bytes of the configuration space of the
// bus.
func (h *Host) Functions() bus.Device {
	f := &functions{}
	for i := range f.slot {
		f.slot[i] = h.Config(i)
	}
	return f
}

func (f *functions) Read(off uint64, size uint8, now uint64) uint64 {
	if n, ok := place(off); ok {
		return f.slot[n].Read(off%FunctionSize, size, now)
	}
	return ones
}

func (f *functions) Write(off uint64, size uint8, val, now uint64) {
	if n, ok := place(off); ok {
		f.slot[n].Write(off%FunctionSize, size, val, now)
	}
}

// place returns the place of a function whose configuration space has an offset.
func place(off uint64) (n uint64, ok bool) {
	slot, number := off/SlotSize%slots, off/FunctionSize%perSlot
	switch {
	case number == 0:
		return slot, true
	case slot == furtherSlot:
		return Further + number - 1, true
	}
	return 0, false
}

// aperture is a range in which base address registers are decoded.
type aperture struct {
	h    *Host
	base uint64
	io   bool
}

// IO returns the device for the IOSize ports from IOBase.
func (h *Host) IO() bus.Device { return aperture{h, IOBase, true} }

// Memory returns the device for the MemSize bytes from MemBase.
func (h *Host) Memory() bus.Device { return aperture{h, MemBase, false} }

func (a aperture) find(off uint64, size uint8) (bus.Device, uint64, bool) {
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if a.io {
		return a.h.io.Find(a.base+off, size)
	}
	return a.h.mem.Find(a.base+off, size)
}

// Read answers a read within the aperture; where nobody is it gives all ones.
func (a aperture) Read(off uint64, size uint8, now uint64) uint64 {
	if dev, at, ok := a.find(off, size); ok {
		return dev.Read(at, size, now)
	}
	return ones
}

// Write answers a write within the aperture.
func (a aperture) Write(off uint64, size uint8, val, now uint64) {
	if dev, at, ok := a.find(off, size); ok {
		dev.Write(at, size, val, now)
	}
}
