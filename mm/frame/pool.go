// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame

import (
	"slices"
	"sync"
	"sync/atomic"

	"ringo/mm"
	"ringo/mm/phys"
)

// Memory is physical memory part of which can be had as a slice, as
// phys.Direct offers it.
type Memory interface {
	phys.Memory
	Words(a mm.HPA, n uint64) []uint32
}

const (
	sectionFrames = 1 << MaxOrder
	sectionSize   = sectionFrames * mm.PageSize
)

// Pool is the allocator. Its methods may be called on any CPU, but not on the
// VM-exit path.
type Pool struct {
	m     phys.Memory
	bases []mm.HPA // of the sections, ascending
	words []uint32 // one per frame, accessed atomically

	// mu is the innermost lock: it is taken under those of domains and page
	// tables, nothing is locked under it, and it is held for short work only.
	mu sync.Mutex
	// free[k] holds the free blocks of order k by frame index >> k.
	free [MaxOrder + 1]bitmap
	// freeFrames and used count frames; together they are all of total.
	freeFrames int
	total      int
	used       map[account]int
	types      [Failed + 1]int // of all owners
	// failing are the frames in use that are retired when they are freed, in
	// ascending order; marked is how many.
	failing []int
	marked  atomic.Uint32
}

type account struct {
	o Owner
	t Type
}

// sections returns the bases of the sections that ram touches.
func sections(ram []mm.Range[mm.HPA]) (bases []mm.HPA, err error) {
	var seen mm.Set[mm.HPA]
	for _, r := range ram {
		if r.Empty() || r.AlignIn(mm.PageSize) != r || r.Last() >= mm.MaxHPA {
			return nil, ErrRange
		}
		seen.Add(r.AlignOut(sectionSize))
	}
	for _, r := range seen.Ranges() {
		for n := uint64(0); n < r.Size; n += sectionSize {
			bases = append(bases, r.Start+mm.HPA(n))
		}
	}
	if len(bases) == 0 {
		return nil, ErrRange
	}
	return bases, nil
}

// metaWords is the number of metadata words for n sections.
func metaWords(n int) (words int) {
	frames := n * sectionFrames
	words = frames
	for k := range MaxOrder + 1 {
		words += bitmapWords(frames >> k)
	}
	return words
}

// MetaBytes is the size of the metadata for a pool over ram.
func MetaBytes(ram []mm.Range[mm.HPA]) (uint64, error) {
	bases, err := sections(ram)
	return 4 * uint64(metaWords(len(bases))), err
}

// New returns an empty pool that can take the memory of ram by [Pool.Add]. Its
// metadata goes to meta, of at least [MetaBytes] bytes, which the pool clears
// and keeps. ram consists of whole pages in any order.
func New(m phys.Memory, ram []mm.Range[mm.HPA], meta []uint32) (*Pool, error) {
	bases, err := sections(ram)
	if err != nil {
		return nil, err
	}
	n := metaWords(len(bases))
	if len(meta) < n {
		return nil, ErrNoMemory
	}
	meta = meta[:n]
	clear(meta)
	frames := len(bases) * sectionFrames
	p := &Pool{m: m, bases: bases, used: map[account]int{}}
	p.words, meta = meta[:frames:frames], meta[frames:]
	for k := range p.free {
		p.free[k], meta = newBitmap(frames>>k, meta)
	}
	return p, nil
}

// Boot returns a pool that holds usable, with its metadata in the highest
// range of usable that has room for it.
func Boot(m Memory, usable []mm.Range[mm.HPA]) (*Pool, error) {
	size, err := MetaBytes(usable)
	if err != nil {
		return nil, err
	}
	size = mm.AlignUp(size, mm.PageSize)
	var meta mm.Range[mm.HPA]
	for _, r := range usable {
		if r.Size >= size && r.Start >= meta.Start {
			meta = mm.Range[mm.HPA]{Start: r.Start + mm.HPA(r.Size-size), Size: size}
		}
	}
	if meta.Empty() {
		return nil, ErrNoMemory
	}
	p, err := New(m, usable, m.Words(meta.Start, meta.Size/4))
	if err != nil {
		return nil, err
	}
	for _, r := range usable {
		below, above := r.Subtract(meta)
		for _, part := range [...]mm.Range[mm.HPA]{below, above} {
			if part.Empty() {
				continue
			}
			if err := p.add(part, false); err != nil {
				return nil, err
			}
		}
	}
	f, _ := p.index(meta.Start)
	n := int(meta.Size / mm.PageSize)
	p.mark(f, n, word(HV, Meta, 1))
	p.total += n
	p.credit(account{HV, Meta}, n)
	return p, nil
}

