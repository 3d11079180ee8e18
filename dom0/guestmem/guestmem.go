// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package guestmem is the RAM of a guest as dom0 sees it: by guest physical
// address, for as long as a pin holds it.
//
// What a hostile guest can do here:
//
//	name addresses that are no RAM    -> RAM returns nothing
//	name a range that wraps           -> what lies before the end of the RAM
//	change RAM while dom0 reads it    -> its business: whoever reads twice must
//	                                     not trust that both are the same
//	die while dom0 uses its RAM       -> Close waits for the pins, and only then
//	                                     does the hypervisor take the RAM back
package guestmem

import (
	"slices"
	"sync"
	"sync/atomic"

	"ringo/drivers/dma"
)

// Extent is RAM at [GPA, GPA+len(Bytes)), which devices of the machine find at Bus.
type Extent struct {
	GPA   uint64
	Bus   uint64
	Bytes []byte
}

// Memory is the RAM of a guest. Its methods are safe for concurrent use.
type Memory struct {
	extents []Extent      // by GPA, disjoint
	last    atomic.Uint32 // the extent that was found last: most often it is the next one as well

	mu     sync.Mutex // guards what follows
	idle   *sync.Cond // pins is 0
	pins   int
	closed bool
}

// New returns the memory that is made of extents, which must be disjoint.
func New(extents []Extent) *Memory {
	m := &Memory{extents: slices.Clone(extents)}
	slices.SortFunc(m.extents, func(a, b Extent) int {
		if a.GPA < b.GPA {
			return -1
		}
		return 1
	})
	m.idle = sync.NewCond(&m.mu)
	return m
}

// RAM returns the RAM at a: at least one byte, at most n, and fewer than n where
// it is not contiguous in dom0. It returns nil when a is not RAM, or n is 0.
//
// Preconditions: a pin is held for as long as the slice is used.
func (m *Memory) RAM(a, n uint64) []byte { return m.Segment(a, n).Bytes }

// Segment is RAM, for devices of the machine as well.
func (m *Memory) Segment(a, n uint64) (s dma.Segment) {
	if i := int(m.last.Load()); i < len(m.extents) && n != 0 {
		e := &m.extents[i]
		if off, size := a-e.GPA, uint64(len(e.Bytes)); off < size { // what lies before wraps
			end := off + min(n, size-off)
			return dma.Segment{Addr: e.Bus + off, Bytes: e.Bytes[off:end:end]}
		}
	}
	return m.search(a, n)
}

// search is Segment for an extent that was not the last.
func (m *Memory) search(a, n uint64) (s dma.Segment) {
	lo, hi := 0, len(m.extents)
	for lo < hi { // the first extent that begins behind a
		mid := int(uint(lo+hi) >> 1)
		if m.extents[mid].GPA <= a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 || n == 0 {
		return s
	}
	e := &m.extents[lo-1]
	off, size := a-e.GPA, uint64(len(e.Bytes))
	if off >= size {
		return s
	}
	m.last.Store(uint32(lo - 1))
	end := off + min(n, size-off)
	return dma.Segment{Addr: e.Bus + off, Bytes: e.Bytes[off:end:end]}
}

// Pin keeps the RAM until Unpin. It reports false, and does nothing, when the
// guest is going.
func (m *Memory) Pin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.pins++
	return true
}

// Unpin gives up a pin.
func (m *Memory) Unpin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins--; m.pins == 0 {
		m.idle.Broadcast()
	}
}

// Close lets no more pins be taken and waits until there are none.
func (m *Memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for m.pins > 0 {
		m.idle.Wait()
	}
}
