// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package gwalk

import (
	"ringo/hv/x86"
	"ringo/mm"
)

// bitsFrom returns the bits lo to hi.
func bitsFrom(lo, hi uint8) uint64 {
	if lo > hi {
		return 0
	}
	return (1<<(hi-lo+1) - 1) << lo
}

// reserved gives the bits that are reserved in all entries of 8 bytes, whose
// addresses end at bit top.
func reserved(r *Regime, top uint8) uint64 {
	m := bitsFrom(r.PhysBits, top)
	if !r.nx() {
		m |= entryNX
	}
	return m
}

// badPS reports whether e, whose bit 7 is set, may not have that, or is a large
// page whose low address bits are not zero. In a page table bit 7 is PAT.
func badPS(e uint64, level int, leaf bool) bool {
	switch {
	case level == 0:
		return false
	case !leaf:
		return true
	}
	return e&bitsFrom(13, uint8(mm.PageShift+9*level-1)) != 0
}

// pae walks PAE tables. The four pointers are read from memory each time, as
// under nested paging (APM Vol. 2, "Nested Paging and VMRUN/#VMEXIT"); a CPU
// that loads them with CR3 checks their reserved bits then. Bit 5 is one of those, but
// QEMU 7.2 sets it there as the accessed bit, and does not mind it.
func (w *walk) pae() {
	at := mm.GPA(w.r.CR3&0xffff_ffe0) + mm.GPA(uint64(w.va)>>30&3*8)
	e, ok := w.load(at, 8)
	if !ok {
		return
	}
	w.path.Entry[0].noA = true
	if e&(bitsFrom(w.r.PhysBits, 63)|bitsFrom(6, 8)|bitsFrom(1, 2)) != 0 {
		w.fail(x86.PFPresent | x86.PFRsvd)
		return
	}
	w.tables(mm.GPA(e&w.frameMask()), 1, reserved(w.r, 62))
}

// legacy walks 32-bit tables, with 4 MiB pages and 40-bit addresses in those
// (PSE-36).
func (w *walk) legacy() {
	va := uint64(w.va)
	e, ok := w.load(mm.GPA(w.r.CR3&0xffff_f000|va>>22*4), 4)
	if !ok {
		return
	}
	if e&entryPS != 0 && w.r.CR4&x86.CR4PSE != 0 {
		// Bits 20:13 are address bits 39:32, as far as the CPU has those; what
		// is left up to bit 21 is reserved.
		if e&bitsFrom(min(w.r.PhysBits, 40)-19, 21) != 0 {
			w.fail(x86.PFPresent | x86.PFRsvd)
			return
		}
		w.restrict(e)
		w.finish(e&0xffc0_0000|e>>13&0xff<<32, 4*mm.MiB)
		return
	}
	w.restrict(e)
	if e, ok = w.load(mm.GPA(e&0xffff_f000|va>>12&0x3ff*4), 4); !ok {
		return
	}
	w.restrict(e)
	w.finish(e&0xffff_f000, mm.PageSize)
}
