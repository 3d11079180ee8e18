// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
	"ringo/mm/pt"
)

// windowWalks is the number of walks that a window remembers, a power of two.
const windowWalks = 32

// walk is a successful walk of a guest's page tables. It is not believed as a
// TLB is, since nobody would hear of a guest's INVLPG: the entries that it read
// are read again, and while they are what they were, accessed and dirty bits
// included, the walk would end where it did. That takes a load and a comparison
// each.
type walk struct {
	page mm.GVA // the key: page, CR3, and all else that decides
	cr3  uint64
	how  uint64
	gen  uint64 // of the domain's second-level tables, for entry.at and host
	dom  uint32
	n    uint8 // entries; 0: nothing is remembered
	ram  bool  // the page is RAM, at host
	gpa  mm.GPA
	host mm.HPA
	path [5]entry
}

// entry is a page-table entry: the bits of mask of the quadword at.
type entry struct {
	at          mm.HPA
	mask, value uint64
}

// The bits of the control registers that decide about a translation. They are at
// different places, so that one word holds all of them, and the access.
const (
	howCR0  = x86.CR0PG | x86.CR0WP
	howCR4  = x86.CR4PSE | x86.CR4PAE | x86.CR4LA57 | x86.CR4SMEP | x86.CR4SMAP
	howEFER = x86.EFERLMA | x86.EFERNXE
	howAcc  = 32
)

// Compile-time check: no two of them share a bit.
var _ = [1]struct{}{}[howCR0&howCR4|howCR0&howEFER|howCR4&howEFER]

func how(r *gwalk.Regime, acc gwalk.Access) uint64 {
	return r.CR0&howCR0 | r.CR4&howCR4 | r.EFER&howEFER | uint64(acc)<<howAcc
}

// Translate is r.Translate, over w's memory.
//
// Preconditions: r's PhysBits and Page1G are the same for all vCPUs of a domain.
func (w *Window) Translate(r *gwalk.Regime, va mm.GVA, acc gwalk.Access) (mm.GPA, gwalk.Fault) {
	if k := w.remembered(r, va, acc); k != nil {
		return k.gpa + mm.GPA(va%mm.PageSize), gwalk.Fault{}
	}
	return w.descend(r, va, acc)
}

// Fetch is r.ReadVirtual, over w's memory.
func (w *Window) Fetch(r *gwalk.Regime, b []byte, va mm.GVA, acc gwalk.Access) (int, gwalk.Fault) {
	off := uint64(va) % mm.PageSize
	if off+uint64(len(b)) > mm.PageSize {
		return r.ReadVirtual(w, b, va, acc)
	}
	if k := w.remembered(r, va, acc); k != nil && k.ram {
		w.d.machine.Phys.Read(k.host+mm.HPA(off), b)
		return len(b), gwalk.Fault{}
	}
	gpa, f := w.descend(r, va, acc)
	switch {
	case f.Kind != gwalk.OK:
		return 0, f
	case !w.Read(gpa, b):
		return 0, gwalk.Fault{Kind: gwalk.Unbacked, Addr: va, GPA: gpa}
	}
	return len(b), gwalk.Fault{}
}

// slot is where the walk of va is remembered.
func (w *Window) slot(cr3 uint64, va mm.GVA) *walk {
	return &w.walks[(uint64(va)^cr3)/mm.PageSize%windowWalks]
}

// remembered returns the walk of va if it would end as it did, nil if not, or
// nothing is known.
func (w *Window) remembered(r *gwalk.Regime, va mm.GVA, acc gwalk.Access) *walk {
	k := w.slot(r.CR3, va)
	d := w.d
	if k.page != va&^(mm.PageSize-1) || k.cr3 != r.CR3 || k.how != how(r, acc) ||
		k.dom != d.ID || k.gen != d.Tables.Generation() {
		return nil
	}
	mem := d.machine.Phys
	for i := range k.path[:k.n] {
		if e := &k.path[i]; (mem.Load64(e.at)^e.value)&e.mask != 0 {
			return nil
		}
	}
	if k.n == 0 {
		return nil
	}
	return k
}

// descend walks the tables and remembers the way.
func (w *Window) descend(r *gwalk.Regime, va mm.GVA, acc gwalk.Access) (mm.GPA, gwalk.Fault) {
	gen := w.d.Tables.Generation()
	gpa, f := r.Walk(w, va, acc, &w.path)
	k := w.slot(r.CR3, va)
	if k.n = 0; f.Kind != gwalk.OK || w.path.Len == 0 {
		return gpa, f
	}
	for i := range w.path.Entry[:w.path.Len] {
		e := &w.path.Entry[i]
		hpa, ok := w.at(e.At&^7, 8, pt.Read)
		if !ok {
			return gpa, f
		}
		shift := 8 * (uint64(e.At) & 7)
		k.path[i] = entry{hpa, ^uint64(0) >> (64 - 8*uint64(e.Size)) << shift, e.Value << shift}
	}
	k.page, k.gpa = va&^(mm.PageSize-1), gpa&^(mm.PageSize-1)
	k.cr3, k.how = r.CR3, how(r, acc)
	k.dom, k.gen, k.n = w.d.ID, gen, uint8(w.path.Len)
	k.host, k.ram = w.at(k.gpa, 1, pt.Read)
	return gpa, f
}
