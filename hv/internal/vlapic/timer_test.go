// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"math"
	"testing"
)

const (
	msrDeadline = 0x6e0
	msrTimer    = 0x832
	msrInitial  = 0x838
	msrCurrent  = 0x839
	msrDivide   = 0x83e
)

func (m *machine) advance(n uint64) {
	*m.clock += clock(n)
	m.CPU(0).Tick(uint64(*m.clock))
}

func TestDivider(t *testing.T) {
	want := map[uint32]uint8{0: 1, 1: 2, 2: 3, 3: 4, 8: 5, 9: 6, 10: 7, 11: 0}
	for dcr, shift := range want {
		var tm timer
		tm.setDivide(dcr)
		if tm.shift != shift {
			t.Errorf("DCR %d divides by 2^%d, want 2^%d", dcr, tm.shift, shift)
		}
	}
}

func TestOneShot(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	l.WriteMSR(msrTimer, 0xef, m.now())
	l.WriteMSR(msrDivide, 3, m.now()) // by 16
	l.WriteMSR(msrInitial, 1000, m.now())
	start := uint64(*m.clock)
	if d, ok := l.Deadline(); !ok || d != start+16000 {
		t.Fatalf("deadline %d %v", d-start, ok)
	}
	m.advance(4000)
	if v, _ := l.ReadMSR(msrCurrent, m.now()); v != 750 {
		t.Errorf("current count %d, want 750", v)
	}
	l.WriteMSR(msrDivide, 1, m.now()) // by 4: 750 counts are now 3000 clocks
	if d, _ := l.Deadline(); d != start+7000 {
		t.Errorf("deadline after change of divider %d", d-start)
	}
	m.advance(2999)
	if m.pending(0) != nil {
		t.Error("fires early")
	}
	m.advance(1)
	if got := m.pending(0); len(got) != 1 || got[0] != 0xef {
		t.Errorf("fired %#x", got)
	}
	if v, _ := l.ReadMSR(msrCurrent, m.now()); v != 0 {
		t.Errorf("current count %d after expiry", v)
	}
	if _, ok := l.Deadline(); ok {
		t.Error("one-shot timer still armed")
	}
	l.WriteMSR(msrInitial, 10, m.now())
	l.WriteMSR(msrInitial, 0, m.now())
	if _, ok := l.Deadline(); ok {
		t.Error("initial count 0 does not stop the timer")
	}
	l.WriteMSR(msrInitial, 10, m.now())
	l.WriteMSR(msrTimer, 0x100ef, m.now())
	m.advance(1000)
	if m.pending(0) != nil {
		t.Error("masked timer fires")
	}
}

func TestPeriodic(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	l.WriteMSR(msrTimer, 0x200ef, m.now())
	l.WriteMSR(msrDivide, 11, m.now()) // by 1
	l.WriteMSR(msrInitial, 1_000_000, m.now())
	fired := 0
	for range 100 {
		m.advance(250_000)
		fired += len(m.pending(0))
	}
	if fired != 25 {
		t.Errorf("fired %d times, want 25", fired)
	}
	m.advance(250_000)
	if v, _ := l.ReadMSR(msrCurrent, m.now()); v != 750_000 {
		t.Errorf("current count %d", v)
	}
	m.advance(10_000_000) // ten periods unseen
	if n := len(m.pending(0)); n != 1 {
		t.Errorf("%d interrupts for ten missed periods", n)
	}
	if d, _ := l.Deadline(); d <= uint64(*m.clock) || d > uint64(*m.clock)+1_000_000 {
		t.Errorf("deadline not within the next period")
	}
	// A hostile period of one clock.
	l.WriteMSR(msrInitial, 1, m.now())
	now := uint64(*m.clock)
	m.advance(1)
	if d, _ := l.Deadline(); d < now+tscHz/1e9*minPeriodNS {
		t.Errorf("periodic deadline %d clocks away", d-now)
	}
}

func TestTSCDeadline(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	l.WriteMSR(msrDeadline, 5, m.now()) // not in that mode: ignored
	if v, _ := l.ReadMSR(msrDeadline, m.now()); v != 0 {
		t.Error("deadline kept outside TSC-deadline mode")
	}
	l.SetTSCOffset(uint64(math.MaxUint64)-500_000+1, m.now()) // guest TSC = host - 500000
	l.WriteMSR(msrTimer, 0x400ec, m.now())
	l.WriteMSR(msrDeadline, 600_000, m.now())
	if d, _ := l.Deadline(); d != 1_100_000 {
		t.Fatalf("host deadline %d", d)
	}
	m.advance(99_999)
	if v, _ := l.ReadMSR(msrDeadline, m.now()); v != 600_000 || m.pending(0) != nil {
		t.Error("fires early")
	}
	m.advance(1)
	if v, _ := l.ReadMSR(msrDeadline, m.now()); v != 0 || len(m.pending(0)) != 1 {
		t.Error("does not fire")
	}
	l.WriteMSR(msrDeadline, 1, m.now()) // long past
	m.advance(0)
	if len(m.pending(0)) != 1 {
		t.Error("a past deadline does not fire at once")
	}
	l.WriteMSR(msrDeadline, math.MaxUint64, m.now()) // in 584 years
	m.advance(1 << 40)
	if m.pending(0) != nil {
		t.Error("the farthest deadline fired")
	}
	l.WriteMSR(msrDeadline, 0, m.now())
	if _, ok := l.Deadline(); ok {
		t.Error("0 does not disarm")
	}
	now := uint64(*m.clock)
	l.WriteMSR(msrDeadline, now-500_000+1000, m.now())
	l.SetTSCOffset(0, m.now()) // guest TSC jumps ahead of the deadline
	m.advance(0)
	if len(m.pending(0)) != 1 {
		t.Error("a TSC that jumps past the deadline does not fire")
	}
	l.WriteMSR(msrDeadline, now+1000, m.now())
	l.WriteMSR(msrTimer, 0xec, m.now()) // leaving the mode disarms
	m.advance(1000)
	if _, ok := l.Deadline(); ok || m.pending(0) != nil {
		t.Error("mode change does not disarm")
	}
}
