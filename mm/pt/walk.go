// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

//	 input address (48 bits; three levels: the lower 39)
//	47      39 38      30 29      21 20      12 11         0
//	+---------+----------+----------+----------+------------+
//	| level 4 | level 3  | level 2  | level 1  |   offset   |
//	+----+----+----+-----+----+-----+----+-----+------+-----+
//	     |         |          |          |            |
//	     v         v          v          v            |
//	  +-----+   +-----+    +-----+    +-----+         |
//	  |entry|-->|entry|--->|entry|--->|entry|---> 4 KiB page + offset
//	  +-----+   +--+--+    +--+--+    +-----+
//	   root        |          |
//	   512         |          +--a leaf----> 2 MiB page + 21 bits
//	   entries     +--a leaf---------------> 1 GiB page + 30 bits
//
// Entries that point to a table permit everything: the leaf alone decides.

// Lookup returns where va is mapped: its physical address (offset included),
// the size in bytes of the page it lies in, and the page's attributes. It may
// be called at any time on any CPU, also during edits: it returns the state
// before or after a concurrent edit of va. It does not allocate.
//
// What keeps the frame itself from being freed meanwhile is the caller's
// business.
func (t *Tables) Lookup(va Addr) (pa mm.HPA, size uint64, attr Attr, ok bool) {
	v, ok := t.f.strip(va)
	if !ok {
		return 0, 0, 0, false
	}
	for {
		e, level, stable := t.walk(v)
		if !stable {
			continue // an edit removed something: each edit does so a few times at most
		}
		if !t.f.isLeaf(e, level) {
			return 0, 0, 0, false
		}
		off := mm.HPA(v & (span(level) - 1))
		return target(e, level) + off, span(level), t.f.attr(e), true
	}
}

// walk returns the entry at which the walk of v ends and its level. The result
// is stable when the generation did not change: a table is not freed, and so
// holds nothing but entries, before the generation is bumped. No address is
// followed that did not come from a table of the tree.
func (t *Tables) walk(v uint64) (e uint64, level int, stable bool) {
	gen := t.gen.Load()
	table := t.root
	for level = t.f.levels; ; level-- {
		e = t.m.Load64(slot(table, index(v, level)))
		if t.gen.Load() != gen {
			return 0, 0, false
		}
		if !t.f.isTable(e, level) {
			return e, level, true
		}
		table = target(e, 1)
	}
}

// Leaf is one page of a tree.
type Leaf struct {
	VA   Addr
	PA   mm.HPA
	Size uint64
	Attr Attr
}

// Visit calls fn for every page in ascending order of VA (as the walk goes:
// the host format's upper half comes last) until fn returns false. It needs
// the lock of the tree's owner; fn must not edit the tree.
func (t *Tables) Visit(fn func(Leaf) bool) {
	t.visit(t.root, t.f.levels, 0, 0, t.f.limit(), fn)
}

// visit goes through the part of a table that lies in [lo, hi); the table
// begins at base.
func (t *Tables) visit(table mm.HPA, level int, base, lo, hi uint64, fn func(Leaf) bool) bool {
	for i := range uint64(entries) {
		va := base + i*span(level)
		if va >= hi {
			return true
		}
		if va+span(level) <= lo {
			continue
		}
		e := t.m.Load64(slot(table, i))
		switch {
		case t.f.isTable(e, level):
			if !t.visit(target(e, 1), level-1, va, lo, hi, fn) {
				return false
			}
		case t.f.isLeaf(e, level):
			if !fn(Leaf{t.f.unstrip(va), target(e, level), span(level), t.f.attr(e)}) {
				return false
			}
		}
	}
	return true
}
