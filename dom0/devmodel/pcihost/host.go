// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcihost

import (
	"encoding/binary"
	"sync"

	"ringo/hv/bus"
)

// Host is a host bridge with its bus. The devices that it returns are safe for
// concurrent use.
type Host struct {
	platform Platform

	// mu guards what follows and the configuration of the functions; it comes
	// before MSIX.mu. Lines, messages and Function.Moved are called with it held,
	// devices are not.
	mu     sync.Mutex
	slot   [Places]*Function
	reset  uint8 // reset control register
	io     *bus.Bus[uint64]
	mem    *bus.Bus[uint64]
	high   [Lines]int // functions that hold a line up
	nextIO uint64
	nextM  uint64
}

// New returns a host with a bridge in slot 0.
func New(p Platform) *Host {
	h := &Host{platform: p, nextIO: IOBase, nextM: MemBase}
	// What a q35 has, since systems know it: 82G33 DRAM controller (Intel 3 Series
	// Express Chipset Family data sheet, "PCIEXBAR").
	bridge := NewFunction(Identity{
		Vendor: 0x8086, Device: 0x29c0, SubVendor: 0x1af4, SubDevice: 0x1100, Class: 0x060000,
	})
	binary.LittleEndian.PutUint32(bridge.config[0x60:], ECAM|1)
	h.Add(0, bridge)
	return h
}

// Add puts a function into a place, with addresses for its base address registers,
// as firmware would: they are decoded when the guest enables it.
//
// Preconditions: the place is free, and that of function 0 of the slot is not; the guest
// does not run.
func (h *Host) Add(slot int, f *Function) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.host, f.gsi = h, int(GSI(slot, 0)-FirstGSI)
	if slot >= slots {
		f.gsi = int(GSI(furtherSlot, 0) - FirstGSI)
		h.slot[furtherSlot].config[regHeader] |= headerMulti
	}
	for n := range f.bar {
		b := &f.bar[n]
		if b.size == 0 {
			continue
		}
		next := &h.nextM
		if b.io {
			next = &h.nextIO
		}
		at := (*next + uint64(b.size) - 1) &^ (uint64(b.size) - 1)
		*next = at + uint64(b.size)
		v := f.config[regBAR+4*n:]
		binary.LittleEndian.PutUint32(v, uint32(at)|uint32(v[0]))
	}
	h.put(slot, f)
}

// Plug puts a function into a slot while the guest runs, which gives it addresses
// itself.
//
// Preconditions: the slot is free.
func (h *Host) Plug(slot int, f *Function) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.host, f.gsi = h, int(GSI(slot, 0)-FirstGSI)
	h.put(slot, f)
}

// put is what Add and Plug have in common. Preconditions: h.mu is held.
func (h *Host) put(slot int, f *Function) {
	if f.msix != nil {
		f.msix.platform = h.platform
	}
	h.slot[slot] = f
	h.route()
}

// Remove takes the function out of a slot, if there is one: nobody can reach it any more,
// but for an access that has begun, and it sends no interrupt. It is of no use then.
func (h *Host) Remove(slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.slot[slot]
	if f == nil {
		return
	}
	f.gone, f.intx = true, false
	h.drive(f)
	clear(f.config[regCommand : regCommand+2]) // nothing is decoded
	if f.msix != nil {
		f.msix.control(0, false)
	}
	h.route()
	h.slot[slot] = nil
}

// route decides anew who answers which part of the apertures, and tells functions
// what has changed for them.
func (h *Host) route() {
	h.io, h.mem = new(bus.Bus[uint64]), new(bus.Bus[uint64])
	for _, f := range h.slot {
		if f == nil {
			continue
		}
		for n := range f.bar {
			b := &f.bar[n]
			at, on := f.address(n)
			space, first, size := h.mem, uint64(MemBase), uint64(MemSize)
			if b.io {
				space, first, size = h.io, IOBase, IOSize
			}
			on = on && at >= first && at-first <= size-uint64(b.size) && space.Add(at, uint64(b.size), b.dev) == nil
			if on == b.ok && (!on || at == b.at) {
				continue
			}
			b.at, b.ok = at, on
			if f.Moved != nil {
				f.Moved(n, at, on)
			}
		}
	}
}

// drive brings f's interrupt pin to its line.
func (h *Host) drive(f *Function) {
	f.config[regStatus] &^= statusINTx
	if f.intx {
		f.config[regStatus] |= statusINTx
	}
	up := f.intx && f.command()&commandNoINTx == 0
	if up == f.up {
		return
	}
	f.up = up
	n := &h.high[f.gsi]
	before := *n
	if up {
		*n++
	} else {
		*n--
	}
	if (before == 0) != (*n == 0) {
		h.platform.Line(FirstGSI + uint32(f.gsi)).Set(up)
	}
}

// find returns the function in a slot, and the device
// that answers the register in its place, if there is one.
func (h *Host) find(slot, reg int, size uint8) (f *Function, window bus.Device) {
	f = h.slot[slot]
	if f != nil && f.window != nil && reg >= f.windowAt && reg+int(size) <= f.windowAt+4 {
		window = f.window
	}
	return f, window
}

// configRead reads size bytes, 4 at most, of a configuration space.
func (h *Host) configRead(slot, reg int, size uint8, now uint64) uint64 {
	v, f, window := h.registerRead(slot, reg, size)
	if window != nil {
		return window.Read(uint64(reg-f.windowAt), size, now)
	}
	return v
}

func (h *Host) registerRead(slot, reg int, size uint8) (v uint64, f *Function, window bus.Device) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v = ones
	if f, window = h.find(slot, reg, size); f != nil {
		v = f.read(reg, size)
	}
	return v, f, window
}

// configWrite writes size bytes, 4 at most, of a configuration space.
func (h *Host) configWrite(slot, reg int, size uint8, val, now uint64) {
	if f, window := h.registerWrite(slot, reg, size, val); window != nil {
		window.Write(uint64(reg-f.windowAt), size, val, now)
	}
}

func (h *Host) registerWrite(slot, reg int, size uint8, val uint64) (*Function, bus.Device) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, window := h.find(slot, reg, size)
	if f != nil {
		f.write(reg, size, val)
		if reg < regBAR+4*bars && reg+int(size) > regCommand {
			h.drive(f)
			h.route()
		}
		if f.msix != nil {
			f.msix.control(f.config[f.msix.at+3], f.command()&commandMaster != 0)
		}
	}
	return f, window
}
