// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package bus is how virtual devices meet, those of the hypervisor and those of
// dom0: disjoint address ranges mapped to device handlers, interrupt lines and
// messages, and time. There is one [Bus] for guest physical addresses per
// partition, and [Ports] for its ports.
//
// What a hostile guest can do here:
//
//	access any address with any size  -> at most one device sees it, with an
//	                                     offset inside its range; else Find
//	                                     says so and hv forwards the access
//	straddle the end of a range       -> not found: no device sees half of it
//	race from several vCPUs           -> the table is frozen before the first
//	                                     vCPU runs, so Find only reads
package bus

import (
	"errors"
	"slices"
)

// Device answers accesses to a range of a bus. off is relative to the start of
// the registered range, size is 1, 2, 4 or 8 bytes. Methods run on the vCPU's
// exit path, or on the thread that serves all guests: they neither block nor
// allocate. They may run on several CPUs at once.
//
// now is when the guest made the access: the host's TSC, as the entry code read
// it after the exit. It lies between any two readings of its own TSC that the
// guest makes before and after the access. Devices in the hypervisor have no
// other clock. Accesses from several CPUs need not come in the order of their
// times.
type Device interface {
	Read(off uint64, size uint8, now uint64) uint64
	Write(off uint64, size uint8, val, now uint64)
}

// Address is an address space: uint16 for ports, mm.GPA for memory.
type Address interface{ ~uint16 | ~uint64 }

// Errors of registration.
var (
	ErrRange   = errors.New("bus: range is empty or leaves the address space")
	ErrOverlap = errors.New("bus: range overlaps another device")
	ErrFrozen  = errors.New("bus: partition has started")
)

// Span is a registered range; last is its last byte, so that a range may end
// at the top of the address space.
type Span struct {
	Dev         Device
	first, last uint64
}

// Bus maps addresses of space A to devices. The zero value is an empty bus.
//
// Add is for the thread that builds the partition. After Freeze, Find may be
// called from any number of CPUs.
type Bus[A Address] struct {
	spans  []Span // sorted, disjoint
	frozen bool
}

// Add registers dev for size bytes from start.
func (b *Bus[A]) Add(start A, size uint64, dev Device) error {
	if b.frozen {
		return ErrFrozen
	}
	first := uint64(start)
	if size == 0 || size-1 > uint64(^A(0))-first {
		return ErrRange
	}
	last := first + size - 1
	i := b.index(first)
	if i < len(b.spans) && b.spans[i].first <= last {
		return ErrOverlap
	}
	b.spans = slices.Insert(b.spans, i, Span{dev, first, last})
	return nil
}

// Freeze ends registration. It must happen before the first vCPU runs.
func (b *Bus[A]) Freeze() { b.frozen = true }

// Overlaps reports whether any of the size bytes from start belongs to a
// device, or the range is not one that Add would take.
func (b *Bus[A]) Overlaps(start A, size uint64) bool {
	first := uint64(start)
	if size == 0 || size-1 > uint64(^A(0))-first {
		return true
	}
	i := b.index(first)
	return i < len(b.spans) && b.spans[i].first <= first+size-1
}

// Covers reports whether the size bytes from start lie within one range of dev.
func (b *Bus[A]) Covers(start A, size uint64, dev Device) bool {
	first := uint64(start)
	i := b.index(first)
	return size != 0 && i < len(b.spans) && b.spans[i].first <= first && size-1 <= b.spans[i].last-first &&
		b.spans[i].Dev == dev
}

// Find returns the device whose range holds all size bytes from addr, and the
// offset of addr in that range. An access of size 0 finds nothing.
func (b *Bus[A]) Find(addr A, size uint8) (dev Device, off uint64, ok bool) {
	a := uint64(addr)
	i := b.index(a)
	if i == len(b.spans) || b.spans[i].first > a {
		return nil, 0, false
	}
	s := &b.spans[i]
	// An access of size 0 is a huge one here.
	if uint64(size)-1 > s.last-a {
		return nil, 0, false
	}
	return s.Dev, a - s.first, true
}

// index returns the number of spans that end before a.
func (b *Bus[A]) index(a uint64) int {
	lo, hi := 0, len(b.spans)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if b.spans[mid].last < a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
