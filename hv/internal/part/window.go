// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/mm"
	"ringo/mm/pt"
)

// windowPages is the number of pages that a window remembers, a power of two.
const windowPages = 64

// Window is a CPU's view of the RAM of the domain that it serves: it remembers
// where pages are, as a TLB does, until a translation of that domain is taken
// away. It is a gwalk.Memory. The zero Window sees nothing before Use.
type Window struct {
	d     *Domain
	pages [windowPages]windowPage
}

type windowPage struct {
	gen  uint64 // of the domain's tables
	dom  uint32
	ok   bool
	page mm.GPA
	at   mm.HPA
}

// Use makes d the domain that is seen.
func (w *Window) Use(d *Domain) { w.d = d }

// at is memory.ramAt.
func (w *Window) at(gpa mm.GPA, size uint64) (mm.HPA, bool) {
	d := w.d
	page, off := gpa&^(mm.PageSize-1), uint64(gpa)%mm.PageSize
	p := &w.pages[uint64(page)/mm.PageSize%windowPages]
	gen := d.Tables.Generation()
	if !p.ok || p.page != page || p.dom != d.ID || p.gen != gen {
		hpa, _, attr, ok := d.Tables.Lookup(pt.Addr(page))
		if !ok || attr&pt.Uncached != 0 {
			return 0, false
		}
		*p = windowPage{gen: gen, dom: d.ID, ok: true, page: page, at: hpa}
	}
	return p.at + mm.HPA(off), size <= mm.PageSize-off
}

// Read64 reads 8 aligned bytes; it implements gwalk.Memory, as do Read32 and
// Read.
func (w *Window) Read64(gpa mm.GPA) (uint64, bool) {
	hpa, ok := w.at(gpa, 8)
	if !ok || !mm.Aligned(gpa, 8) {
		return 0, false
	}
	return w.d.machine.Phys.Load64(hpa), true
}

// Read32 reads 4 aligned bytes.
func (w *Window) Read32(gpa mm.GPA) (uint32, bool) {
	q, ok := w.Read64(gpa &^ 7)
	return uint32(q >> (8 * (gpa & 4))), ok && mm.Aligned(gpa, 4)
}

// Read copies from one page.
func (w *Window) Read(gpa mm.GPA, b []byte) bool {
	hpa, ok := w.at(gpa, uint64(len(b)))
	if ok {
		w.d.machine.Phys.Read(hpa, b)
	}
	return ok
}

// Write copies to one page.
func (w *Window) Write(gpa mm.GPA, b []byte) bool {
	hpa, ok := w.at(gpa, uint64(len(b)))
	if ok {
		w.d.machine.Phys.Write(hpa, b)
	}
	return ok
}
