// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/mm"
	"ringo/mm/pt"
)

// eoiWord is where a guest ends interrupts without exits: MSR_KVM_PV_EOI_EN and the bit
// that it names; it is the vlapic.Word of a vCPU, and its runner's.
type eoiWord struct {
	v   *VCPU
	msr uint64
	// Where the word is, known for a generation of the domain's tables.
	at    mm.HPA
	gen   uint64
	known bool
	byte  [1]byte // here, since an argument of an interface escapes
}

// Bits of the MSR: the word is aligned to four bytes, one bit is reserved.
const (
	eoiEnabled = 1 << 0
	eoiFlags   = 3
)

// SetEOIWord is a write to MSR_KVM_PV_EOI_EN. It reports false for #GP: reserved bits,
// or an address where no RAM is. It is for v's runner.
func (v *VCPU) SetEOIWord(val uint64) (ok bool) {
	w := eoiWord{v: v, msr: val}
	if val&eoiEnabled == 0 {
		if val&eoiFlags != 0 {
			return false
		}
		v.APIC.SetWord(nil)
		v.eoi = w
		return true
	}
	if _, ok := w.find(); val&eoiFlags != eoiEnabled || !ok {
		return false
	}
	v.APIC.SetWord(nil) // before the word that it may have is forgotten
	v.eoi = w
	v.APIC.SetWord(&v.eoi)
	return true
}

// EOIWord is MSR_KVM_PV_EOI_EN.
func (v *VCPU) EOIWord() uint64 { return v.eoi.msr }

// find returns where the word is. It reports false where the domain has no RAM, any
// more.
func (w *eoiWord) find() (mm.HPA, bool) {
	d := w.v.Dom
	if gen := d.Tables.Generation(); !w.known || w.gen != gen {
		at, _, ok := d.ramAt(mm.GPA(w.msr&^eoiFlags), 4, pt.Write)
		w.at, w.gen, w.known = at, gen, ok
	}
	return w.at, w.known
}

// Get reports whether the bit is set, as it is where the guest cannot have cleared it.
func (w *eoiWord) Get() bool {
	at, ok := w.find()
	return !ok || w.v.Dom.machine.Phys.Load64(at&^7)>>(8*(at&7))&1 != 0
}

// Set sets or clears the bit, and writes nothing but the byte that it is in: what lies
// around it is the guest's.
func (w *eoiWord) Set(on bool) bool {
	at, ok := w.find()
	if !ok {
		return false
	}
	m := w.v.Dom.machine.Phys
	w.byte[0] = uint8(m.Load64(at&^7)>>(8*(at&7))) &^ 1
	if on {
		w.byte[0] |= 1
	}
	m.Write(at, w.byte[:])
	return true
}
