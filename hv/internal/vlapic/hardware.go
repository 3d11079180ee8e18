// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "ringo/hv/x86"

// This file gives the life of an interrupt to a CPU that can lead it by itself:
//
//	SetIRR (any CPU)     Load (owner)              the CPU            EOI (guest)
//	  IRR |= v ─posted─▶ page's IRR |= v ─entry─▶ IRR ─▶ ISR, IDT ──▶ ISR &= ^v
//	                                                                  TMR: Wrote
//
// There is one truth at a time. While away is false it is in the fields of the
// LAPIC, as without such a CPU, and every method works on them. Load takes it to
// the page; from then on TPR, PPR, ISR and IRR are there, and irr holds only what
// was posted since. Methods that read them look there; those that change them
// fetch the state back first, and the next entry needs a Load again.

// Hardware is a CPU that may keep TPR, PPR, ISR and IRR while the guest runs;
// see hv/vcpu.LocalAPIC.
type Hardware interface {
	APIC() *x86.APICPage
	LoadAPIC(x2 bool)
}

// Attach lets hw keep the state while the guest runs, if it can.
//
// Preconditions: the vCPU has not run yet.
func (l *LAPIC) Attach(hw Hardware) {
	if page := hw.APIC(); page != nil {
		l.hw, l.page = hw, page
	}
}

// Virtual reports whether the CPU delivers interrupts by itself: then Load takes
// the place of Pending and Ack.
func (l *LAPIC) Virtual() bool { return l.hw != nil }

// Settled reports whether the next entry can do without Load and Threshold, and
// has nothing to deliver.
func (l *LAPIC) Settled() bool {
	if l.hw != nil {
		return l.away && l.shown && l.posted.Load() == 0
	}
	vec, pending := l.Pending()
	return !pending && (vec == 0 || !l.MaskedByTPR())
}

// Load makes the CPU's page up to date before an entry. It does nothing without
// [LAPIC.Virtual].
func (l *LAPIC) Load() {
	if l.hw == nil || l.Settled() {
		return
	}
	l.posted.Store(0) // before irr is read: see collect
	p := l.page
	if !l.away {
		*p.Reg(regTPR), *p.Reg(regPPR) = uint32(l.tpr), uint32(l.ppr)
		for i := range l.isr {
			p.SetVectors(regISR, i, l.isr[i])
			p.SetVectors(regIRR, i, 0)
		}
		l.away = true
	}
	for i := range l.irr {
		if l.irr[i].Load() != 0 {
			p.SetVectors(regIRR, i, p.Vectors(regIRR, i)|l.irr[i].Swap(0))
		}
	}
	// After IRR: who posts sets TMR first, so the CPU never has a level-triggered
	// interrupt whose end it would not report.
	if l.turned.Load() != 0 {
		l.turned.Store(0) // before TMR is read
		for i := range l.tmr {
			p.SetVectors(regTMR, i, l.tmr[i].Load())
		}
	}
	if !l.shown {
		l.show()
	}
	l.hw.LoadAPIC(l.shows())
}

// show puts the registers into the page that only the guest's writes change: in
// x2APIC mode it reads them there.
func (l *LAPIC) show() {
	l.shown = true
	if l.mode.Load()&modeX2 == 0 {
		return
	}
	for _, r := range shown {
		v, _ := l.read(uint32(r), true, 0) // none of them is the timer's count
		l.showOne(r, v)
	}
}

// showOne puts the value of a register there.
func (l *LAPIC) showOne(r uint8, v uint64) {
	*l.page.Reg(int(r)) = uint32(v)
	l.page[4*int(r)+1] = uint32(v >> 32)
}

// shown are the registers of show.
var shown = [...]uint8{
	regID, regVersion, regLDR, regSVR, regESR, regICR, regLVT, regLVT + 1, regLVT + 2,
	regLVT + 3, regLVT + 4, regLVT + 5, regInitial, regDivide,
}

