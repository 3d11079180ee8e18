// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import "ringo/hv/bus"

// configPorts is the host's configuration ports as a bus.Device.
type configPorts struct{ h *Host }

// ConfigPorts returns the device for the ConfigSize ports from ConfigPort.
func (h *Host) ConfigPorts() bus.Device { return configPorts{h} }

const (
	addressEnable = 1 << 31
	offReset      = 1 // reset control, a byte
	offData       = 4
	resetCPU      = 1 << 2
)

// Read answers a read of a configuration port.
func (c configPorts) Read(off uint64, size uint8, now uint64) uint64 {
	h := c.h
	h.mu.Lock()
	addr, reset := h.addr, h.reset
	h.mu.Unlock()
	switch {
	case off == 0 && size == 4:
		return uint64(addr)
	case off == offReset && size == 1:
		return uint64(reset)
	case off < offData || addr&addressEnable == 0 || size > 4:
		return ones
	}
	return h.configRead(int(addr>>16&0xff), int(addr>>8&0xff), int(addr&0xfc)+int(off-offData), size, now)
}

// Write answers a write of a configuration port. A byte to the reset control
// register resets when RST_CPU goes from 0 to 1.
func (c configPorts) Write(off uint64, size uint8, val, now uint64) {
	h := c.h
	h.mu.Lock()
	addr, reset := h.addr, false
	switch {
	case off == 0 && size == 4:
		h.addr = uint32(val)
	case off == offReset && size == 1:
		reset = val&^uint64(h.reset)&resetCPU != 0
		h.reset = uint8(val) & 0b1110
	}
	h.mu.Unlock()
	if reset {
		h.platform.Reset()
	}
	if off < offData || addr&addressEnable == 0 || size > 4 {
		return
	}
	h.configWrite(int(addr>>16&0xff), int(addr>>8&0xff), int(addr&0xfc)+int(off-offData), size, val, now)
}

// ecam is the configuration space as memory.
type ecam struct{ h *Host }

// ECAM returns the device for the ECAMSize bytes from the address ECAM.
func (h *Host) ECAM() bus.Device { return ecam{h} }

func (e ecam) Read(off uint64, size uint8, now uint64) uint64 {
	if size == 8 {
		return e.Read(off, 4, now)&0xffff_ffff | e.Read(off+4, 4, now)<<32
	}
	return e.h.configRead(int(off>>20), int(off>>12&0xff), int(off&0xfff), size, now)
}

func (e ecam) Write(off uint64, size uint8, val, now uint64) {
	if size == 8 {
		e.Write(off, 4, val&0xffff_ffff, now)
		e.Write(off+4, 4, val>>32, now)
		return
	}
	e.h.configWrite(int(off>>20), int(off>>12&0xff), int(off&0xfff), size, val, now)
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
