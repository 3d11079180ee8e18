// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package gwalk

import "ringo/mm"

// Writer is guest RAM that can be written.
type Writer interface {
	Memory
	// Write copies b to a; b does not cross a 4 KiB boundary.
	Write(a mm.GPA, b []byte) bool
}

// ReadVirtual copies len(b) bytes at va to b, page by page. It returns how many
// it copied before the fault. Addresses wrap at 4 GiB outside of long mode.
//
// b reaches Memory through an interface, so a caller that must not allocate
// keeps it in memory that it has already.
func (r *Regime) ReadVirtual(m Memory, b []byte, va mm.GVA, acc Access) (int, Fault) {
	for n := 0; n < len(b); {
		at := r.next(va, n)
		part := b[n:min(len(b), n+pageLeft(at))]
		gpa, f := r.Translate(m, at, acc)
		if f.Kind != OK {
			return n, f
		}
		if !m.Read(gpa, part) {
			return n, Fault{Kind: Unbacked, Addr: at, GPA: gpa}
		}
		n += len(part)
	}
	return len(b), Fault{}
}

// WriteVirtual copies b to va. It translates all pages before it writes to the
// first, so that a page fault finds nothing written.
func (r *Regime) WriteVirtual(m Writer, b []byte, va mm.GVA, acc Access) Fault {
	for n := 0; n < len(b); n += pageLeft(r.next(va, n)) {
		if _, f := r.Translate(m, r.next(va, n), acc|Write); f.Kind != OK {
			return f
		}
	}
	for n := 0; n < len(b); {
		at := r.next(va, n)
		part := b[n:min(len(b), n+pageLeft(at))]
		gpa, f := r.Translate(m, at, acc|Write)
		if f.Kind != OK {
			return f
		}
		if !m.Write(gpa, part) {
			return Fault{Kind: Unbacked, Addr: at, GPA: gpa}
		}
		n += len(part)
	}
	return Fault{}
}

// next returns the address n bytes after va.
func (r *Regime) next(va mm.GVA, n int) mm.GVA {
	va += mm.GVA(n)
	if !r.Long() {
		va &= 0xffff_ffff
	}
	return va
}

// pageLeft returns the number of bytes from va to the end of its page.
func pageLeft(va mm.GVA) int { return int(mm.PageSize - va%mm.PageSize) }
