// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/pt"
)

// mapState says how a domain's RAM stands in dom0's address space.
type mapState uint8

const (
	unmapped  mapState = iota
	mapping            // MapInto is in progress
	mapped             //
	unmapping          // taken out of the tables, references not dropped yet
)

// mapCursor is a position in a domain's list of extents.
type mapCursor struct {
	extent int
	off    uint64 // bytes of it that are done
	gone   bool   // unmapping: TLBs have been told
}

// mapStep is how much of the RAM one hypercall maps or unmaps, in bytes.
const mapStep = 32 * mm.MiB

// MapInto maps all RAM of d into dom0 at GPA == HPA and lists its extents. It
// is Again until everything is mapped, and then while the list has more.
func (d *Domain) MapInto(l *abi.ExtentList) abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := int(min(l.First, 1<<30))
	*l = abi.ExtentList{First: l.First, Total: uint32(len(d.extents))}
	switch {
	case d.Privileged():
		return abi.Denied
	case d.destroy != destroyNone || d.pop.size != 0 || d.mapped == unmapping:
		return abi.Busy
	}
	if d.mapped != mapped {
		if st := d.mapSome(); st != abi.OK {
			return st
		}
	}
	if first < len(d.extents) {
		l.Count = uint32(copy(l.E[:], d.extents[first:]))
	}
	if first+int(l.Count) < len(d.extents) {
		return abi.Again
	}
	return abi.OK
}

// mapSome maps the next part. What could not be mapped is undone by Unmap.
func (d *Domain) mapSome() abi.Status {
	if d.mapped == unmapped {
		d.mapped, d.mapAt = mapping, mapCursor{}
	}
	dom0 := d.machine.Dom0()
	dom0.mu.Lock()
	defer dom0.mu.Unlock()
	for budget := uint64(mapStep); budget > 0; {
		c := &d.mapAt
		if c.extent == len(d.extents) {
			d.mapped = mapped
			return abi.OK
		}
		e := d.extents[c.extent]
		a := mm.HPA(e.HPA + c.off)
		n := min(e.Size-c.off, frame.Step-uint64(a)%frame.Step)
		if d.machine.Frames.Ref(a, n, d.owner) != nil {
			return abi.NoMemory
		}
		if dom0.Tables.Map(pt.Addr(a), a, n, pt.RW|pt.Accessed|pt.Dirty) != nil {
			d.unref(a, n)
			return abi.NoMemory
		}
		c.advance(n, e.Size)
		budget -= min(budget, n)
	}
	return abi.Again
}

func (c *mapCursor) advance(n, size uint64) {
	if c.off += n; c.off == size {
		c.extent, c.off = c.extent+1, 0
	}
}

func (d *Domain) unref(a mm.HPA, size uint64) {
	for size > 0 {
		n := d.machine.Frames.Unref(a, size)
		a, size = a+mm.HPA(n), size-n
	}
}

// Unmap takes d's RAM out of dom0's address space; Again until no TLB knows it.
func (d *Domain) Unmap() abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Privileged() {
		return abi.Denied
	}
	return d.unmapSome()
}

// unmapSome does a part of the work: first the tables, then the TLBs, then the
// references, so that no frame is free while a CPU may still reach it.
//
// Preconditions: d.mu is held.
func (d *Domain) unmapSome() abi.Status {
	switch d.mapped {
	case unmapped:
		return abi.OK
	case mapping, mapped:
		if !d.unlink() {
			return abi.Again
		}
		d.mapped = unmapping
		d.markFlush()
		return abi.Again
	}
	if !d.flushed() {
		return abi.Again
	}
	if !d.unrefSome() {
		return abi.Again
	}
	dom0 := d.machine.Dom0()
	dom0.mu.Lock()
	dom0.Tables.Reap()
	dom0.mu.Unlock()
	d.mapped, d.mapAt = unmapped, mapCursor{}
	return abi.OK
}

// unlink removes what the cursor has passed from dom0's tables, backwards. It
// reports whether nothing is left; the cursor then stands at the end again, for
// unrefSome.
func (d *Domain) unlink() bool {
	c := &d.mapAt
	if !c.gone {
		// The first call: remember how far the mapping came.
		c.gone, d.unrefEnd = true, *c
	}
	dom0 := d.machine.Dom0()
	dom0.mu.Lock()
	defer dom0.mu.Unlock()
	for budget := uint64(mapStep); budget > 0; {
		if c.off == 0 {
			if c.extent == 0 {
				return true
			}
			c.extent--
			c.off = d.extents[c.extent].Size
		}
		e := d.extents[c.extent]
		n := min(c.off, frame.Step)
		c.off -= n
		// Splitting a large page may need a table; without memory for it, take
		// out the rest of the extent at once, which needs none.
		if _, err := dom0.Tables.Unmap(pt.Addr(e.HPA+c.off), n); err != nil {
			if _, err := dom0.Tables.Unmap(pt.Addr(e.HPA), c.off+n); err != nil {
				panic("part: dom0's tables cannot be edited")
			}
			c.off = 0
		}
		budget -= min(budget, n)
	}
	return c.extent == 0 && c.off == 0
}

// unrefSome drops references from the start up to where the mapping came.
func (d *Domain) unrefSome() bool {
	c := &d.mapAt
	for budget := uint64(mapStep); budget > 0; {
		if c.extent == d.unrefEnd.extent && c.off == d.unrefEnd.off {
			return true
		}
		e := d.extents[c.extent]
		end := e.Size
		if c.extent == d.unrefEnd.extent {
			end = d.unrefEnd.off
		}
		n := d.machine.Frames.Unref(mm.HPA(e.HPA+c.off), end-c.off)
		c.advance(n, e.Size)
		budget -= min(budget, n)
	}
	return false
}

// markFlush starts a shootdown on the CPUs that run dom0: the generation of the
// tables has changed, so a vCPU that enters again flushes by itself.
func (d *Domain) markFlush() {
	for i, v := range d.machine.Dom0().VCPUs {
		d.rounds[i] = v.rounds.Load()
		v.Notify()
	}
}

// flushed reports whether every vCPU of dom0 has been out of the guest since
// markFlush, or is now. The caller's own is out.
func (d *Domain) flushed() bool {
	for i, v := range d.machine.Dom0().VCPUs {
		if !v.outSince(d.rounds[i]) {
			return false
		}
	}
	return true
}
