// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// Flush is a range, no larger than the edit, that holds every translation which
// the edit removed or downgraded: what TLBs may still know. The zero Flush is nothing.
type Flush struct {
	VA   Addr
	Size uint64
}

// Any reports whether there is something to flush.
func (f Flush) Any() bool { return f.Size != 0 }

// Map maps [va, va+size) to [pa, pa+size) with the largest pages that fit. It
// returns [ErrMapped] when any part of the range is mapped. There is nothing
// to flush afterwards, since CPUs do not remember absent translations.
//
// va, pa and size are multiples of 4 KiB. The time is proportional to the
// pages written: callers bound size.
func (t *Tables) Map(va Addr, pa mm.HPA, size uint64, attr Attr) error {
	_, err := t.edit(edit{op: opMap, pa: pa, attr: attr}, va, size)
	return err
}

// Replace is [Tables.Map], except that what is mapped in the range gives way.
func (t *Tables) Replace(va Addr, pa mm.HPA, size uint64, attr Attr) (Flush, error) {
	return t.edit(edit{op: opReplace, pa: pa, attr: attr}, va, size)
}

// Unmap removes what is mapped in [va, va+size); larger pages that reach
// beyond the range are split.
func (t *Tables) Unmap(va Addr, size uint64) (Flush, error) {
	return t.edit(edit{op: opUnmap}, va, size)
}

// Protect gives all of [va, va+size) the permissions and the memory type of
// attr; accessed and dirty stay as they are. It returns [ErrAbsent] when a
// part of the range is not mapped. Larger pages are split as needed.
func (t *Tables) Protect(va Addr, size uint64, attr Attr) (Flush, error) {
	return t.edit(edit{op: opProtect, attr: attr}, va, size)
}

type op uint8

const (
	opMap op = iota
	opReplace
	opUnmap
	opProtect
)

// edit is one change of the translations in [lo, hi).
type edit struct {
	t      *Tables
	op     op
	pa     mm.HPA // of lo (opMap, opReplace)
	attr   Attr
	bits   uint64 // attr in the tree's format
	lo, hi uint64

	flushLo, flushHi uint64
}

// edit runs both phases of e.
func (t *Tables) edit(e edit, va Addr, size uint64) (Flush, error) {
	lo, hi, err := t.f.bounds(va, size)
	if err != nil {
		return Flush{}, err
	}
	e.t, e.lo, e.hi = t, lo, hi
	if e.op == opMap || e.op == opReplace {
		if !mm.Aligned(e.pa, mm.PageSize) || uint64(e.pa) > addrMask+mm.PageSize-size {
			return Flush{}, ErrRange
		}
	}
	if e.op != opUnmap {
		bits, ok := t.f.leaf(e.attr)
		if !ok {
			return Flush{}, ErrAttr
		}
		e.bits = bits
	}
	n, err := e.plan(t.root, t.f.levels, 0)
	if err != nil {
		return Flush{}, err
	}
	if err := t.reserve(n); err != nil {
		return Flush{}, err
	}
	e.apply(t.root, t.f.levels, 0)
	if t.spare != 0 {
		panic("pt: fewer tables needed than planned")
	}
	if e.flushHi == 0 {
		return Flush{}, nil
	}
	t.gen.Add(1)
	return Flush{t.f.unstrip(e.flushLo), e.flushHi - e.flushLo}, nil
}

// part is the piece of the edit that falls into entry i of a table which
// begins at base: [lo, hi), and whether that is the entry's whole span.
func (e *edit) part(level int, base, i uint64) (lo, hi uint64, whole bool) {
	start := base + i*span(level)
	end := start + span(level)
	return max(start, e.lo), min(end, e.hi), e.lo <= start && end <= e.hi
}

// entries returns the first and the last entry of the table at base that the
// edit touches.
func (e *edit) entries(level int, base uint64) (first, last uint64) {
	lo := max(base, e.lo)
	hi := min(base+span(level)*entries, e.hi)
	return index(lo, level), index(hi-1, level)
}

// asLeaf reports whether the edit writes one leaf into an entry of level,
// of which it covers all, from lo on.
func (e *edit) asLeaf(level int, lo uint64, whole bool) bool {
	switch e.op {
	case opUnmap, opProtect:
		return whole
	}
	return whole && e.t.f.leafAllowed(level) && mm.Aligned(e.target(lo), span(level))
}

func (e *edit) target(lo uint64) mm.HPA { return e.pa + mm.HPA(lo-e.lo) }

// plan counts the tables that apply will take, or says why it cannot be done.
func (e *edit) plan(table mm.HPA, level int, base uint64) (n int, err error) {
	first, last := e.entries(level, base)
	for i := first; i <= last; i++ {
		lo, _, whole := e.part(level, base, i)
		leaf := e.asLeaf(level, lo, whole)
		ent := e.t.m.Load64(slot(table, i))
		f := e.t.f
		switch {
		case !f.isPresent(ent) && e.op == opProtect:
			return 0, ErrAbsent
		case !f.isPresent(ent) && e.op == opUnmap:
			continue
		case f.isLeaf(ent, level) && e.op == opMap:
			return 0, ErrMapped
		}
		sub := base + i*span(level)
		more := 0
		switch {
		case f.isTable(ent, level) && (!leaf || e.op == opMap || e.op == opProtect):
			// Map into a table with any page in the range fails below; so
			// does Protect with a hole.
			more, err = e.plan(target(ent, 1), level-1, sub)
		case !leaf:
			more = 1 + e.fresh(level-1, sub)
		}
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// fresh counts the tables below a new table, which holds either nothing or the
// pieces of one larger page.
func (e *edit) fresh(level int, base uint64) (n int) {
	if level == 1 {
		return 0
	}
	first, last := e.entries(level, base)
	for i := first; i <= last; i++ {
		if lo, _, whole := e.part(level, base, i); !e.asLeaf(level, lo, whole) {
			n += 1 + e.fresh(level-1, base+i*span(level))
		}
	}
	return n
}
