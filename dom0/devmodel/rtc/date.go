// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rtc

import (
	"math"
	"time"
)

// The guest's time stays within the years 1970 to 2199, in ns since 1970: there
// nanoseconds neither overflow nor are negative. A date outside of them becomes
// the nearest within, and the clock stands still when it gets to the end.
var (
	firstTime = int64(0)
	lastTime  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() - 1
)

// add is a+b, or the end of the range where that overflows.
func add(a, b int64) int64 {
	switch s := a + b; {
	case a > 0 && b > 0 && s < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && s >= 0:
		return math.MinInt64
	default:
		return s
	}
}

// within brings a time into the range of the clock.
func within(t int64) int64 { return min(max(t, firstTime), lastTime) }

// floor divides rounding down; the time may lie before 1970.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// load brings the time registers to a second since 1970. A guest reads a date
// register by register: the conversion is made once a second.
func (r *RTC) load(sec int64) {
	if r.cached == sec {
		return
	}
	r.cached = sec
	t := time.Unix(sec, 0).UTC()
	year, month, day := t.Date()
	hour, minute, s := t.Clock()
	year = min(max(year, 0), 9999)
	r.reg[regSec] = r.code(s)
	r.reg[regMin] = r.code(minute)
	r.reg[regHour] = r.codeHour(hour)
	r.reg[regWeekday] = r.code(int(t.Weekday()) + 1)
	r.reg[regDay] = r.code(day)
	r.reg[regMonth] = r.code(int(month))
	r.reg[regYear] = r.code(year % 100)
	r.reg[regCentury] = r.code(year / 100)
}

// store makes the time registers the time: the seconds go on from here.
func (r *RTC) store() {
	t := time.Date(
		r.decode(regCentury)*100+r.decode(regYear), time.Month(r.decode(regMonth)), r.decode(regDay),
		r.decodeHour(r.reg[regHour]), r.decode(regMin), r.decode(regSec), 0, time.UTC)
	host := r.host()
	was := r.at(host)
	sec := min(max(t.Unix(), floor(firstTime, second)), floor(lastTime, second))
	r.offset = sec*second + was - floor(was, second)*second - host
	r.cached = -1
	r.seen = r.at(host)
	r.update()
}

// code is v in the format of the registers, BCD or binary (register B, DM).
func (r *RTC) code(v int) byte {
	if r.reg[regB]&bBinary != 0 {
		return byte(v)
	}
	return byte(v/10<<4 | v%10)
}

func (r *RTC) decode(i byte) int { return r.decodeByte(r.reg[i]) }

func (r *RTC) decodeByte(b byte) int {
	if r.reg[regB]&bBinary != 0 {
		return int(b)
	}
	return int(b>>4)*10 + int(b&15)
}

// codeHour and decodeHour also know the 12-hour format, whose bit 7 is PM.
func (r *RTC) codeHour(h int) byte {
	if r.reg[regB]&b24h != 0 {
		return r.code(h)
	}
	pm := byte(h / 12 << 7)
	if h %= 12; h == 0 {
		h = 12
	}
	return r.code(h) | pm
}

func (r *RTC) decodeHour(b byte) int {
	if r.reg[regB]&b24h != 0 {
		return r.decodeByte(b)
	}
	h := r.decodeByte(b&0x7f) % 12
	if b&0x80 != 0 {
		h += 12
	}
	return h
}
