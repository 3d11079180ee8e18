// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rtc

import "math"

// update sets the flags for the time that has passed, then the interrupt line
// and the timer.
func (r *RTC) update() {
	host := r.host()
	now := r.at(host)
	if now > r.seen {
		if p := r.period(); p > 0 && floor(now, p) != floor(r.seen, p) {
			r.reg[regC] |= bPeriodic
		}
		if r.counting() && floor(now, second) != floor(r.seen, second) {
			r.reg[regC] |= bUpdate
			if at := r.alarm(floor(r.seen, second)); at >= 0 && at <= floor(now, second) {
				r.reg[regC] |= bAlarm
			}
		}
	}
	r.seen = now // also when the host's clock was set back
	level := r.reg[regC]&r.reg[regB]&cFlags != 0
	r.reg[regC] &^= cIRQ
	if level {
		r.reg[regC] |= cIRQ
	}
	if level != r.level {
		r.level = level
		r.line.Set(level)
	}
	r.arm(host)
}

// arm sets the timer for the next event whose interrupt is enabled, unless one
// is pending already. It is always later than host, the host's time up to which
// the flags are computed, by minDelay at least: a timer that fired raises a flag, and a flag that is
// up needs no timer. So a guest that does nothing costs one callback at most.
func (r *RTC) arm(host int64) {
	if r.timer == nil {
		return
	}
	at, b := int64(0), r.reg[regB]
	next := func(t int64) {
		if at == 0 || t < at {
			at = t
		}
	}
	if !r.level {
		if p := r.period(); b&bPeriodic != 0 && p > 0 {
			next((floor(r.seen, p) + 1) * p)
		}
		sec := floor(r.seen, second)
		if b&bUpdate != 0 && r.counting() {
			next((sec + 1) * second)
		}
		if b&bAlarm != 0 && r.counting() {
			if t := r.alarm(sec); t >= 0 {
				next(t * second)
			}
		}
	}
	if at > lastTime {
		at = 0 // the clock stands still before
	}
	if at != 0 {
		at = max(add(at, -r.offset), add(host, minDelay))
	}
	if at == math.MaxInt64 {
		at = 0 // the host's clock ends before
	}
	if at != r.armed {
		r.armed = at
		r.timer.Set(at)
	}
}

// period is that of the periodic interrupt in ns, 0 when it is off (MC146818A
// data sheet, "Periodic Interrupt Rate"). Faster rates are slowed to minPeriod.
func (r *RTC) period() int64 {
	rate := r.reg[regA] & aRate
	if rate == 0 || r.reg[regA]&aDivider != aRunning {
		return 0
	}
	if rate <= 2 {
		rate += 7 // 1 and 2 mean 256 and 128 Hz
	}
	return max(int64(second)<<(rate-1)/32768, minPeriod)
}

// alarm returns the first second after sec whose time of day matches the alarm
// registers, -1 if there is none. It takes at most some 300 steps: hours, then
// minutes, then seconds are skipped whole.
func (r *RTC) alarm(sec int64) int64 {
	if !r.possible(regHrAlarm, 24) || !r.possible(regMinAlarm, 60) || !r.possible(regSecAlarm, 60) {
		return -1
	}
	t, end := sec+1, sec+1+2*86400
	for t < end {
		day := t - floor(t, 86400)*86400
		switch {
		case !r.matches(regHrAlarm, int(day/3600)):
			t += 3600 - day%3600
		case !r.matches(regMinAlarm, int(day/60%60)):
			t += 60 - day%60
		case !r.matches(regSecAlarm, int(day%60)):
			t++
		default:
			return t
		}
	}
	return -1
}

// possible reports whether an alarm register matches any value below n.
func (r *RTC) possible(i byte, n int) bool {
	for v := range n {
		if r.matches(i, v) {
			return true
		}
	}
	return false
}

// matches compares with an alarm register; the top two bits mean "any".
func (r *RTC) matches(i byte, v int) bool {
	a := r.reg[i]
	if a&0xc0 == 0xc0 {
		return true
	}
	if i == regHrAlarm {
		return r.codeHour(v) == a
	}
	return r.code(v) == a
}
