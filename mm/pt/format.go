// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// Attr is what a translation permits, its memory type, and what the CPU has
// noted about it. Every mapping has Read.
type Attr uint16

// The attributes. The memory type is write-back unless Uncached is given.
const (
	Read Attr = 1 << iota
	Write
	Exec
	User     // host format only: also for CPL 3
	Uncached // strong uncacheable (UC)
	// Accessed and Dirty may be given to [Tables.Map] to spare the CPU the
	// update on first touch.
	Accessed
	Dirty

	RW  = Read | Write
	RX  = Read | Exec
	RWX = Read | Write | Exec

	perms = Read | Write | Exec | User
)

// String returns, for example, "rwx- wb AD".
func (a Attr) String() string {
	b := []byte("---- wb --")
	for _, c := range [...]struct {
		bit Attr
		pos int
		c   byte
	}{{Read, 0, 'r'}, {Write, 1, 'w'}, {Exec, 2, 'x'}, {User, 3, 'u'}, {Accessed, 8, 'A'}, {Dirty, 9, 'D'}} {
		if a&c.bit != 0 {
			b[c.pos] = c.c
		}
	}
	if a&Uncached != 0 {
		b[5], b[6] = 'u', 'c'
	}
	return string(b)
}

// Format is what distinguishes one page-table format from another. The formats
// are made by [NPT], [EPT], [Host], [VTD] and [AMDVi].
type Format struct {
	Name string
	// MaxLeaf is the largest page in bytes: mm.Page2M or mm.Page1G.
	MaxLeaf uint64

	levels    int    // 3 or 4: input addresses have 39 or 48 bits
	canonical bool   // input addresses are sign-extended from bit 47; 4 levels
	present   uint64 // an entry with any of these bits is present
	noted     uint64 // the accessed and dirty bits, which the CPU may set at any time
	empty     uint64 // an entry that holds nothing
	// An entry of level 2 or more is a leaf when its bits of sizeMask are sizeLeaf.
	sizeMask, sizeLeaf uint64
	// table is the bits of an entry of a level that points to a table: everything
	// allowed.
	table [maxLevels + 1]uint64

	// leaf returns the bits of a leaf, without address and size bit; ok is
	// false when the format cannot express a.
	leaf func(a Attr) (bits uint64, ok bool)
	// attr is the inverse of leaf.
	attr func(e uint64) Attr
}

// What all the formats share.
const (
	maxLevels = 4 // level 1 is the last one, whose entries are 4 KiB pages
	entries   = 512
	addrMask  = 0x000f_ffff_ffff_f000 // bits 51:12 of an entry
	largeBit  = 1 << 7                // of most formats, in levels 2 and 3: the entry is a leaf
)

// tables are the bits of entries that point to tables, where they are the same in all
// levels.
func tables(bits uint64) (t [maxLevels + 1]uint64) {
	for level := range t {
		t[level] = bits
	}
	return t
}

// shift is log2 of the bytes that an entry of a level covers, span the bytes.
func shift(level int) uint             { return mm.PageShift + 9*uint(level-1) }
func span(level int) uint64            { return 1 << shift(level) }
func index(a uint64, level int) uint64 { return a >> shift(level) & (entries - 1) }

// slot is the address of entry i of a table.
func slot(table mm.HPA, i uint64) mm.HPA { return table + mm.HPA(i*8) }

// target is the address in entry e: of a table for level 1, of a page of that
// level otherwise (where the bits below the page size are flags or zero).
func target(e uint64, level int) mm.HPA { return mm.HPA(e & addrMask &^ (span(level) - 1)) }

func (f *Format) isPresent(e uint64) bool { return e&f.present != 0 }

func (f *Format) isLeaf(e uint64, level int) bool {
	return f.isPresent(e) && (level == 1 || e&f.sizeMask == f.sizeLeaf)
}

func (f *Format) isTable(e uint64, level int) bool {
	return f.isPresent(e) && level > 1 && e&f.sizeMask != f.sizeLeaf
}

// makeLeaf returns a leaf of a level; bits come from f.leaf.
func (f *Format) makeLeaf(pa mm.HPA, bits uint64, level int) uint64 {
	if level > 1 {
		bits |= f.sizeLeaf
	}
	return uint64(pa) | bits
}

// leafAllowed reports whether the format has leaves of that level.
func (f *Format) leafAllowed(level int) bool { return span(level) <= f.MaxLeaf }

// limit is the first address that a walk cannot reach.
func (f *Format) limit() uint64 { return span(f.levels + 1) }

// strip returns the bits of a by which the walk goes.
func (f *Format) strip(a Addr) (uint64, bool) {
	v := uint64(a)
	if f.canonical {
		return v & (1<<48 - 1), int64(v<<16)>>16 == int64(v)
	}
	return v, v < f.limit()
}

// unstrip is the inverse of strip.
func (f *Format) unstrip(v uint64) Addr {
	if f.canonical {
		return Addr(int64(v<<16) >> 16)
	}
	return Addr(v)
}

// bounds checks [a, a+size) and returns it as walk addresses.
func (f *Format) bounds(a Addr, size uint64) (lo, hi uint64, err error) {
	last := a + Addr(size-1)
	lo, ok := f.strip(a)
	top, ok2 := f.strip(last)
	switch {
	case size == 0, last < a, !ok, !ok2:
		return 0, 0, ErrRange
	case !mm.Aligned(a, mm.PageSize) || size%mm.PageSize != 0:
		return 0, 0, ErrRange
	case f.canonical && (lo^top)>>47 != 0: // would cross the hole
		return 0, 0, ErrRange
	}
	return lo, top + 1, nil
}
