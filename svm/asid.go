// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

// asids hands out the address-space identifiers of one CPU (APM Vol. 2, "TLB
// Control"). An identifier names one vCPU's translations within a generation;
// when none is left, a new generation starts with an empty TLB. ASID 0 is the
// host's. Only the thread bound to the CPU uses it.
type asids struct {
	limit uint32 // number of identifiers, 0 included
	next  uint32
	gen   uint64 // 0 before the first take: no vCPU's
}

// newASIDs makes the first take flush: what the TLB held before is unknown.
func newASIDs(limit uint32) asids { return asids{limit: limit, next: limit} }

// left reports whether an identifier is left in this generation.
func (a *asids) left() bool { return a.next < a.limit }

// take returns an identifier that names no translation in this CPU's TLB, once
// the whole TLB was flushed if flush is true.
func (a *asids) take() (asid uint32, flush bool) {
	if !a.left() {
		a.gen++
		a.next = 1
		flush = true
	}
	asid = a.next
	a.next++
	return asid, flush
}
