// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rtc

import "time"

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
	now := r.now()
	frac := now + r.offset - floor(now+r.offset, second)*second
	r.offset = t.Unix()*second + frac - now
	r.cached = -1
	r.seen = now + r.offset
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
