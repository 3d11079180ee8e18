// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/mm"
	"ringo/mm/gwalk"
	"ringo/mm/pt"
)

// windowPages is the number of pages that a window remembers, a power of two.
const windowPages = 64

// Window is a CPU's view of the RAM of the domain that it serves: it remembers
// where pages are, as a TLB does, until a translation of that domain is taken
// away, and how the guest's page tables led there (lookaside.go). The zero Window
// sees nothing before Use.
//
// No lock is needed: memory is not freed while one of the domain's vCPUs runs.
type Window struct {
	d     *Domain
	pages [windowPages]windowPage
	walks [windowWalks]walk
	path  gwalk.Path // of the walk under way
}

type windowPage struct {
	gen  uint64 // of the domain's tables
	dom  uint32
	attr pt.Attr // 0: nothing is remembered
	page mm.GPA
	at   mm.HPA
}

var (
	_ gwalk.Memory = (*Window)(nil)
	_ gwalk.Marker = (*Window)(nil)
)

// Use makes d the domain that is seen.
//
// Preconditions: the caller is the runner of one of d's vCPUs.
func (w *Window) Use(d *Domain) { w.d = d }

// at returns where size bytes of one page are, if the domain may use them so.
func (w *Window) at(gpa mm.GPA, size uint64, need pt.Attr) (mm.HPA, bool) {
	d := w.d
	page, off := gpa&^(mm.PageSize-1), uint64(gpa)%mm.PageSize
	p := &w.pages[uint64(page)/mm.PageSize%windowPages]
	if gen := d.Tables.Generation(); p.page != page || p.dom != d.ID || p.gen != gen || p.attr&need == 0 {
		hpa, attr, ok := d.ramAt(page, mm.PageSize, need)
		if !ok {
			return 0, false
		}
		*p = windowPage{gen: gen, dom: d.ID, attr: attr, page: page, at: hpa}
	}
	return p.at + mm.HPA(off), size <= mm.PageSize-off
}

// Read64 reads 8 aligned bytes; it implements gwalk.Memory, as do Read32 and
// Read.
func (w *Window) Read64(gpa mm.GPA) (uint64, bool) {
	hpa, ok := w.at(gpa, 8, pt.Read)
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
	hpa, ok := w.at(gpa, uint64(len(b)), pt.Read)
	if ok {
		w.d.machine.Phys.Read(hpa, b)
	}
	return ok
}

// Write copies to one page, if the domain may write it.
func (w *Window) Write(gpa mm.GPA, b []byte) bool {
	hpa, ok := w.at(gpa, uint64(len(b)), pt.Write)
	if ok {
		w.d.machine.Phys.Write(hpa, b)
	}
	return ok
}

// Swap puts size bytes of new, 1 to 8, at gpa in one step if they are old. ok
// is false where they are not within one aligned quadword that the domain may
// write.
func (w *Window) Swap(gpa mm.GPA, size uint8, old, new uint64) (swapped, ok bool) {
	shift := 8 * (uint64(gpa) & 7)
	word := gpa &^ 7
	if size == 0 || uint64(size) > 8-uint64(gpa)&7 {
		return false, false
	}
	hpa, ok := w.at(word, 8, pt.Write)
	if !ok {
		return false, false
	}
	mask := ^uint64(0) >> (64 - 8*uint64(size)) << shift
	// Neighbours may change meanwhile; that others do for ever is their CPUs'
	// time as much as this one's, so a few attempts must do.
	for range 8 {
		was := w.d.machine.Phys.Load64(hpa)
		if (was^old<<shift)&mask != 0 {
			return false, true
		}
		if w.d.machine.Phys.CompareAndSwap64(hpa, was, was&^mask|new<<shift&mask) {
			return true, true
		}
	}
	return false, true
}

// Mark implements gwalk.Marker.
func (w *Window) Mark(gpa mm.GPA, size uint8, old, bits uint64) bool {
	swapped, ok := w.Swap(gpa, size, old, old|bits)
	return swapped || !ok
}
