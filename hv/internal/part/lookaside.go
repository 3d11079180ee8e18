// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"encoding/binary"

	"ringo/mm"
	"ringo/mm/gwalk"
	"ringo/mm/phys"
	"ringo/mm/pt"
)

// windowWalks is the number of walks that a window remembers, a power of two.
const windowWalks = 16

// Trail is what was read of a domain's memory on the way to a conclusion: the
// entries of its page tables, the bytes of an instruction. The conclusion is not
// believed as a TLB's is, since nobody would hear of a guest's INVLPG, or of
// changed code: what was read is read again, and while it is the same, accessed
// and dirty bits included, the conclusion stands. The zero Trail leads nowhere, and
// a Trail is not copied: it refers to itself.
type Trail struct {
	gen   uint64 // of the domain's second-level tables, for the addresses
	dom   uint32
	laid  []phys.Word  // the first of words: kept, since a slice of them takes checks
	words [8]phys.Word // five entries, and what 15 bytes lie in
}

// Holds reports whether all is as it was when t was laid.
func (w *Window) Holds(t *Trail) bool {
	d := w.d
	return len(t.laid) != 0 && t.dom == d.ID && t.gen == d.Tables.Generation() && d.machine.Phys.Match(t.laid)
}

// Follow translates va, and lays in t the trail of that, or none where that is
// not possible.
//
// Preconditions: r's PhysBits and Page1G are the same for all vCPUs of a domain.
func (w *Window) Follow(r *gwalk.Regime, va mm.GVA, acc gwalk.Access, t *Trail) (mm.GPA, gwalk.Fault) {
	t.gen, t.dom, t.laid = w.d.Tables.Generation(), w.d.ID, nil
	gpa, f := r.Walk(w, va, acc, &w.path)
	if f.Kind != gwalk.OK {
		return gpa, f
	}
	for i := range w.path.Entry[:w.path.Len] {
		if e := &w.path.Entry[i]; !w.lay(t, e.At, e.Value, e.Size) {
			t.laid = nil
			break
		}
	}
	return gpa, f
}

// Code lays in t the trail of an instruction: of its address, and of its bytes,
// code, which were read there. If they lie in two pages there is none.
func (w *Window) Code(r *gwalk.Regime, va mm.GVA, acc gwalk.Access, code []byte, t *Trail) {
	gpa, f := w.Follow(r, va, acc, t)
	if f.Kind != gwalk.OK || uint64(va)%mm.PageSize+uint64(len(code)) > mm.PageSize || len(t.laid) != w.path.Len {
		t.laid = nil
		return
	}
	for len(code) > 0 {
		n := min(len(code), int(8-gpa%8))
		var b [8]byte
		copy(b[:], code[:n])
		if !w.lay(t, gpa, binary.LittleEndian.Uint64(b[:]), uint8(n)) {
			t.laid = nil
			return
		}
		code, gpa = code[n:], gpa+mm.GPA(n)
	}
}

// lay adds size bytes of one quadword at gpa to t. It reports false where there
// is no RAM.
func (w *Window) lay(t *Trail, gpa mm.GPA, value uint64, size uint8) bool {
	hpa, ok := w.at(gpa&^7, 8, pt.Read)
	if !ok {
		return false
	}
	shift := 8 * (uint64(gpa) & 7)
	n := len(t.laid)
	t.words[n] = phys.Word{At: hpa, Mask: ^uint64(0) >> (64 - 8*uint64(size)) << shift, Value: value << shift}
	t.laid = t.words[:n+1]
	return true
}

// walk is a remembered walk of a guest's page tables.
type walk struct {
	page  mm.GVA // the key: page, CR3, and all else that decides
	cr3   uint64
	key   uint64
	gpa   mm.GPA // where the page is
	trail Trail
}

// Translate is r.Translate over w's memory, under the conditions of Follow.
func (w *Window) Translate(r *gwalk.Regime, va mm.GVA, acc gwalk.Access) (mm.GPA, gwalk.Fault) {
	page, key := va&^(mm.PageSize-1), r.Key(acc)
	k := &w.walks[(uint64(va)^r.CR3)/mm.PageSize%windowWalks]
	if k.page == page && k.cr3 == r.CR3 && k.key == key && w.Holds(&k.trail) {
		return k.gpa | mm.GPA(va%mm.PageSize), gwalk.Fault{}
	}
	gpa, f := w.Follow(r, va, acc, &k.trail)
	k.page, k.cr3, k.key, k.gpa = page, r.CR3, key, gpa&^(mm.PageSize-1)
	return gpa, f
}
