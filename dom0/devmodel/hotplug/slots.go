// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hotplug

import (
	"math/bits"

	"ringo/hv/bus"
)

// Offsets of the registers from SlotBase.
const (
	regCome      = 0
	regGiveBack  = 4
	regGone      = 8
	regSlotEject = 12
)

// slotBits is a bit for each slot: those with a function, and what the registers read.
type slotBits struct{ full, come, giveBack, gone uint32 }

// Fill says that there is a function in a slot. Where tell is set the guest is told: it
// was not there when the machine started.
func (d *Device) Fill(slot int, tell bool) {
	bit := uint32(1) << slot
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.slots
	s.full |= bit
	s.giveBack &^= bit
	if tell {
		s.come |= bit
		d.raise(SlotEvent)
	}
}

// Request asks the guest to give back the function in a slot.
func (d *Device) Request(slot int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slots.giveBack |= d.slots.full & (1 << slot)
	d.raise(SlotEvent)
}

// Empty says that there is no function in a slot any more, and that the guest does not
// know.
func (d *Device) Empty(slot int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slots.empty(1 << slot)
	d.slots.gone |= 1 << slot
	d.raise(SlotEvent)
}

func (s *slotBits) empty(bit uint32) {
	s.full &^= bit
	s.come &^= bit
	s.giveBack &^= bit
}

// slots is the registers of slots.
type slots struct{ *Device }

// Slots returns the SlotSize ports at SlotBase.
func (d *Device) Slots() bus.Device { return slots{d} }

// Read reads a register, or a part of one.
func (p slots) Read(off uint64, _ uint8, _ uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := uint32(0)
	switch off &^ 3 {
	case regCome:
		v = p.slots.come
	case regGiveBack:
		v = p.slots.giveBack
	case regGone:
		v = p.slots.gone
	}
	return uint64(v >> (8 * (off & 3)))
}

// Write writes a whole register.
func (p slots) Write(off uint64, size uint8, val, _ uint64) {
	if size != 4 {
		return
	}
	v := uint32(val)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.slots
	switch off {
	case regCome:
		s.come &^= v
	case regGiveBack:
		s.giveBack &^= v
	case regGone:
		s.gone &^= v
	case regSlotEject:
		for m := v & s.full; m != 0; m &= m - 1 {
			slot := bits.TrailingZeros32(m)
			s.empty(1 << slot)
			p.plug.Eject(slot)
		}
	}
}
