// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rtc

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setDate stops the clock, sets all of its date registers, and lets it go on.
func (r *rig) setDate(date [8]byte, b byte) {
	r.set(regB, b|bSet)
	for i, reg := range dateRegs {
		r.set(reg, date[i])
	}
	r.set(regB, b)
}

// A guest may set any date that the registers hold, with every interrupt on:
// while it acknowledges, it gets 1024 a second, and once it is idle one more.
func TestEndOfTime(t *testing.T) {
	for _, c := range []struct {
		name string
		b    byte
		date [8]byte // as dateRegs
		want [8]byte // three seconds later
	}{
		{"1970", b24h, [8]byte{0x19, 0x70, 1, 1, 5, 0, 0, 0}, [8]byte{0x19, 0x70, 1, 1, 5, 0, 0, 3}},
		{"before 1970", b24h, [8]byte{0x19, 0x69, 0x12, 0x31, 4, 0x23, 0x59, 0x59}, [8]byte{0x19, 0x70, 1, 1, 5, 0, 0, 3}},
		{"year 0", b24h, [8]byte{0, 0, 0, 0, 0, 0, 0, 0}, [8]byte{0x19, 0x70, 1, 1, 5, 0, 0, 3}},
		{"2038", b24h, [8]byte{0x20, 0x38, 1, 0x19, 3, 3, 0x14, 6}, [8]byte{0x20, 0x38, 1, 0x19, 3, 3, 0x14, 9}},
		{"2106", b24h, [8]byte{0x21, 6, 2, 7, 1, 6, 0x28, 0x14}, [8]byte{0x21, 6, 2, 7, 1, 6, 0x28, 0x17}},
		{"end", b24h, [8]byte{0x21, 0x99, 0x12, 0x31, 3, 0x23, 0x59, 0x57}, [8]byte{0x21, 0x99, 0x12, 0x31, 3, 0x23, 0x59, 0x59}},
		{"2262, where ns overflow", b24h, [8]byte{0x22, 0x62, 4, 0x11, 6, 0x23, 0x47, 0x15}, [8]byte{0x21, 0x99, 0x12, 0x31, 3, 0x23, 0x59, 0x59}},
		{"9999", b24h, [8]byte{0x99, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59}, [8]byte{0x21, 0x99, 0x12, 0x31, 3, 0x23, 0x59, 0x59}},
		{"25755", b24h | bBinary, [8]byte{255, 255, 255, 255, 255, 255, 255, 255}, [8]byte{21, 99, 12, 31, 3, 23, 59, 59}},
	} {
		for _, irq := range []byte{bPeriodic, bUpdate, bAlarm, bPeriodic | bUpdate | bAlarm} {
			r := newRig(t)
			for _, reg := range []byte{regHrAlarm, regMinAlarm, regSecAlarm} {
				r.set(reg, 0xff)
			}
			r.setDate(c.date, c.b|irq)
			n := 0
			for range 3000 {
				n += r.pass(time.Millisecond)
				r.get(regC)
			}
			if d := cmp.Diff(c.want[:], r.date()); d != "" {
				t.Errorf("%s, interrupts %#x: %s", c.name, irq, d)
			}
			if n > 3*1024 {
				t.Errorf("%s, interrupts %#x: %d callbacks in three seconds", c.name, irq, n)
			}
			if n := r.pass(24 * time.Hour); n > 1 {
				t.Errorf("%s, interrupts %#x: %d callbacks while the guest is idle", c.name, irq, n)
			}
		}
	}
}

// The host's clock may be set back or forward: interrupts go on from there.
func TestHostClockJumps(t *testing.T) {
	for _, d := range []time.Duration{-time.Hour, time.Hour, -time.Nanosecond, 0} {
		r := newRig(t)
		r.set(regB, b24h|bUpdate)
		r.until(r.host + int64(d))
		r.get(regC)
		n := 0
		for range 10 {
			n += r.pass(time.Second)
			r.get(regC)
		}
		if n < 9 || n > 10 {
			t.Errorf("host clock set by %v: %d updates in ten seconds", d, n)
		}
	}
}

