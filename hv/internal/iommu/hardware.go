// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package iommu decides which memory the machine's devices reach: none, unless
// somebody has attached one to a [Space]. It knows the units through [Hardware] only,
// which ringo/hv/internal/vtd and ringo/hv/internal/amdvi implement.
//
//	boot:   every requester is denied, then translation is on
//	        memory that firmware's tables name for a function -> a space of its own
//	fault:  log, bus mastering off, detach -> invalidate -> mark -> done -> tables freed
//
// A frame that a space maps, or that its tables are made of, is freed only after the
// units have said that they have forgotten it: [Hardware.Mark] and [Hardware.Done].
package iommu

import (
	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/pt"
)

// Hardware is all IOMMUs of a machine. From Enable on every access of a device that is
// not attached is refused. Methods are called one at a time.
type Hardware interface {
	// Enable turns translation on. On an error nothing is translated.
	Enable() error
	// Format is that of the tables to attach, which every unit understands; they lie
	// in Memory, which the units see as it is written.
	Format() *pt.Format
	Memory() phys.Memory
	// Tags is how many address spaces there can be; they are numbered from 1.
	Tags() int

	// Attach gives a requester the tables at root; what the units remember of them
	// is kept under a tag, which names these tables only. Deny takes all memory from it.
	// Memory of the units' own may be missing for Attach.
	//
	// Preconditions of Attach: the requester is denied, and a mark since then is done.
	Attach(a abi.PCIAddr, root mm.HPA, tag uint16) error
	Deny(a abi.PCIAddr)
	// Flush makes the units forget the translations of a tag.
	Flush(tag uint16)

	// Mark returns a mark behind all changes so far; when it is done, no unit
	// remembers what was before. A unit that has stopped answering never is.
	Mark() uint32
	Done(mark uint32) bool

	// Remaps reports whether devices cannot forge interrupts. Pin returns the entry
	// of an I/O APIC, by its ID in the MADT, that raises a vector at the CPU with an
	// APIC ID: active high, and edge-triggered unless level. It reports false when there
	// is none.
	Remaps() bool
	Pin(chip, vector uint8, apic uint32, level bool) (low, high uint32, ok bool)
	// Message returns the message by which a function, and no other, raises a vector
	// at the CPU with an APIC ID; Silence ends that. A vector has one message or pin.
	Message(a abi.PCIAddr, vector uint8, apic uint32) (addr, data uint32, ok bool)
	Silence(a abi.PCIAddr, vector uint8)

	// Faults calls f for each access that was refused since the last call, as far as
	// the units have a record.
	Faults(f func(Fault))

	// String is a few words for the log and info.
	String() string
}

// Registers are those of one unit, in memory.
type Registers interface {
	Load32(reg uint32) uint32
	Store32(reg, v uint32)
	Load64(reg uint32) uint64
	Store64(reg uint32, v uint64)
}

// Host is what units need of the hypervisor.
type Host struct {
	// Memory is physical memory; WriteBack writes what the caches have of n bytes
	// at a back to it.
	Memory    phys.Memory
	WriteBack func(a mm.HPA, n uint64)
	// Pages returns n cleared contiguous pages, aligned to n rounded up to a power
	// of two, for good.
	Pages func(n int) (mm.HPA, error)
	// Within calls done until it reports true; false: it did not for a second.
	Within func(done func() bool) bool
}

// Fault is an access that was refused, or what else a unit has to say.
type Fault struct {
	// From is who made it. Known: it is a requester, not the unit itself.
	From  abi.PCIAddr
	Known bool
	// Interrupt: it was a message to raise an interrupt, and Addr is its index.
	Interrupt bool
	Write     bool
	Addr      uint64
	// Reason is a few words; Code the unit's number for it.
	Reason string
	Code   uint8
	// Lost: there were more, of which there is no record.
	Lost bool
}

// snooped is memory that caches hold back from units that do not look there.
type snooped struct {
	phys.Memory
	writeBack func(a mm.HPA, n uint64)
}

// WrittenBack is memory of a host that is written back as soon as it is written: for
// tables of units that do not snoop.
func WrittenBack(h *Host) phys.Memory { return &snooped{h.Memory, h.WriteBack} }

func (m *snooped) Store64(a mm.HPA, v uint64) {
	m.Memory.Store64(a, v)
	m.writeBack(a, 8)
}

func (m *snooped) CompareAndSwap64(a mm.HPA, old, new uint64) bool {
	ok := m.Memory.CompareAndSwap64(a, old, new)
	m.writeBack(a, 8)
	return ok
}

func (m *snooped) Zero(a mm.HPA, n uint64) {
	m.Memory.Zero(a, n)
	m.writeBack(a, n)
}

func (m *snooped) Write(a mm.HPA, b []byte) {
	m.Memory.Write(a, b)
	m.writeBack(a, uint64(len(b)))
}

// PinLevel is, of the low half of an I/O APIC's entry, that its pin is level-triggered.
const PinLevel = 1 << 15
