// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package bus is how virtual devices meet: disjoint address ranges mapped to
// device handlers, interrupt lines and messages, and time. There is one
// [Bus] for ports and one for guest physical addresses per partition.
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
// exit path: they neither block nor allocate. They may run on several CPUs at
// once.
//
// now is when the guest made the access: the host's TSC, as the entry code read
// it after the exit. It lies between any two readings of its own TSC that the
// guest makes before and after the access. Devices have no other clock. Accesses
// from several CPUs need not come in the order of their times.
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

// span is a registered range; last is its last byte, so that a range may end
// at the top of the address space.
type span struct {
	first, last uint64
	dev         Device
}

// Bus maps addresses of space A to devices. The zero value is an empty bus.
//
// Add is for the thread that builds the partition. After Freeze, Find may be
// called from any number of CPUs.
type Bus[A Address] struct {
	spans  []span // sorted, disjoint
	frozen bool
	ports  *portIndex // after Freeze of a space of 64 Ki addresses, else nil
}

// portIndex finds the span of a port in two steps: by its high byte a page, and
// in it the span by its low byte; nil where nothing is.
type portIndex [256]*[256]*span

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
	b.spans = slices.Insert(b.spans, i, span{first, last, dev})
	return nil
}

// Freeze ends registration. It must happen before the first vCPU runs.
func (b *Bus[A]) Freeze() {
	if b.frozen {
		return
	}
	b.frozen = true
	if uint64(^A(0)) == 0xffff {
		b.ports = newPortIndex(b.spans)
	}
}

func newPortIndex(spans []span) *portIndex {
	x := new(portIndex)
	for i := range spans {
		s := &spans[i]
		for p := s.first; p <= s.last; p++ {
			page := &x[p>>8]
			if *page == nil {
				*page = new([256]*span)
			}
			(*page)[p&0xff] = s
		}
	}
	return x
}

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

// Find returns the device whose range holds all size bytes from addr, and the
// offset of addr in that range. An access of size 0 finds nothing.
func (b *Bus[A]) Find(addr A, size uint8) (dev Device, off uint64, ok bool) {
	a := uint64(addr)
	var s *span
	if b.ports != nil {
		page := b.ports[uint8(a>>8)]
		if page == nil {
			return nil, 0, false
		}
		s = page[uint8(a)]
	} else if i := b.index(a); i < len(b.spans) && b.spans[i].first <= a {
		s = &b.spans[i]
	}
	// An access of size 0 is a huge one here.
	if s == nil || uint64(size)-1 > s.last-a {
		return nil, 0, false
	}
	return s.dev, a - s.first, true
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
