// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

// This file lets a guest end interrupts without an exit, by KVM's PV EOI (Linux,
// Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN): while a bit in the guest's memory
// is set, the interrupt in service with the highest vector may be ended by clearing it,
// in one instruction that tests it too, instead of a write to EOI.
//
//	Offer: the bit is set ──the guest──▶ it clears it, or writes EOI, or neither
//	       offered                       look, Withdraw: ISR &= ^v if it has
//
// The bit is set only while nothing waits for that end: no interrupt is pending that
// it would let through, and no I/O APIC wants to hear of it. So nothing happens when the
// guest clears it, and hv may learn of it late: whoever is about to use ISR or PPR looks
// first. What comes meanwhile is posted, which makes the run loop look before the guest
// can go on.

// Word is that bit. Its methods are called by the owner only.
type Word interface {
	Get() bool
	// Set sets or clears it. It reports false, and does nothing, where it cannot.
	Set(bool) bool
}

// SetWord makes w the guest's bit; nil is none.
//
// Preconditions: not [LAPIC.Virtual]. The owner calls it.
func (l *LAPIC) SetWord(w Word) {
	l.Withdraw()
	l.word = w
}

// Offer lets the guest end the highest interrupt in service by its bit, or no more. It
// is the last thing before an entry, when an interrupt above PPR that is still pending
// has the backend watch for the moment at which it can be taken.
//
// Preconditions: nothing but [LAPIC.Ack] and [LAPIC.Threshold] since [LAPIC.Pending].
func (l *LAPIC) Offer() {
	if l.word != nil {
		l.offer()
	}
}

func (l *LAPIC) offer() {
	held := l.irrMax != 0 && classOf(l.irrMax) <= classOf(l.ppr)
	if may := l.isrMax != 0 && !held && !l.tmr.test(l.isrMax); may != l.offered {
		l.offered = l.word.Set(may) && may
	}
}

// look takes note of what the guest has done with its bit.
func (l *LAPIC) look() {
	if l.offered && !l.word.Get() {
		l.offered = false
		l.end()
	}
}

// Withdraw takes note of what the guest has done with its bit, and clears it. From then
// on, until the next Offer, others than the owner may call Pending for it, which the
// guest's memory is not for.
func (l *LAPIC) Withdraw() {
	if l.offered {
		l.withdraw()
	}
}

func (l *LAPIC) withdraw() {
	if l.look(); l.offered {
		l.offered = false
		l.word.Set(false)
	}
}
