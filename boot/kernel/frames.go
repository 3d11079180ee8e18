// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

// pool is the physical memory that belongs to the Go runtime and this layer:
// one contiguous range. Freed frames are linked through their first word. All
// fields are under mmlock; before the runtime starts there is one CPU.
type pool struct {
	start, end uint64 // physical
	next       uint64 // first frame never used
	free       uint64 // first freed frame, 0 none
	freeCount  uint64

	// Frames by use, without what is free.
	data, tables, kernel uint64
}

var frames pool

//go:nosplit
func (p *pool) init(start, end uint64) {
	p.start = (start + pageSize - 1) &^ (pageSize - 1)
	p.end = end &^ (pageSize - 1)
	p.next = p.start
}

// alloc returns a cleared frame, or 0 when there is none. The caller counts it.
//
//go:nosplit
func (p *pool) alloc() uint64 {
	f := p.free
	if f != 0 {
		p.free = *p64(frameAt(f))
		p.freeCount--
	} else {
		if p.next >= p.end {
			return 0
		}
		f = p.next
		p.next += pageSize
	}
	stosq(frameAt(f), pageSize/8, 0)
	return f
}

// release gives a frame back. The caller counts it, and has made sure that no
// TLB knows it.
//
//go:nosplit
func (p *pool) release(f uint64) {
	*p64(frameAt(f)) = p.free
	p.free = f
	p.freeCount++
}