func TestAdd(t *testing.T) {
	const most, least = math.MaxInt64, math.MinInt64
	for _, c := range [][3]int64{
		{1, 2, 3}, {-1, 1, 0}, {most, 1, most}, {most, most, most}, {least, -1, least}, {least, least, least},
		{most, least, -1}, {least, 0, least}, {0, most, most}, {most, -1, most - 1},
	} {
		if got := add(c[0], c[1]); got != c[2] {
			t.Errorf("%d + %d = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

// hostTimes are where clocks end.
var hostTimes = []int64{
	start, 0, -1, math.MinInt64, 1<<31*second - second/2, 1<<32*second - second/2, lastTime - second, lastTime,
	math.MaxInt64 - 5*second, math.MaxInt64 - 1, math.MaxInt64,
}

// FuzzAccess makes arbitrary accesses at arbitrary times of the host, whose clock
// also jumps. The line is high exactly when an enabled flag is up; the timer is
// set for later times only, and not while the line is high; what it calls back is
// bounded by the time that passed and by the guest's accesses; a guest that does
// nothing gets one callback more.
func FuzzAccess(f *testing.F) {
	for seed := range int64(8) {
		b := make([]byte, 600)
		rand.New(rand.NewSource(seed)).Read(b)
		f.Add(b)
	}
	f.Add([]byte{ // the last seconds of int64 nanoseconds
		1, regB, bSet | b24h, 1, regCentury, 0x22, 1, regYear, 0x62, 1, regMonth, 4, 1, regDay, 0x11, 1, regHour, 0x23,
		1, regMin, 0x47, 1, regSec, 0x15, 1, regB, b24h | bPeriodic, 2, 255, 255, 0, regC, 0, 2, 255, 255,
	})
	f.Fuzz(func(t *testing.T, ops []byte) {
		r := newRig(t)
		for i := 0; i+2 < len(ops); i += 3 {
			op, reg, v := ops[i], ops[i+1], ops[i+2]
			if op&0x40 != 0 {
				reg &= 0x0f
			}
			from, ticks := r.host, 0
			switch op & 3 {
			case 0:
				r.get(reg)
			case 1:
				r.set(reg, v)
			case 2:
				if op&0x38 == 0x38 {
					ticks = r.until(hostTimes[int(reg)%len(hostTimes)] + int64(int8(v)))
				} else {
					ticks = r.pass(time.Duration(v) * time.Duration(reg) * time.Millisecond / 16)
				}
			case 3:
				r.Write(uint64(op>>2&1), 1<<(op>>4&3), uint64(v)<<8|uint64(reg), 0)
				r.Read(uint64(op>>2&1), 1<<(op>>4&3), 0)
			}
			if ticks > 1 {
				t.Fatalf("%d callbacks from %d to %d without an access", ticks, from, r.host)
			}
			if at := r.time(); at < firstTime || at > lastTime {
				t.Fatalf("the guest's time is %d", at)
			}
			irq := r.reg[regC]&r.reg[regB]&cFlags != 0
			if r.level != irq || irq != (r.reg[regC]&cIRQ != 0) || (len(r.edges) > 0 && r.edges[len(r.edges)-1]) != irq {
				t.Fatalf("level %v, C %#x, B %#x", r.level, r.reg[regC], r.reg[regB])
			}
			if irq && r.at != 0 {
				t.Fatal("armed while pending")
			}
		}
		if r.host > start+int64(100*365*24*time.Hour) || r.host < 0 {
			r.host, r.at = start, 0
		}
		acked := 0
		for end := r.host + second; r.host < end; r.get(regC) {
			acked += r.pass(200 * time.Microsecond)
		}
		if acked > 1024+2 {
			t.Fatalf("%d callbacks in a second", acked)
		}
		if n := r.pass(365 * 24 * time.Hour); n > 1 {
			t.Fatalf("%d callbacks for an idle guest", n)
		}
	})
}
