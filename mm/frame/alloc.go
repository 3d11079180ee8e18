// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"math/bits"

	"ringo/mm"
)

// Block is memory that was allocated. It must go through [Pool.Scrub] before
// anybody but the hypervisor can read it.
type Block struct {
	Start mm.HPA
	Size  uint64 // bytes
	dirty uint64 // as many bytes from Start on may have old contents
}

// Request describes contiguous memory.
type Request struct {
	Size  uint64 // bytes, a multiple of 4 KiB
	Align uint64 // of Start: a power of two from 4 KiB to 1 GiB; 0 is 4 KiB
	Below mm.HPA // the last byte is below this address; 0 is no limit
	Low   bool   // the lowest addresses rather than the best fit, high up
}

// Pages returns n contiguous cleared pages, 1 to 512, aligned to n rounded up
// to a power of two.
func (p *Pool) Pages(n int, o Owner, t Type) (mm.HPA, error) {
	if n < 1 || n > Step/mm.PageSize {
		return 0, ErrRange
	}
	b, err := p.alloc(n, ceilLog2(n), 0, false, o, t)
	for p.Scrub(&b) {
	}
	return b.Start, err
}

// Extent returns memory for the guest physical addresses from gpa on: as much
// as the largest power-of-two block gives that is not larger than size, not
// better aligned than gpa, and available. So every page size that the block
// allows, the two addresses allow too.
//
// Preconditions: gpa and size are multiples of 4 KiB.
func (p *Pool) Extent(gpa mm.GPA, size uint64, o Owner, t Type) (Block, error) {
	if size == 0 || size%mm.PageSize != 0 || !mm.Aligned(gpa, mm.PageSize) {
		return Block{}, ErrRange
	}
	order := bits.Len64(size/mm.PageSize) - 1
	order = min(order, bits.TrailingZeros64(uint64(gpa)/mm.PageSize|sectionFrames))
	for ; order >= 0; order-- {
		if b, err := p.alloc(1<<order, order, 0, false, o, t); err == nil {
			return b, nil
		}
	}
	return Block{}, ErrNoMemory
}

// Contiguous returns one block for r. When no single buddy block serves, it
// searches all free blocks: it is for dom0's memory and for DMA at boot, not
// for every day.
func (p *Pool) Contiguous(r Request, o Owner, t Type) (Block, error) {
	r.Align = max(r.Align, mm.PageSize)
	if r.Size == 0 || r.Size%mm.PageSize != 0 || bits.OnesCount64(r.Align) != 1 ||
		r.Align > sectionSize || r.Size > uint64(mm.MaxHPA) {
		return Block{}, ErrRange
	}
	n := int(r.Size / mm.PageSize)
	align := int(r.Align / mm.PageSize)
	if order := max(ceilLog2(n), ceilLog2(align)); order <= MaxOrder {
		if b, err := p.alloc(n, order, r.Below, r.Low, o, t); err == nil {
			return b, nil
		}
	}
	checkOwner(o, t)
	p.mu.Lock()
	f, ok := p.scan(n, align, p.limit(r.Below))
	if !ok {
		p.mu.Unlock()
		return Block{}, ErrNoMemory
	}
	clean := p.carve(f, n)
	p.charge(n, o, t)
	p.mu.Unlock()
	return p.hand(f, n, clean, o, t), nil
}

// alloc allocates n <= 2^order frames aligned to 2^order below an address.
func (p *Pool) alloc(n, order int, below mm.HPA, low bool, o Owner, t Type) (Block, error) {
	checkOwner(o, t)
	p.mu.Lock()
	f, clean, ok := p.take(n, order, p.limit(below), low)
	if !ok {
		p.mu.Unlock()
		return Block{}, ErrNoMemory
	}
	p.charge(n, o, t)
	p.mu.Unlock()
	return p.hand(f, n, clean, o, t), nil
}

// charge books n frames from the free ones to an owner. It needs p.mu.
func (p *Pool) charge(n int, o Owner, t Type) {
	p.freeFrames -= n
	p.credit(account{o, t}, n)
}

// hand marks frames that were taken out of the free ones. The lock is not
// needed: until they are marked, nobody can tell whose they are.
func (p *Pool) hand(f, n int, clean bool, o Owner, t Type) Block {
	b := Block{Start: p.addr(f), Size: uint64(n) * mm.PageSize}
	if !clean {
		b.dirty = b.Size
	} else if mm.Invariants {
		p.unpoison(b.Start, b.Size)
	}
	p.mark(f, n, word(o, t, 1))
	return b
}

// Scrub clears up to [Step] bytes of b that may have old contents and reports
// whether there is more to do.
func (p *Pool) Scrub(b *Block) (more bool) {
	n := min(b.dirty, Step)
	if n > 0 {
		b.dirty -= n
		p.m.Zero(b.Start+mm.HPA(b.dirty), n)
	}
	return b.dirty > 0
}

func checkOwner(o Owner, t Type) {
	if o == Free || o == Lent || t == 0 || t > 15 {
		panic("frame: impossible owner or type")
	}
}

// ceilLog2 returns the smallest k with 1<<k >= n, for n > 0.
func ceilLog2(n int) int { return bits.Len(uint(n - 1)) }

// Tables allocates frames for page tables in an owner's name. It implements
// pt.Allocator.
type Tables struct {
	p *Pool
	o Owner
}

// Tables returns an allocator of page tables that o is charged for.
func (p *Pool) Tables(o Owner) Tables { return Tables{p, o} }

// AllocTable implements pt.Allocator. The frame has any contents.
func (t Tables) AllocTable() (mm.HPA, error) {
	b, err := t.p.alloc(1, 0, 0, false, t.o, Table)
	return b.Start, err
}

// FreeTable implements pt.Allocator.
func (t Tables) FreeTable(a mm.HPA) { t.p.Free(a, mm.PageSize, t.o) }
