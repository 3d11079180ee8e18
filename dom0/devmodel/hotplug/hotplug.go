// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package hotplug is the device by which processors and PCI functions are plugged into a
// machine that runs, and taken out of it: a block of general-purpose events (ACPI 6.5,
// "General-Purpose Event Register Blocks") with an event for each of the two, and
// registers that the machine's AML reads when the event comes and when an operating system
// asks for, ejects or reports on one. A third event, without registers, says that the
// machine is another one now: a copy, or what it was before (its generation). The
// registers are this machine's own: only the AML knows them. Five have a bit for every
// processor:
//
//	Present   processors that are there
//	Inserted  processors that have come, or are to be looked at; a 1 written clears
//	Remove    processors that the system is asked to give back; a 1 written clears
//	Eject     written: these processors are given back
//	Report    written: number, and from bits 8 and 16 on the event and the status, of
//	          what the system has done (ACPI 6.5, "_OST (OSPM Status Indication)")
//
// Four have one for every slot of the PCI bus:
//
//	Inserted  slots into which a function has come; a 1 written clears
//	Remove    slots whose function the system is asked to give back; a 1 written clears
//	Gone      slots that are empty without that; a 1 written clears
//	Eject     written: the functions of these slots are given back
//
// # Threats
//
//	guest does                        model does
//	--------------------------------  -------------------------------------------
//	ejects what it was not asked for  it is without it until it is plugged again
//	ejects processor 0, or none       nothing: the first one stays
//	ejects slots that are empty       nothing
//	any width, any offset             parts of registers read, are not written
//	leaves the event pending          its own interrupt storm, one per EOI
//	reports nonsense                  a refusal is shown to who has asked, once
//	overwrites its generation         only it reads that: the toolstack has its own
package hotplug

import (
	"math/bits"
	"sync"

	"ringo/hv/bus"
)

// Where the registers are, in ports, and which events there are.
const (
	EventBase = 0x620 // 16 status bits, 16 enable bits
	EventSize = 4
	Event     = 2 // of processors
	SlotEvent = 3
	// GenerationEvent is for a new generation identifier.
	GenerationEvent = 4
	allEvents       = 1<<Event | 1<<SlotEvent | 1<<GenerationEvent

	Base = 0x630
	Size = 5 * 4

	SlotBase = 0x650
	SlotSize = 4 * 4
)

// Offsets of the registers from Base.
const (
	regPresent  = 0
	regInserted = 4
	regRemove   = 8
	regEject    = 12
	regReport   = 16
)

// What a system reports: the events, and the status of an ejection that goes on
// (ACPI 6.5, "Processing Sequence for Graceful Shutdown Request" and following).
const (
	eventEject     = 3 // of 0x103, which is the ejection, as well
	statusEjecting = 0x84
)

// Plugger does what the device says to a virtual processor, and to what the guest has
// ejected from a slot. It is called with a lock of the device held.
type Plugger interface {
	Plug(cpu int)
	Unplug(cpu int)
	Eject(slot int)
}

// Device is the registers. Its methods are safe for concurrent use.
type Device struct {
	line bus.Line
	plug Plugger

	mu       sync.Mutex
	status   uint16 // of events
	enable   uint16
	present  uint32
	inserted uint32
	remove   uint32
	refused  uint32
	slots    slotBits
}

// New makes the device of a machine that has the processors present, bits by their
// numbers, and nothing in its slots. line is the interrupt of ACPI events.
func New(present uint32, line bus.Line, plug Plugger) *Device {
	return &Device{line: line, plug: plug, present: present}
}

// Listens reports whether the guest has enabled an event, as a system does that knows
// ACPI.
func (d *Device) Listens(event int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.enable>>event&1 != 0
}

// Ask plugs the processors want in, has the guest look at those of them that do not
// run, and asks it to give back all others. Processor 0 is there in any case.
func (d *Device) Ask(want, running uint32) {
	want |= 1
	d.mu.Lock()
	defer d.mu.Unlock()
	for m := want &^ d.present; m != 0; m &= m - 1 {
		d.plug.Plug(bits.TrailingZeros32(m))
	}
	d.present |= want
	d.inserted = want &^ running
	d.remove = d.present &^ want
	d.refused = 0
	if d.inserted|d.remove != 0 {
		d.raise(Event)
	}
}

// Refused returns the processors that the guest has refused to give back since it was
// asked last.
func (d *Device) Refused() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

// Renewed tells the guest that it has another generation identifier.
func (d *Device) Renewed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raise(GenerationEvent)
}

// raise is for an event. Preconditions: d.mu is held.
func (d *Device) raise(event int) {
	d.status |= 1 << event
	d.signal()
}

// signal drives the interrupt. Preconditions: d.mu is held.
func (d *Device) signal() { d.line.Set(d.status&d.enable != 0) }

// events is the block of events.
type events struct{ *Device }

// Events returns the block of EventSize ports at EventBase.
func (d *Device) Events() bus.Device { return events{d} }

// Read reads the registers as bytes in a row.
func (e events) Read(off uint64, _ uint8, _ uint64) uint64 {
	e.mu.Lock()
	v := uint64(e.status) | uint64(e.enable)<<16
	e.mu.Unlock()
	return v >> (8 * off & 63)
}

// Write writes them as bytes in a row: a 1 clears a bit of status.
func (e events) Write(off uint64, size uint8, val, _ uint64) {
	if off >= EventSize {
		return
	}
	mask := uint32(1<<(8*uint64(size))-1) << (8 * off)
	v := uint32(val) << (8 * off) & mask
	e.mu.Lock()
	e.status &^= uint16(v)
	e.enable = (e.enable&^uint16(mask>>16) | uint16(v>>16)) & allEvents
	e.signal()
	e.mu.Unlock()
}

// processors is the registers of processors.
type processors struct{ *Device }

// Processors returns the Size ports at Base.
func (d *Device) Processors() bus.Device { return processors{d} }

// Read reads a register, or a part of one.
func (p processors) Read(off uint64, _ uint8, _ uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := uint32(0)
	switch off &^ 3 {
	case regPresent:
		v = p.present
	case regInserted:
		v = p.inserted
	case regRemove:
		v = p.remove
	}
	return uint64(v >> (8 * (off & 3)))
}

// Write writes a whole register.
func (p processors) Write(off uint64, size uint8, val, _ uint64) {
	if size != 4 {
		return
	}
	v := uint32(val)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch off {
	case regInserted:
		p.inserted &^= v
	case regRemove:
		p.remove &^= v
	case regEject:
		for m := v & p.present &^ 1; m != 0; m &= m - 1 {
			cpu := bits.TrailingZeros32(m)
			p.present &^= 1 << cpu
			p.inserted &^= 1 << cpu
			p.refused &^= 1 << cpu
			p.plug.Unplug(cpu)
		}
	case regReport:
		if status := uint8(v >> 16); uint8(v>>8) == eventEject && status != 0 && status != statusEjecting {
			p.refused |= p.present & (1 << (v & 31))
		}
	}
}