// fetch takes the state back from the page.
func (l *LAPIC) fetch() {
	if !l.away {
		return
	}
	l.away = false
	p := l.page
	l.tpr = uint8(*p.Reg(regTPR))
	for i := range l.isr {
		l.isr[i] = p.Vectors(regISR, i)
		if w := p.Vectors(regIRR, i); w != 0 {
			l.irr[i].Or(w)
		}
	}
	l.isr[0] &^= 0xffff
	l.isrMax, l.irrMax = l.isr.highest(), l.irr.highest()
	l.updatePPR()
}

// pendingAway is Pending without taking the state back: somebody asks whether the vCPU
// sleeps on.
func (l *LAPIC) pendingAway() (vector uint8, ok bool) {
	vector = max(l.page.Highest(regIRR), l.irr.highest())
	return vector, classOf(vector) > classOf(uint8(*l.page.Reg(regPPR)))
}

// Away reports whether the CPU has the state: TPR and CR8 are one then.
func (l *LAPIC) Away() bool { return l.away }

// endAway is EOI in the page, and tprAway a write to TPR: those are the accesses that
// are frequent in xAPIC mode, where they exit.
func (l *LAPIC) endAway() {
	v := l.page.Highest(regISR)
	if v == 0 {
		return
	}
	*l.page.Reg(regISR + int(v>>5)) &^= 1 << (v & 31)
	l.ppAway()
	l.hw.LoadAPIC(l.shows())
	if l.tmr.test(v) {
		l.endLevel(v)
	}
}

func (l *LAPIC) tprAway(tpr uint8) {
	*l.page.Reg(regTPR) = uint32(tpr)
	l.ppAway()
}

// ppAway makes the page's PPR follow its TPR and ISR.
func (l *LAPIC) ppAway() {
	tpr, isr := uint8(*l.page.Reg(regTPR)), l.page.Highest(regISR)
	if classOf(tpr) < classOf(isr) {
		tpr = isr &^ 15
	}
	*l.page.Reg(regPPR) = uint32(tpr)
}

// shows reports whether the guest reaches the page's registers as MSRs.
func (l *LAPIC) shows() bool {
	const both = modeX2 | modeSW
	return l.mode.Load()&both == both
}

// Wrote does the rest of a guest's write to register reg that the CPU has carried
// out: the end of level-triggered interrupt vector, or a SELF IPI with a vector
// that no interrupt can have.
func (l *LAPIC) Wrote(reg, vector uint8) {
	switch reg {
	case regEOI:
		if l.tmr.test(vector) {
			l.endLevel(vector)
		}
	case regSelfIPI:
		l.raiseError(errSendIllegal)
	}
}

// SyncCR8 keeps CR8 and the task priority together before an entry: cr8 is what
// the guest has in CR8. If it has written the register instead, set is true and
// class is to be put into CR8.
func (l *LAPIC) SyncCR8(cr8 uint8) (class uint8, set bool) {
	switch {
	case cr8 == classOf(l.tpr) && !l.tprWritten, l.away:
		return 0, false // one and the same
	case l.tprWritten:
		l.tprWritten = false
		return classOf(l.tpr), classOf(l.tpr) != cr8
	}
	l.SetCR8(cr8)
	return 0, false
}

// Threshold is the class below which a lower task priority lets an interrupt
// through: the run loop must then see writes to CR8. 0 is none. changed says that
// it is not what the last call returned. With [LAPIC.Virtual] there is none.
//
// Preconditions: Pending has just been called.
func (l *LAPIC) Threshold() (class uint8, changed bool) {
	if l.irrMax|l.threshold == 0 {
		return 0, false // as most of the time
	}
	return l.newThreshold()
}

func (l *LAPIC) newThreshold() (class uint8, changed bool) {
	if l.hw != nil {
		return 0, false
	}
	if l.MaskedByTPR() {
		class = classOf(l.irrMax)
	}
	changed = class != l.threshold
	l.threshold = class
	return class, changed
}
