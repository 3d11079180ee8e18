// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package gwalk

import (
	"ringo/hv/x86"
	"ringo/mm"
)

// walk is one descent through the tables.
type walk struct {
	r   *Regime
	m   Memory
	va  mm.GVA
	acc Access

	gpa   mm.GPA
	fault Fault

	// What the entries seen so far allow together.
	user, write, exec bool

	path Path
}

func (w *walk) start() {
	w.user, w.write, w.exec = true, true, true
	w.path.Len, w.fault = 0, Fault{}
}

func (w *walk) run() {
	switch {
	case w.r.EFER&x86.EFERLMA != 0:
		w.tables(mm.GPA(w.r.CR3&w.frameMask()), w.r.levels()-1, reserved(w.r, 51))
	case w.r.CR4&x86.CR4PAE != 0:
		w.pae()
	default:
		w.legacy()
	}
}

// physMask has all bits of a physical address.
func (w *walk) physMask() uint64 { return 1<<w.r.PhysBits - 1 }

// frameMask has the bits of an entry that address a table or a 4 KiB page.
func (w *walk) frameMask() uint64 { return w.physMask() &^ (mm.PageSize - 1) }

// load reads an entry and records it.
func (w *walk) load(at mm.GPA, size uint8) (e uint64, ok bool) {
	if size == 8 {
		e, ok = w.m.Read64(at)
	} else {
		var e32 uint32
		e32, ok = w.m.Read32(at)
		e = uint64(e32)
	}
	if !ok {
		w.fault = Fault{Kind: Unbacked, GPA: at}
		return 0, false
	}
	if e&entryP == 0 {
		w.fail(0)
		return 0, false
	}
	w.path.Entry[w.path.Len] = Entry{At: at, Value: e, Size: size}
	w.path.Len++
	return e, true
}

// fail ends the walk with a page fault; bits are those of the entry's fault.
func (w *walk) fail(bits uint32) {
	w.fault = Fault{Kind: PageFault, Err: w.r.errorCode(w.acc) | bits}
}

// tables walks the 8-byte formats from a table at level (0: page table). Bits of
// no must be clear in every entry.
func (w *walk) tables(table mm.GPA, level int, no uint64) {
	frame := w.frameMask()
	for ; ; level-- {
		shift := mm.PageShift + 9*level
		e, ok := w.load(table+mm.GPA(uint64(w.va)>>shift&511*8), 8)
		if !ok {
			return
		}
		leaf := level == 0 || e&entryPS != 0 && (level == 1 || level == 2 && w.r.Page1G)
		if e&no != 0 || e&entryPS != 0 && badPS(e, level, leaf) {
			w.fail(x86.PFPresent | x86.PFRsvd)
			return
		}
		w.restrict(e)
		if leaf {
			size := uint64(1) << shift
			w.finish(e&frame&^(size-1), size)
			return
		}
		table = mm.GPA(e & frame)
	}
}

// restrict adds what e forbids.
func (w *walk) restrict(e uint64) {
	w.user = w.user && e&entryUS != 0
	w.write = w.write && e&entryRW != 0
	w.exec = w.exec && (e&entryNX == 0 || !w.r.nx())
}

// finish checks the permissions of a page and ends the walk.
func (w *walk) finish(base, size uint64) {
	if !w.allowed() {
		w.fail(x86.PFPresent)
		return
	}
	w.gpa = mm.GPA(base | uint64(w.va)&(size-1))
}

// allowed decides by SDM Vol. 3, "Determination of Access Rights".
func (w *walk) allowed() bool {
	r, acc := w.r, w.acc
	fetch, write := acc&Fetch != 0, acc&Write != 0
	if acc.user() {
		return w.user && (!write || w.write) && (!fetch || w.exec)
	}
	if fetch {
		return w.exec && !(w.user && r.CR4&x86.CR4SMEP != 0)
	}
	if w.user && r.CR4&x86.CR4SMAP != 0 && (acc&AC == 0 || acc&System != 0) {
		return false
	}
	return !write || w.write || r.CR0&x86.CR0WP == 0
}

// mark sets accessed bits on the way and the dirty bit of the page.
func (w *walk) mark() bool {
	for n := range w.path.Len {
		e := &w.path.Entry[n]
		want := uint64(entryA)
		if n == w.path.Len-1 && w.acc&Write != 0 {
			want |= entryD
		}
		if e.noA || e.Value&want == want {
			continue
		}
		if !w.r.Marker.Mark(e.At, e.Size, e.Value, want) {
			return false
		}
		e.Value |= want
	}
	return true
}
