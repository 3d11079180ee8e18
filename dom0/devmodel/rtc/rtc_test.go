// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package rtc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type rig struct {
	*testing.T
	*RTC
	host  int64
	at    int64 // armed
	edges []bool
}

func (r *rig) Set(at int64) {
	if at != 0 && at <= r.host {
		r.Errorf("armed at %d, now is %d", at, r.host)
	}
	r.at = at
}

type line struct{ r *rig }

func (l line) Set(v bool) { l.r.edges = append(l.r.edges, v) }

// start is 2026-11-20 13:04:05.5 UTC, a Friday.
var start = time.Date(2026, 11, 20, 13, 4, 5, 500_000_000, time.UTC).UnixNano()

func newRig(t *testing.T) *rig {
	r := &rig{T: t, host: start}
	r.RTC = New(func() int64 { return r.host }, line{r}, r)
	return r
}

func (r *rig) get(i byte) byte {
	r.Write(0, 1, uint64(i), 0)
	return byte(r.Read(1, 1, 0))
}

func (r *rig) set(i, v byte) {
	r.Write(0, 1, uint64(i), 0)
	r.Write(1, 1, uint64(v), 0)
}

// pass lets time go by, calling Tick when the timer is due.
func (r *rig) pass(d time.Duration) (ticks int) { return r.until(r.host + int64(d)) }

// until is pass with the time at its end, which may be before the present.
func (r *rig) until(end int64) (ticks int) {
	for r.at != 0 && r.at <= end {
		r.host = max(r.host, r.at)
		r.at = 0
		r.Tick()
		if ticks++; ticks > 1<<20 {
			r.Fatalf("the timer fires for ever at %d", r.host)
		}
	}
	r.host = end
	return ticks
}

var dateRegs = []byte{regCentury, regYear, regMonth, regDay, regWeekday, regHour, regMin, regSec}

func (r *rig) date() []byte {
	var b []byte
	for _, i := range dateRegs {
		b = append(b, r.get(i))
	}
	return b
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name string
		b    byte
		want []byte
	}{
		{"BCD 24h", b24h, []byte{0x20, 0x26, 0x11, 0x20, 6, 0x13, 0x04, 0x05}},
		{"BCD 12h", 0, []byte{0x20, 0x26, 0x11, 0x20, 6, 0x81, 0x04, 0x05}},
		{"binary 24h", bBinary | b24h, []byte{20, 26, 11, 20, 6, 13, 4, 5}},
		{"binary 12h", bBinary, []byte{20, 26, 11, 20, 6, 0x81, 4, 5}},
	} {
		r := newRig(t)
		r.set(regB, c.b)
		if d := cmp.Diff(c.want, r.date()); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// Every hour survives a round trip through each format.
func TestHours(t *testing.T) {
	for _, b := range []byte{0, b24h, bBinary, bBinary | b24h} {
		r := newRig(t)
		r.set(regB, b)
		for h := range 24 {
			if got := r.decodeHour(r.codeHour(h)); got != h {
				t.Errorf("format %#x: hour %d became %d", b, h, got)
			}
		}
	}
}

func TestSettingTheClock(t *testing.T) {
	r := newRig(t)
	set := map[byte]byte{
		regCentury: 0x19, regYear: 0x99, regMonth: 0x12, regDay: 0x31, regHour: 0x23, regMin: 0x59, regSec: 0x58,
	}
	r.set(regB, bSet|b24h)
	for i, v := range set {
		r.set(i, v)
	}
	r.pass(time.Minute) // held
	if got := r.get(regSec); got != 0x58 {
		t.Errorf("seconds %#x while held", got)
	}
	if r.get(regA)&aUIP != 0 {
		t.Error("update in progress while held")
	}
	r.set(regB, b24h)
	if d := cmp.Diff([]byte{0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x58}, r.date()); d != "" {
		t.Error(d)
	}
	r.pass(2 * time.Second)
	if d := cmp.Diff([]byte{0x20, 0x00, 0x01, 0x01, 7, 0, 0, 0}, r.date()); d != "" {
		t.Error("the century did not turn:", d)
	}
	r.set(regMonth, 0x13) // one register, at once, and impossible: January 2001
	if d := cmp.Diff([]byte{0x20, 0x01, 0x01, 0x01, 2, 0, 0, 0}, r.date()); d != "" {
		t.Error(d)
	}
	if other := newRig(t); other.get(regYear) != 0x26 {
		t.Error("another guest's clock changed")
	}
}

func TestUpdateInProgress(t *testing.T) {
	r := newRig(t)
	seen := 0
	for range 4096 { // one access each 244.14 us of a second
		if r.get(regA)&aUIP != 0 {
			seen++
		}
		r.host += second / 4096
	}
	if seen > 1 {
		t.Errorf("in progress for %d/4096 of a second", seen)
	}
	r.host = start + second/2 - updateTime
	if r.get(regA)&aUIP == 0 {
		t.Error("not in progress right before the second")
	}
}

func TestInterrupts(t *testing.T) {
	for _, c := range []struct {
		name        string
		a, b        byte
		alarm       [3]byte // h, m, s
		after       time.Duration
		want        byte
		perTwoHours int
	}{
		{"update", 6, bUpdate, [3]byte{}, time.Second, bUpdate, 7200},
		{"alarm", 6, bAlarm, [3]byte{0x13, 0x05, 0x00}, 55 * time.Second, bAlarm, 1},
		{"alarm any hour", 6, bAlarm, [3]byte{0xff, 0x00, 0x30}, 57 * time.Minute, bAlarm, 2},
		{"alarm each minute", 6, bAlarm, [3]byte{0xff, 0xff, 0x06}, time.Second, bAlarm, 120},
		{"alarm never", 6, bAlarm, [3]byte{0xff, 0xff, 0x7a}, time.Hour, 0, 0},
		{"2 Hz", 15, bPeriodic, [3]byte{}, 500 * time.Millisecond, bPeriodic, 14400},
		{"off", 0, bPeriodic, [3]byte{}, time.Hour, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			for i, v := range map[byte]byte{regHrAlarm: c.alarm[0], regMinAlarm: c.alarm[1], regSecAlarm: c.alarm[2]} {
				r.set(i, v)
			}
			r.get(regC)
			r.set(regA, aRunning|c.a)
			r.set(regB, b24h|c.b)
			r.pass(c.after)
			if got := r.get(regC); got&c.b != c.want || (got&cIRQ != 0) != (c.want != 0) {
				t.Errorf("register C is %#x, want %#x", got, c.want)
			}
			if c.want != 0 {
				if d := cmp.Diff([]bool{true, false}, r.edges); d != "" {
					t.Error(d)
				}
			}
			r = newRig(t)
			for i, v := range map[byte]byte{regHrAlarm: c.alarm[0], regMinAlarm: c.alarm[1], regSecAlarm: c.alarm[2]} {
				r.set(i, v)
			}
			r.get(regC)
			r.set(regA, aRunning|c.a)
			r.set(regB, b24h|c.b)
			n := 0
			for end := r.host + int64(2*time.Hour); r.at != 0 && r.at <= end; {
				r.pass(time.Duration(r.at - r.host))
				n++
				r.get(regC)
			}
			if n < c.perTwoHours || n > c.perTwoHours+1 {
				t.Errorf("%d interrupts in two hours, want %d", n, c.perTwoHours)
			}
		})
	}
}

