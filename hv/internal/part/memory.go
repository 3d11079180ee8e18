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
	block frame.Block // being scrubbed; Size 0 = none
}

// Populate gives d RAM at [start, start+size), in steps of bounded time: while
// it returns Again the caller repeats it. NoMemory and NoRecord leave what was
// populated so far; destroying the domain frees it.
func (d *Domain) Populate(start mm.GPA, size uint64) abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if st := d.mayPopulate(start, size); st != abi.OK {
		return st
	}
	p := &d.pop
	if p.size == 0 {
		*p = populating{start: start, size: size}
	}
	if p.block.Size == 0 {
		b, err := d.machine.Frames.Extent(p.start+mm.GPA(p.done), p.size-p.done, d.owner, frame.RAM)
		if err != nil {
			*p = populating{}
			return abi.NoMemory
		}
		p.block = b
	}
	if d.machine.Frames.Scrub(&p.block) {
		return abi.Again
	}
	return d.addBlock()
}

// addBlock maps the scrubbed block of d.pop.
func (d *Domain) addBlock() abi.Status {
	p := &d.pop
	gpa := p.start + mm.GPA(p.done)
	if st := d.charge(extentCost); st != abi.OK {
		d.freeBlock()
		return st
	}
	if err := d.Tables.Map(pt.Addr(gpa), p.block.Start, p.block.Size, pt.RWX|pt.Accessed|pt.Dirty); err != nil {
		d.uncharge(extentCost)
		d.freeBlock()
		return abi.NoMemory
	}
	if joined := d.addExtent(abi.Extent{GPA: uint64(gpa), HPA: uint64(p.block.Start), Size: p.block.Size}); joined {
		d.uncharge(extentCost)
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
	case d.Privileged():
		return abi.Denied
	case d.frozen || d.mapped != unmapped || d.destroy != destroyNone:
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

func (d *Domain) overlapsRAM(start, size uint64) bool {
	for _, e := range d.extents {
		if start < e.GPA+e.Size && e.GPA < start+size {
			return true
		}
	}
	return false
}

// addExtent keeps the list sorted by GPA and joins what is contiguous in both
// address spaces; it reports whether e was joined to another one.
func (d *Domain) addExtent(e abi.Extent) (joined bool) {
	d.bytes += e.Size
	i := 0
	for i < len(d.extents) && d.extents[i].GPA < e.GPA {
		i++
	}
	if i > 0 {
		if l := &d.extents[i-1]; l.GPA+l.Size == e.GPA && l.HPA+l.Size == e.HPA {
			l.Size += e.Size
			return true
		}
	}
	d.extents = slices.Insert(d.extents, i, e)
	return false
}

// freeBlock gives back a block that was not mapped.
func (d *Domain) freeBlock() {
	b := d.pop.block
	d.pop = populating{}
	d.freeRAM(b.Start, b.Size)
}

func (d *Domain) freeRAM(a mm.HPA, size uint64) {
	for size > 0 {
		n := d.machine.Frames.Free(a, size, d.owner)
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

// RAM is a domain's memory on the exit path: without a lock, since it is not
// freed while one of the domain's vCPUs runs. It implements gwalk.Memory.
type RAM Domain

// RAM returns the lock-free view.
//
// Preconditions: the caller is the runner of one of d's vCPUs.
func (d *Domain) RAM() *RAM { return (*RAM)(d) }

// at returns where gpa lies, and how much of its 4 KiB page is behind it.
func (r *RAM) at(gpa mm.GPA, size uint64) (mm.HPA, bool) {
	hpa, _, attr, ok := r.Tables.Lookup(pt.Addr(gpa))
	return hpa, ok && attr&pt.Uncached == 0 && size <= mm.PageSize-uint64(gpa)%mm.PageSize
}

// Read64 reads an aligned quadword.
func (r *RAM) Read64(gpa mm.GPA) (uint64, bool) {
	hpa, ok := r.at(gpa, 8)
	if !ok || !mm.Aligned(gpa, 8) {
		return 0, false
	}
	return r.machine.Phys.Load64(hpa), true
}

// Read32 reads an aligned doubleword.
func (r *RAM) Read32(gpa mm.GPA) (uint32, bool) {
	q, ok := r.Read64(gpa &^ 7)
	return uint32(q >> (8 * (gpa & 4))), ok && mm.Aligned(gpa, 4)
}

// Read copies len(b) bytes of one page.
func (r *RAM) Read(gpa mm.GPA, b []byte) bool {
	hpa, ok := r.at(gpa, uint64(len(b)))
	if ok {
		r.machine.Phys.Read(hpa, b)
	}
	return ok
}

// Write copies b to memory within one page.
func (r *RAM) Write(gpa mm.GPA, b []byte) bool {
	hpa, ok := r.at(gpa, uint64(len(b)))
	if ok {
		r.machine.Phys.Write(hpa, b)
	}
	return ok
}

// overhead is the hypervisor's memory for d in bytes, its Go objects aside.
func (d *Domain) overhead() uint64 {
	var n uint64
	for _, t := range [...]frame.Type{frame.Table, frame.Control, frame.Data} {
		n += d.machine.Frames.OwnedAs(d.owner, t)
	}
	return n
}
