// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "errors"

// State is everything a guest can notice of a local APIC: for save, restore and
// migration. It has no padding that matters and no pointers.
type State struct {
	IRR, ISR, TMR [4]uint64
	LVT           [lvtCount]uint32
	Mode          uint32 // bit 0 globally enabled, 1 x2APIC
	TPR           uint32
	LDR, DFR      uint32
	SVR           uint32
	ESR, Errors   uint32 // visible, and not yet latched
	Initial       uint32
	Divide        uint32
	Pins          uint32
	ICR           uint64
	TSCDeadline   uint64 // guest TSC, 0 = not armed
	// Left is the number of bus clocks until the counter fires; 0 = not armed.
	Left uint64
}

// ErrState says that a State is not one that Export made.
var ErrState = errors.New("vlapic: impossible saved state")

// Export returns the state of l. now is the host's TSC.
func (l *LAPIC) Export(now uint64) State {
	l.fetch()
	l.Withdraw()
	t := &l.timer
	s := State{
		ISR: l.isr, Mode: l.mode.Load() & (modeHW | modeX2), TPR: uint32(l.tpr),
		LDR: l.ldr.Load(), DFR: l.dfr.Load(), SVR: l.svr, ESR: l.esr, Errors: l.errs.Load(),
		Initial: t.initial, Divide: t.dcr, Pins: l.pins.Load(), ICR: l.icr, TSCDeadline: t.guest,
	}
	for i := range 4 {
		s.IRR[i], s.TMR[i] = l.irr[i].Load(), l.tmr[i].Load()
	}
	for i := range l.lvt {
		s.LVT[i] = l.lvt[i].Load()
	}
	if t.deadline != never && t.guest == 0 {
		s.Left = 1
		if t.deadline > now {
			s.Left = min(t.deadline-now, maxLeft)
		}
	}
	return s
}

// Import puts l into state s, which is checked as if a guest had made it up.
// now is the host's TSC; the TSC offset must have been set. On error l is unchanged.
//
// Preconditions: the vCPU does not run, and nobody posts to it.
func (l *LAPIC) Import(s *State, now uint64) error {
	if !s.valid() {
		return ErrState
	}
	l.mode.Store(s.Mode)
	l.initState()
	if s.SVR&svrEnable != 0 {
		l.mode.Or(modeSW)
	}
	for i := range 4 {
		l.irr[i].Store(s.IRR[i])
		l.tmr[i].Store(s.TMR[i])
	}
	for i := range l.lvt {
		l.lvt[i].Store(s.LVT[i])
	}
	l.isr, l.isrMax = s.ISR, (*vectors)(&s.ISR).highest()
	l.tpr, l.svr, l.esr, l.icr = uint8(s.TPR), s.SVR, s.ESR, s.ICR
	l.ldr.Store(s.LDR)
	l.dfr.Store(s.DFR)
	l.errs.Store(s.Errors)
	l.pins.Store(s.Pins)
	l.updatePPR()
	l.posted.Store(1)
	l.importTimer(s, now)
	return nil
}

func (l *LAPIC) importTimer(s *State, now uint64) {
	t := &l.timer
	t.initial = s.Initial
	t.setDivide(s.Divide)
	switch l.timerMode() {
	case modeDeadline:
		if s.TSCDeadline != 0 {
			l.armDeadline(s.TSCDeadline, now)
		}
	case modePeriodic:
		t.period = max(uint64(t.initial)<<t.shift, t.minPeriod)
	}
	if s.Left != 0 {
		t.deadline = now + s.Left
	}
}

// maxLeft is the longest count: 32 bits divided by 128.
const maxLeft = 1 << 40

func (s *State) valid() bool {
	const low = 0xffff // vectors 0 to 15
	if (s.IRR[0]|s.ISR[0]|s.TMR[0])&low != 0 {
		return false
	}
	for i, v := range s.LVT {
		if v&^lvtWritable[i] != 0 || s.SVR&svrEnable == 0 && v&lvtMasked == 0 {
			return false
		}
	}
	mode := s.LVT[lvtTimer] & lvtTimerTyp
	switch {
	case s.Mode == modeX2 || s.Mode&^(modeHW|modeX2) != 0,
		s.SVR&^svrWritable != 0, s.TPR > 0xff, s.Divide&^0b1011 != 0, s.Pins > 3,
		s.DFR&dfrReserved != dfrReserved, s.LDR&0xff_ffff != 0,
		s.ICR&0xffff_ffff&^icrWritable != 0,
		s.TSCDeadline != 0 && mode != modeDeadline,
		s.Left != 0 && (mode == modeDeadline || s.Initial == 0 || s.Left > maxLeft):
		return false
	}
	return true
}
