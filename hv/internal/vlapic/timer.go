// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import "math"

// minPeriodNS bounds how often a periodic timer can make hv work. KVM has the same
// bound (its parameter min_timer_period_us).
const minPeriodNS = 200_000

// never is the deadline of a timer that is not armed.
const never = math.MaxUint64

// Timer modes, LVT timer bits 18:17.
const (
	modeOneShot  = 0 << 17
	modePeriodic = 1 << 17
	modeDeadline = 2 << 17
)

// timer is the APIC timer (SDM Vol. 3, "APIC Timer"). Its bus clock runs at the
// rate of the TSC, so that counts need no conversion; the guest learns the rate
// from CPUID or by calibration. All times but guest are the host's TSC; now is
// when the guest makes the access (bus.Device).
type timer struct {
	minPeriod uint64

	deadline uint64 // when it fires next; never = not armed
	period   uint64 // of the periodic mode
	offset   uint64 // guest TSC = host TSC + offset
	guest    uint64 // IA32_TSC_DEADLINE, guest TSC; 0 = not armed
	initial  uint32
	dcr      uint32
	shift    uint8 // divider, a power of two, from dcr
}

func (t *timer) reset() {
	t.deadline, t.period, t.guest = never, 0, 0
	t.initial = 0
	t.setDivide(0)
}

// setDivide decodes the divide configuration register: bits 3, 1 and 0 are the
// exponent minus one, modulo 8.
func (t *timer) setDivide(dcr uint32) {
	t.dcr = dcr & 0b1011
	t.shift = uint8((t.dcr&3|t.dcr>>1&4)+1) & 7
}

// Deadline returns the host TSC at which Tick has something to do that the guest
// notices by itself. ok is false when there is no such time: a masked timer runs,
// and is brought up to date when its registers are accessed.
func (l *LAPIC) Deadline() (tsc uint64, ok bool) {
	d := l.timer.deadline
	return d, d != never && l.lvt[lvtTimer].Load()&lvtMasked == 0
}

// Tick fires the timer if its deadline has passed; now is the host's TSC.
func (l *LAPIC) Tick(now uint64) {
	t := &l.timer
	if now < t.deadline || t.deadline == never {
		return
	}
	v := l.lvt[lvtTimer].Load()
	if v&lvtTimerTyp == modePeriodic && t.period != 0 {
		// Periods that passed unseen are one interrupt: IRR holds no more.
		t.deadline += (now-t.deadline)/t.period*t.period + t.period
	} else {
		t.deadline, t.guest = never, 0
	}
	if v&lvtMasked == 0 {
		l.raise(uint8(v))
	}
}

// SetTSCOffset says that guest TSC = host TSC + offset from now on. A pending
// IA32_TSC_DEADLINE keeps its guest time.
func (l *LAPIC) SetTSCOffset(offset, now uint64) {
	l.timer.offset = offset
	if l.timer.guest != 0 {
		l.armDeadline(l.timer.guest, now)
	}
}

// armDeadline arms the timer for a guest TSC, which may lie anywhere.
func (l *LAPIC) armDeadline(guest, now uint64) {
	t := &l.timer
	t.guest = guest
	t.deadline = now
	if g := now + t.offset; guest > g {
		t.deadline = now + (guest - g)
		if t.deadline < now { // beyond the end of the host's TSC
			t.deadline = never
		}
	}
}

func (l *LAPIC) timerMode() uint32 { return l.lvt[lvtTimer].Load() & lvtTimerTyp }

func (l *LAPIC) readTSCDeadline(now uint64) uint64 {
	if l.timer.guest != 0 {
		l.Tick(now)
	}
	return l.timer.guest
}

// writeTSCDeadline is ignored outside TSC-deadline mode (SDM Vol. 3,
// "TSC-Deadline Mode").
func (l *LAPIC) writeTSCDeadline(val, now uint64) {
	if l.timerMode() != modeDeadline {
		return
	}
	if val == 0 {
		l.timer.guest, l.timer.deadline = 0, never
		return
	}
	l.armDeadline(val, now)
}

func (l *LAPIC) writeInitial(v uint32, now uint64) {
	if l.timerMode() == modeDeadline {
		return
	}
	l.timer.initial = v
	l.start(uint64(v), now)
}

// start runs the counter down from count bus clocks divided.
func (l *LAPIC) start(count, now uint64) {
	t := &l.timer
	t.deadline, t.period = never, 0
	if count == 0 || t.initial == 0 {
		return
	}
	span := count << t.shift
	switch l.timerMode() {
	case modePeriodic:
		t.period = max(uint64(t.initial)<<t.shift, t.minPeriod)
		t.deadline = now + max(span, t.minPeriod)
	case modeOneShot:
		t.deadline = now + span
	}
}

// currentCount is the current-count register.
func (l *LAPIC) currentCount(now uint64) uint32 {
	t := &l.timer
	if t.deadline == never || l.timerMode() == modeDeadline {
		return 0
	}
	l.Tick(now)
	if t.deadline == never || t.deadline <= now {
		return 0
	}
	// Round up: a running counter shows 0 only when it has fired. The floor of
	// the period may exceed what the guest asked for.
	left := (t.deadline - now + 1<<t.shift - 1) >> t.shift
	return uint32(min(left, uint64(t.initial)))
}

// writeDivide changes the divider: what is left of the count goes on at the new
// rate.
func (l *LAPIC) writeDivide(v uint32, x2 bool, now uint64) (ok bool) {
	if x2 && v&^0b1011 != 0 {
		return false
	}
	left := l.currentCount(now)
	l.timer.setDivide(v)
	if l.timerMode() != modeDeadline {
		l.start(uint64(left), now)
	}
	return true
}

// writeLVTTimer sets the timer's LVT entry. What was due before the write is
// delivered as the old entry says; a change to or from TSC-deadline mode
// disarms the timer.
func (l *LAPIC) writeLVTTimer(v uint32, x2 bool, now uint64) (ok bool) {
	if x2 && v&lvtTimerTyp == lvtTimerTyp {
		return false
	}
	t := &l.timer
	if t.deadline != never {
		l.Tick(now)
	}
	old := l.lvt[lvtTimer].Swap(v)
	from, to := old&lvtTimerTyp, v&lvtTimerTyp
	switch {
	case from == to:
	case from == modeDeadline || to == modeDeadline || to == lvtTimerTyp:
		t.deadline, t.guest, t.initial = never, 0, 0
	case to == modePeriodic:
		t.period = max(uint64(t.initial)<<t.shift, t.minPeriod)
	}
	return true
}