// Add puts more memory, of unknown contents, into the pool: whole pages within
// the ranges that were given to [New]. It may be memory that was in use since
// power-on, such as boot modules.
func (p *Pool) Add(r mm.Range[mm.HPA]) error {
	if r.Empty() || r.AlignIn(mm.PageSize) != r {
		return ErrRange
	}
	return p.add(r, true)
}

// add is Add; with look, it makes sure that none of r is in use, in a time
// that is linear in r.
func (p *Pool) add(r mm.Range[mm.HPA], look bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// First look, then insert: an Add that fails has changed nothing.
	for _, insert := range [...]bool{false, true} {
		for a, left := r.Start, r.Size; left > 0; {
			n := min(left, sectionSize-uint64(a)%sectionSize)
			f, ok := p.index(a)
			frames := int(n / mm.PageSize)
			if !ok || p.anyFree(f, frames) || (look || mm.Invariants) && p.anyUsed(f, frames) {
				return ErrRange
			}
			if insert {
				p.insertRun(f, frames, false)
				p.freeFrames += frames
				p.total += frames
			}
			a, left = a+mm.HPA(n), left-n
		}
	}
	return nil
}

// anyFree reports whether one of n frames from f on is free.
func (p *Pool) anyFree(f, n int) bool {
	for k := range p.free {
		if i := p.free[k].next(f >> k); i >= 0 && i<<k < f+n {
			return true
		}
	}
	return false
}

// anyUsed reports whether one of n frames from f on belongs to somebody.
func (p *Pool) anyUsed(f, n int) bool {
	for i := range n {
		if ownerOf(atomic.LoadUint32(&p.words[f+i])) != Free {
			return true
		}
	}
	return false
}

// index returns the index of the frame that holds a; ok is false when a lies
// in no section.
func (p *Pool) index(a mm.HPA) (f int, ok bool) {
	s, ok := slices.BinarySearch(p.bases, mm.AlignDown(a, sectionSize))
	return s*sectionFrames + int(uint64(a)%sectionSize/mm.PageSize), ok
}

// addr is the inverse of index.
func (p *Pool) addr(f int) mm.HPA {
	return p.bases[f/sectionFrames] + mm.HPA(f%sectionFrames)*mm.PageSize
}

// span checks a range that the hypervisor itself supplies, and returns its
// frames. A range may cross sections only where their addresses adjoin.
func (p *Pool) span(a mm.HPA, size uint64) (f, n int) {
	first, ok := p.index(a)
	last, ok2 := p.index(a + mm.HPA(size-1))
	switch {
	case size == 0 || !mm.Aligned(a, mm.PageSize) || size%mm.PageSize != 0:
		panic("frame: unaligned or empty range")
	case !ok || !ok2 || uint64(last-first+1) != size/mm.PageSize:
		panic("frame: range is not RAM")
	}
	return first, last - first + 1
}

// mark sets the words of n frames from f on, which the caller has to itself.
func (p *Pool) mark(f, n int, w uint32) {
	for i := range n {
		atomic.StoreUint32(&p.words[f+i], w)
	}
}

// Info returns the owner of the frame that holds a, its type and its number of
// references. The owner is Free when a is no RAM.
func (p *Pool) Info(a mm.HPA) (o Owner, t Type, refs int) {
	f, ok := p.index(a)
	if !ok {
		return Free, 0, 0
	}
	w := atomic.LoadUint32(&p.words[f])
	if ownerOf(w) == Free {
		return Free, 0, 0
	}
	return ownerOf(w), typeOf(w), int(refsOf(w))
}

// TotalBytes is the memory that the pool was given, its own metadata included.
func (p *Pool) TotalBytes() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uint64(p.total) * mm.PageSize
}

// FreeBytes is the memory that can be allocated.
func (p *Pool) FreeBytes() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uint64(p.freeFrames) * mm.PageSize
}

// Kept is the memory that is nobody's RAM, in bytes: page tables and structures for
// the sake of the machine or of a domain.
func (p *Pool) Kept() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for t, frames := range p.types {
		if Type(t) != RAM {
			n += frames
		}
	}
	return uint64(n) * mm.PageSize
}

// UsedAs is the memory of one type, whoever owns it, in bytes.
func (p *Pool) UsedAs(t Type) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uint64(p.types[t]) * mm.PageSize
}

// OwnedAs is the memory of o of one type in bytes.
func (p *Pool) OwnedAs(o Owner, t Type) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uint64(p.used[account{o, t}]) * mm.PageSize
}
