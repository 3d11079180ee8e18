// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"encoding/binary"
	"testing"
)

// longest is the farthest that a clock of these tests goes. A TSC of 5 GHz gets
// there in 58 years.
const longest = 1 << 63

// loop lets l fire for d ticks of the TSC, as hv does, and checks that it makes hv
// work no more often than the floor allows: but once for what the guest has just
// set, each time it does.
func (m *machine) loop(t *testing.T, l *LAPIC, d uint64) {
	t.Helper()
	end, calls := min(m.now()+d, longest), uint64(0)
	for {
		at, ok := l.Deadline()
		if ok && l.lvt[lvtTimer].Load()&lvtMasked != 0 {
			t.Fatal("a masked timer has a deadline")
		}
		if !ok || at > end {
			break
		}
		if calls++; calls > d/l.timer.minPeriod+2 {
			t.Fatalf("%d callbacks in %d us", calls, d/(tscHz/1e6))
		}
		*m.clock = clock(max(at, m.now()))
		l.Tick(m.now())
		if at, ok := l.Deadline(); ok && at <= m.now() {
			t.Fatalf("deadline %d after Tick at %d", at, m.now())
		}
	}
	*m.clock = clock(end)
}

// FuzzClock is a hostile guest of the timer, on a clock that jumps: callbacks are
// bounded, deadlines are in the future, and a count that runs only falls.
func FuzzClock(f *testing.F) {
	// One count, periodic: masked, unmasked; the farthest deadline; a jump.
	f.Add([]byte{0, 0, 0, 3, 0, 0, 0, 0, 0, 2, 11, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0xef, 0, 2, 0, 0, 0, 0, 0, 2, 11, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x40})
	f.Add([]byte{0, 0xef, 0, 4, 0, 0, 0, 0, 0, 3, 255, 255, 255, 255, 255, 255, 255, 255, 4, 0, 0, 0, 0, 0, 0, 0, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine(1)
		m.x2(t)
		l := m.CPU(0)
		for n := 0; len(data) >= 9 && n < 50; n++ {
			op, val := data[0], binary.LittleEndian.Uint64(data[1:])
			data = data[9:]
			switch op % 7 {
			case 0:
				l.WriteMSR(msrTimer, val&0x7_10ff, m.now())
			case 1:
				l.WriteMSR(msrInitial, uint64(uint32(val)), m.now())
			case 2:
				l.WriteMSR(msrDivide, val&11, m.now())
			case 3:
				l.WriteMSR(msrDeadline, val, m.now())
			case 4:
				l.SetTSCOffset(val, m.now())
			case 5:
				*m.clock += clock(min(val>>(op&56), longest-m.now()))
				l.Tick(m.now())
			case 6:
				before, _ := l.ReadMSR(msrCurrent, m.now())
				after, _ := l.ReadMSR(msrCurrent, m.now())
				if after != before || before > uint64(l.timer.initial) {
					t.Fatalf("count %d, then %d, of %d", before, after, l.timer.initial)
				}
			}
			m.loop(t, l, tscHz/100)
			l.check(t)
		}
		l.WriteMSR(msrTimer, 0x1_00ef, m.now())
		m.loop(t, l, tscHz)
	})
}

// A masked timer runs without a deadline: what it counts is right when somebody
// looks, and it fires when it is unmasked in time.
func TestMaskedTimerRuns(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	l.WriteMSR(msrTimer, 0x3_00ef, m.now())
	l.WriteMSR(msrDivide, 11, m.now()) // by 1
	l.WriteMSR(msrInitial, 1_000_000, m.now())
	if _, ok := l.Deadline(); ok {
		t.Error("a masked timer has a deadline")
	}
	*m.clock += 3_250_000
	if v, _ := l.ReadMSR(msrCurrent, m.now()); v != 750_000 || m.pending(0) != nil {
		t.Errorf("count %d, pending %v", v, m.pending(0))
	}
	*m.clock += 5_000_000
	l.WriteMSR(msrTimer, 0x2_00ef, m.now())
	at, ok := l.Deadline()
	if !ok || at != m.now()+750_000 || m.pending(0) != nil {
		t.Errorf("after the unmask: deadline in %d, pending %v", at-m.now(), m.pending(0))
	}
	m.advance(750_000)
	if len(m.pending(0)) != 1 {
		t.Error("does not fire")
	}
}
