// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// apply carries out what plan has counted. The table may be one that is not
// linked yet.
func (e *edit) apply(table mm.HPA, level int, base uint64) {
	f := e.t.f
	first, last := e.entries(level, base)
	for i := first; i <= last; i++ {
		lo, hi, whole := e.part(level, base, i)
		at := slot(table, i)
		ent := e.t.m.Load64(at)
		leaf := e.asLeaf(level, lo, whole)
		switch {
		case !f.isPresent(ent) && e.op == opUnmap:
		case f.isTable(ent, level) && (!leaf || e.op == opMap || e.op == opProtect):
			child := target(ent, 1)
			e.apply(child, level-1, base+i*span(level))
			if e.op == opUnmap && e.empty(child) {
				e.unlink(at, child, level-1)
			}
		case !leaf:
			e.grow(at, ent, level, base+i*span(level))
		default:
			e.set(at, ent, level, lo, hi)
		}
	}
}

// set changes one entry, all of which the edit covers.
func (e *edit) set(at mm.HPA, old uint64, level int, lo, hi uint64) {
	f := e.t.f
	if e.op == opProtect {
		e.protect(at, level, lo, hi)
		return
	}
	ent := f.empty
	if e.op != opUnmap {
		ent = f.makeLeaf(e.target(lo), e.bits, level)
	}
	if f.isPresent(old) {
		e.note(lo, hi)
	}
	if f.isTable(old, level) {
		e.replaceTable(at, ent, target(old, 1), level-1)
		return
	}
	e.t.m.Store64(at, ent)
}

// protect changes the permissions of a leaf under the eyes of a CPU that may
// set the accessed and dirty bits.
func (e *edit) protect(at mm.HPA, level int, lo, hi uint64) {
	f := e.t.f
	for {
		old := e.t.m.Load64(at)
		ent := f.makeLeaf(target(old, level), e.bits&^f.noted|old&f.noted, level)
		if ent == old {
			return
		}
		if e.t.m.CompareAndSwap64(at, old, ent) {
			was, is := f.attr(old), f.attr(ent)
			if was&perms&^is != 0 || (was^is)&Uncached != 0 {
				e.note(lo, hi)
			}
			return
		}
	}
}

// grow puts a table into an entry that holds nothing or a larger page, and
// goes on below it.
func (e *edit) grow(at mm.HPA, old uint64, level int, base uint64) {
	m, f := e.t.m, e.t.f
	child := e.t.take()
	if !f.isPresent(old) {
		e.t.clear(child)
		e.apply(child, level-1, base)
		m.Store64(at, uint64(child)|f.table[level])
		return
	}
	// A split: the table first says what the page said. When the CPU notes an
	// access meanwhile, the swap fails and the pieces are written again.
	for {
		old = m.Load64(at)
		bits := old &^ (addrMask | f.sizeMask)
		for i := range uint64(entries) {
			pa := target(old, level) + mm.HPA(i*span(level-1))
			m.Store64(slot(child, i), f.makeLeaf(pa, bits, level-1))
		}
		if m.CompareAndSwap64(at, old, uint64(child)|f.table[level]) {
			break
		}
	}
	e.apply(child, level-1, base)
}

// unlink removes an empty table.
func (e *edit) unlink(at, child mm.HPA, level int) { e.replaceTable(at, e.t.f.empty, child, level) }

// replaceTable puts ent where the table child of a level was. The generation
// changes before the table's words do, so that no Lookup believes them.
func (e *edit) replaceTable(at mm.HPA, ent uint64, child mm.HPA, level int) {
	e.t.m.Store64(at, ent)
	e.t.gen.Add(1)
	e.t.retire(child, level)
}

func (e *edit) empty(table mm.HPA) bool {
	for i := range uint64(entries) {
		if e.t.f.isPresent(e.t.m.Load64(slot(table, i))) {
			return false
		}
	}
	return true
}

// note widens what has to be flushed by [lo, hi).
func (e *edit) note(lo, hi uint64) {
	if e.flushHi == 0 {
		e.flushLo = lo
	}
	e.flushLo, e.flushHi = min(e.flushLo, lo), max(e.flushHi, hi)
}