// A guest that asks for 8192 Hz and never acknowledges costs one tick; one that
// does acknowledge costs at most 1024 a second.
func TestInterruptStorm(t *testing.T) {
	r := newRig(t)
	r.set(regA, aRunning|3)
	r.set(regB, b24h|bPeriodic)
	if n := r.pass(time.Minute); n != 1 {
		t.Errorf("%d ticks without acknowledge", n)
	}
	n := 0
	for end := r.host + second; r.host < end; r.get(regC) {
		n += r.pass(100 * time.Microsecond)
	}
	if n < 900 || n > 1025 {
		t.Errorf("%d ticks a second", n)
	}
}

func TestStop(t *testing.T) {
	r := newRig(t)
	r.set(regB, b24h|bUpdate)
	if r.at == 0 {
		t.Fatal("not armed")
	}
	r.Stop()
	if r.at != 0 {
		t.Error("still armed")
	}
	r.Tick() // one that was under way
	if r.get(regC); r.at != 0 {
		t.Error("armed again")
	}
}

func TestNVRAM(t *testing.T) {
	r := newRig(t)
	for i := byte(0x0e); i < numRegs; i++ {
		if i != regCentury {
			r.set(i, ^i)
		}
	}
	for i := byte(0x0e); i < numRegs; i++ {
		if got := r.get(i | 0x80); i != regCentury && got != ^i { // bit 7 is the NMI mask
			t.Errorf("byte %#x is %#x", i, got)
		}
	}
	if r.get(regD) != dValid || r.Read(0, 1, 0) != 0xff {
		t.Error("register D or index port")
	}
	r.Write(0, 2, 0x5510, 0) // index and data at once
	if r.get(0x10) != 0x55 {
		t.Error("wide write")
	}
}

type nowhere struct{}

func (nowhere) Set(bool) {}

func TestAllocations(t *testing.T) {
	now := start
	r := New(func() int64 { return now }, nowhere{}, nil)
	if n := testing.AllocsPerRun(100, func() {
		now += second
		for _, i := range dateRegs {
			r.Write(0, 1, uint64(i), 0)
			r.Read(1, 1, 0)
			r.Write(1, 1, 0x11, 0)
		}
		r.Write(0, 1, regC, 0)
		r.Read(1, 1, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAfterFunc(t *testing.T) {
	fired := make(chan bool, 1)
	now := func() int64 { return time.Now().UnixNano() }
	a := NewAfterFunc(now, func() { fired <- true })
	a.Set(now() + int64(time.Hour))
	a.Set(0)
	a.Set(now() - 1)
	select {
	case <-fired:
	case <-time.After(5 * time.Second):
		t.Error("did not fire")
	}
}
