// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package gwalk

import "ringo/mm"

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
