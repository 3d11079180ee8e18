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

// lending is how a domain's RAM stands in dom0's address space. Domain.mu guards
// it; dom0's own is taken inside, for its tables.
type lending struct {
	state  mapState
	at     mapCursor // progress of MapInto and of unmapSome
	end    mapCursor // how far MapInto came
	rounds rounds    // since the mappings went
}

// mapStep is how much of the RAM one hypercall maps or unmaps, in bytes.
const mapStep = 32 * mm.MiB

// MapInto maps all RAM of d into dom0 at GPA == HPA and lists its extents. It
// is Again until everything is mapped, and then while the list has more.
//
// Preconditions: d is not dom0.
func (d *Domain) MapInto(l *abi.ExtentList) abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := int(min(l.First, 1<<30))
	*l = abi.ExtentList{First: l.First, Total: uint32(len(d.extents))}
	if d.destroy != destroyNone || d.pop.size != 0 || d.lent.state == unmapping {
		return abi.Busy
	}
	if d.lent.state != mapped {
		if st := d.lent.mapSome(&d.memory, d.machine.Dom0()); st != abi.OK {
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

// mapSome maps the next part. What was mapped before it fails stays until the
// domain is destroyed.
func (l *lending) mapSome(m *memory, dom0 *Domain) abi.Status {
	if l.state == unmapped {
		l.state, l.at = mapping, mapCursor{}
	}
	dom0.mu.Lock()
	defer dom0.mu.Unlock()
	for budget := uint64(mapStep); budget > 0; {
		c := &l.at
		if c.extent == len(m.extents) {
			l.state = mapped
			return abi.OK
		}
		e := m.extents[c.extent]
		a := mm.HPA(e.HPA + c.off)
		n := min(e.Size-c.off, frame.Step-uint64(a)%frame.Step)
		if m.frames.Ref(a, n, m.owner) != nil {
			return abi.NoMemory
		}
		if dom0.Tables.Map(pt.Addr(a), a, n, pt.RW|pt.Accessed|pt.Dirty) != nil {
			m.unref(a, n)
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

func (m *memory) unref(a mm.HPA, size uint64) {
	for size > 0 {
		n := m.frames.Unref(a, size)
		a, size = a+mm.HPA(n), size-n
	}
}

// unmapSome takes the RAM out of dom0's address space; Again until no TLB knows
// it. It does a part of the work: first the tables, then the TLBs, then the
// references, so that no frame is free while a CPU may still reach it.
//
// Preconditions: Domain.mu is held.
func (l *lending) unmapSome(m *memory, dom0 *Domain) abi.Status {
	switch l.state {
	case unmapped:
		return abi.OK
	case mapping, mapped:
		if !l.unlink(m, dom0) {
			return abi.Again
		}
		l.state = unmapping
		l.rounds.mark(dom0)
		return abi.Again
	}
	if !l.rounds.passed(dom0) {
		return abi.Again
	}
	if !l.unrefSome(m) {
		return abi.Again
	}
	dom0.reap()
	l.state, l.at = unmapped, mapCursor{}
	return abi.OK
}

// unlink removes what the cursor has passed from dom0's tables, backwards. It
// reports whether nothing is left; the cursor then stands at the end again, for
// unrefSome.
func (l *lending) unlink(m *memory, dom0 *Domain) bool {
	c := &l.at
	if !c.gone {
		// The first call: remember how far the mapping came.
		c.gone, l.end = true, *c
	}
	dom0.mu.Lock()
	defer dom0.mu.Unlock()
	for budget := uint64(mapStep); budget > 0; {
		if c.off == 0 {
			if c.extent == 0 {
				return true
			}
			c.extent--
			c.off = m.extents[c.extent].Size
		}
		e := m.extents[c.extent]
		// The pieces that mapSome has mapped: no large page must be split, for which
		// there might be no memory.
		end := e.HPA + c.off
		n := min(c.off, (end-1)%frame.Step+1)
		c.off -= n
		if _, err := dom0.Tables.Unmap(pt.Addr(end-n), n); err != nil {
			panic("part: dom0's tables cannot be edited")
		}
		budget -= min(budget, n)
	}
	return c.extent == 0 && c.off == 0
}

// unrefSome drops references from the start up to where the mapping came.
func (l *lending) unrefSome(m *memory) bool {
	c := &l.at
	for budget := uint64(mapStep); budget > 0; {
		if c.extent == l.end.extent && c.off == l.end.off {
			return true
		}
		e := m.extents[c.extent]
		end := e.Size
		if c.extent == l.end.extent {
			end = l.end.off
		}
		n := m.frames.Unref(mm.HPA(e.HPA+c.off), end-c.off)
		c.advance(n, e.Size)
		budget -= min(budget, n)
	}
	return false
}
