// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"slices"

	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/pt"
)

// populating is a Populate that has not come to its end.
type populating struct {
	start mm.GPA
	size  uint64
	done  uint64
	attr  pt.Attr
	block frame.Block // being scrubbed; Size 0 = none
}

// memory is a domain's RAM, by guest physical address, with its second-level
// tables and the account that pays for the records of both. Domain.mu guards it;
// only the tables may be looked up without.
type memory struct {
	Tables   *pt.Tables
	frames   *frame.Pool
	account  *Records
	owner    frame.Owner
	extents  []abi.Extent // RAM, by GPA
	bytes    uint64       // sum of extents
	maxBytes uint64
	pop      populating
	records  uint64 // taken from account
}

// Populate gives d RAM of a kind at [start, start+size), in steps of bounded time: while
// it returns Again the caller repeats it. NoMemory and NoRecord leave what was
// populated so far; destroying the domain frees it.
//
// Preconditions: d is not dom0.
func (d *Domain) Populate(start mm.GPA, size uint64, kind abi.RAMKind) abi.Status {
	if kind > abi.RAMForwarded {
		return abi.BadArg
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if st := d.mayPopulate(start, size); st != abi.OK {
		return st
	}
	attr := pt.RWX | pt.Accessed | pt.Dirty
	if kind != abi.RAMWritable {
		attr &^= pt.Write
	}
	st := d.populate(start, size, attr)
	if st == abi.OK && kind == abi.RAMForwarded {
		return d.forwardWrites(start, size)
	}
	return st
}

// forwardWrites claims memory that was populated to be read only: what exits there
// is a write.
func (d *Domain) forwardWrites(start mm.GPA, size uint64) abi.Status {
	if st := d.charge(claimCost); st != abi.OK {
		return st
	}
	if d.Mem.Add(start, size, Claimed) != nil {
		panic("part: claims overlap RAM")
	}
	return abi.OK
}

// populate does a step of Populate.
func (m *memory) populate(start mm.GPA, size uint64, attr pt.Attr) abi.Status {
	p := &m.pop
	if p.size == 0 {
		*p = populating{start: start, size: size, attr: attr}
	}
	if p.block.Size == 0 {
		b, err := m.frames.Extent(p.start+mm.GPA(p.done), p.size-p.done, m.owner, frame.RAM)
		if err != nil {
			*p = populating{}
			return abi.NoMemory
		}
		p.block = b
	}
	if m.frames.Scrub(&p.block) {
		return abi.Again
	}
	return m.addBlock()
}

// addBlock maps the scrubbed block of pop.
func (m *memory) addBlock() abi.Status {
	p := &m.pop
	gpa := p.start + mm.GPA(p.done)
	if st := m.charge(extentCost); st != abi.OK {
		m.freeBlock()
		return st
	}
	if err := m.Tables.Map(pt.Addr(gpa), p.block.Start, p.block.Size, p.attr); err != nil {
		m.uncharge(extentCost)
		m.freeBlock()
		return abi.NoMemory
	}
	if joined := m.addExtent(abi.Extent{GPA: uint64(gpa), HPA: uint64(p.block.Start), Size: p.block.Size}); joined {
		m.uncharge(extentCost)
	}
	p.done += p.block.Size
	p.block = frame.Block{}
	if p.done < p.size {
		return abi.Again
	}
	*p = populating{}
	return abi.OK
}

// mayPopulate checks the arguments, against the call in progress if there is
// one.
func (d *Domain) mayPopulate(start mm.GPA, size uint64) abi.Status {
	p := &d.pop
	switch {
	case d.frozen || d.lent.state != unmapped || d.destroy != destroyNone:
		return abi.Busy
	case p.size != 0:
		if p.start != start || p.size != size {
			return abi.Busy
		}
		return abi.OK
	case size == 0 || size%mm.PageSize != 0 || !mm.Aligned(start, mm.PageSize):
		return abi.BadArg
	case !mm.Within(start, size, maxGPA) || size > d.maxBytes-d.bytes:
		return abi.BadArg
	case d.overlapsRAM(uint64(start), size) || d.Mem.Overlaps(start, size):
		return abi.Exists
	}
	return abi.OK
}

// maxGPA bounds the guest physical addresses of RAM: 1 TiB.
const maxGPA = 1 << 40

// overlapsRAM reports whether d has RAM among size bytes from start.
//
// Preconditions: they are at least one and do not wrap; the last one may be that
// of the address space.
func (m *memory) overlapsRAM(start, size uint64) bool {
	last := start + (size - 1)
	for _, e := range m.extents {
		if start <= e.GPA+(e.Size-1) && e.GPA <= last {
			return true
		}
	}
	return false
}

// addExtent keeps the list sorted by GPA and joins what is contiguous in both
// address spaces; it reports whether e was joined to another one.
func (m *memory) addExtent(e abi.Extent) (joined bool) {
	m.bytes += e.Size
	i := 0
	for i < len(m.extents) && m.extents[i].GPA < e.GPA {
		i++
	}
	if i > 0 {
		if l := &m.extents[i-1]; l.GPA+l.Size == e.GPA && l.HPA+l.Size == e.HPA {
			l.Size += e.Size
			return true
		}
	}
	m.extents = slices.Insert(m.extents, i, e)
	return false
}

// freeBlock gives back a block that was not mapped.
func (m *memory) freeBlock() {
	b := m.pop.block
	m.pop = populating{}
	m.freeRAM(b.Start, b.Size)
}

func (m *memory) freeRAM(a mm.HPA, size uint64) {
	for size > 0 {
		n := m.frames.Free(a, size, m.owner)
		a, size = a+mm.HPA(n), size-n
	}
}

// Read copies guest physical memory of d to b: RAM only, device windows are
// refused. It reports false when any byte is not RAM of d.
//
// The lock keeps frames that d sees from being freed meanwhile.
func (d *Domain) Read(gpa mm.GPA, b []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.each(gpa, len(b), pt.Read, func(hpa mm.HPA, from, to int) {
		d.machine.Phys.Read(hpa, b[from:to])
	})
}

// Write copies b to guest physical memory of d.
func (d *Domain) Write(gpa mm.GPA, b []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.each(gpa, len(b), pt.Write, func(hpa mm.HPA, from, to int) {
		d.machine.Phys.Write(hpa, b[from:to])
	})
}

// each calls f for every piece of [gpa, gpa+n) that is contiguous in host
// memory, after it has checked all of them.
func (d *Domain) each(gpa mm.GPA, n int, need pt.Attr, f func(hpa mm.HPA, from, to int)) bool {
	if !mm.Within(gpa, uint64(n), maxGPA) {
		return false
	}
	for _, act := range [...]bool{false, true} {
		for done := 0; done < n; {
			a := gpa + mm.GPA(done)
			hpa, _, attr, ok := d.Tables.Lookup(pt.Addr(a))
			if !ok || attr&need == 0 || attr&pt.Uncached != 0 {
				return false
			}
			part := min(n-done, mm.PageSize-int(a%mm.PageSize))
			if act {
				f(hpa, done, done+part)
			}
			done += part
		}
	}
	return true
}

// overhead is the hypervisor's memory for d in bytes, its Go objects aside.
func (m *memory) overhead() uint64 {
	var n uint64
	for _, t := range [...]frame.Type{frame.Table, frame.Control, frame.Data} {
		n += m.frames.OwnedAs(m.owner, t)
	}
	return n
}

// ramAt returns where gpa lies in host memory, and what its domain may do with
// it. It reports false unless it is RAM that may be used as needed and the size
// bytes behind it are in the same 4 KiB page.
//
// Preconditions: the caller keeps the frame from being freed: it holds Domain.mu,
// or is the runner of one of the domain's vCPUs.
func (m *memory) ramAt(gpa mm.GPA, size uint64, need pt.Attr) (mm.HPA, pt.Attr, bool) {
	hpa, _, attr, ok := m.Tables.Lookup(pt.Addr(gpa))
	return hpa, attr, ok && attr&pt.Uncached == 0 && attr&need != 0 && size <= mm.PageSize-uint64(gpa)%mm.PageSize
}
