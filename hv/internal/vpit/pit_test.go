// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpit

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

type clock uint64

type wire struct {
	level bool
	edges int
}

func (w *wire) Set(level bool) {
	if level && !w.level {
		w.edges++
	}
	w.level = level
}

type kicks int

func (k *kicks) Kick() { *k++ }

// hz makes one count exactly 1000 clocks, so that tests read in counts.
const hz = abi.PITHz * 1000

type machine struct {
	*PIT
	io  bus.Device
	p61 bus.Device
	c   *clock
	w   *wire
	k   *kicks
}

func newMachine(hz uint64) *machine {
	m := &machine{c: new(clock), w: new(wire), k: new(kicks)}
	m.PIT = New(hz, m.w, m.k)
	m.io, m.p61 = m.Ports(), m.Speaker()
	return m
}

// now is the host's TSC.
func (m *machine) now() uint64 { return uint64(*m.c) }

func (m *machine) out(port uint64, vs ...uint64) {
	for _, v := range vs {
		m.io.Write(port, 1, v, m.now())
	}
}

func (m *machine) in(port uint64) int { return int(m.io.Read(port, 1, m.now()) & 0xff) }

func (m *machine) in16(port uint64) int { lo := m.in(port); return lo | m.in(port)<<8 }

func (m *machine) advance(counts uint64) { *m.c += clock(counts * 1000); m.Tick(uint64(*m.c)) }

func TestRate(t *testing.T) {
	m := newMachine(hz)
	m.out(3, 0x34) // channel 0, mode 2
	m.out(0, 0, 0x10)
	if *m.k != 1 {
		t.Error("nobody is told of the deadline")
	}
	for i := 1; i <= 5; i++ {
		m.advance(0x1000 - 1)
		if m.w.edges != i-1 {
			t.Fatalf("period %d: early edge", i)
		}
		m.advance(1)
		if m.w.edges != i {
			t.Fatalf("period %d: %d edges", i, m.w.edges)
		}
	}
	m.advance(0x1000*3 + 5)
	if m.w.edges != 6 {
		t.Errorf("missed periods made %d edges", m.w.edges-5)
	}
	if d, _ := m.Deadline(); d != 0x9000*1000 {
		t.Errorf("deadline at %d clocks", d)
	}
	m.out(3, 0x30) // a new mode stops it
	if _, ok := m.Deadline(); ok || m.w.level {
		t.Error("still armed")
	}
	// Real rates: no drift over a second. 1193182/11932 = 99.998 Hz.
	m = newMachine(2_345_678_901)
	m.out(3, 0x36)
	m.out(0, 11932&0xff, 11932>>8)
	for range 100_000 {
		*m.c += 2_345_678_901 / 10_000
		m.Tick(uint64(*m.c))
	}
	if m.w.edges != 999 {
		t.Errorf("%d interrupts in ten seconds, want 999", m.w.edges)
	}
}

func TestOneShot(t *testing.T) {
	m := newMachine(hz)
	m.out(3, 0x30) // mode 0
	m.out(0, 100)
	if _, ok := m.Deadline(); ok {
		t.Error("armed by half a count")
	}
	m.out(0, 0)
	m.advance(99)
	if m.w.level {
		t.Error("early")
	}
	m.advance(1)
	if !m.w.level {
		t.Error("no interrupt")
	}
	m.advance(100000)
	if m.w.edges != 1 {
		t.Error("one-shot fires again")
	}
	m.out(0, 0, 0) // 65536
	if m.w.level {
		t.Error("a new count lowers the output")
	}
	m.advance(65536)
	if m.w.edges != 2 {
		t.Error("reloaded one-shot does not fire")
	}
	m.out(3, 0x38) // mode 4: strobe
	m.out(0, 50, 0)
	m.advance(50)
	if m.w.level {
		t.Error("strobe is not over yet")
	}
	m.advance(1)
	if m.w.edges != 3 {
		t.Error("strobe")
	}
	m.out(3, 0x32) // mode 1: needs a trigger that channel 0 never gets
	m.out(0, 5, 0)
	if _, ok := m.Deadline(); ok {
		t.Error("mode 1 runs without trigger")
	}
}

func TestHostileRate(t *testing.T) {
	m := newMachine(2_000_000_000)
	m.out(3, 0x14)
	m.out(0, 1)
	for range 1000 {
		now := uint64(*m.c)
		m.Tick(now)
		d, ok := m.Deadline()
		if !ok || d < now+2*minGapNS {
			t.Fatalf("next deadline only %d clocks away", d-now)
		}
		*m.c = clock(d)
	}
}

// TestCalibration does what Linux does to measure the TSC (arch/x86/kernel/
// tsc.c): channel 2 in mode 0, poll its output at port 0x61.
func TestCalibration(t *testing.T) {
	const tsc = 2_900_000_000
	m := newMachine(tsc)
	m.p61.Write(0, 1, m.p61.Read(0, 1, m.now())&^2|1, m.now())
	m.out(3, 0xb0)
	const latch = abi.PITHz / 100
	m.out(2, latch&0xff, latch>>8)
	start := *m.c
	for m.p61.Read(0, 1, m.now())&0x20 == 0 {
		*m.c += 1000
	}
	if got := uint64(*m.c-start) * 100; got < tsc/1000*999 || got > tsc/1000*1001 {
		t.Errorf("measures %d Hz", got)
	}
	// Its quick form reads the high byte of a free-running count.
	m.out(3, 0xb0)
	m.out(2, 0xff, 0xff)
	m.in16(2)
	last := 0xff
	for range 5000 {
		*m.c += 10_000
		m.in(2)
		if hi := m.in(2); hi != last && hi != last-1 {
			t.Fatalf("high byte jumps from %#x to %#x", last, hi)
		} else {
			last = hi
		}
	}
	if last > 0xb0 {
		t.Errorf("the count stays at %#x", last)
	}
}

func TestGate(t *testing.T) {
	m := newMachine(hz)
	gate := func(v uint64) { m.p61.Write(0, 1, v, m.now()) }
	out := func() bool { return m.p61.Read(0, 1, m.now())&0x20 != 0 }
	m.out(3, 0xb0)
	m.out(2, 100, 0)
	m.advance(50)
	if m.in16(2) != 100 {
		t.Error("counts without gate")
	}
	gate(1)
	m.advance(40)
	gate(0)
	m.advance(1000)
	if m.in16(2) != 60 || out() {
		t.Error("gate does not pause mode 0")
	}
	gate(1)
	m.advance(60)
	if !out() || m.in16(2) != 0 {
		t.Error("mode 0 does not go on")
	}
	m.advance(1)
	if m.in16(2) != 0xffff {
		t.Error("mode 0 does not wrap")
	}
	m.out(3, 0xb6) // mode 3
	m.out(2, 100, 0)
	if !out() {
		t.Error("square wave starts low")
	}
	m.advance(50)
	if out() {
		t.Error("second half is not low")
	}
	gate(0)
	if !out() {
		t.Error("gate low forces the output high")
	}
	m.advance(7)
	gate(1)
	m.advance(49)
	if !out() || m.in16(2) != 2 {
		t.Error("gate does not start over")
	}
	gate(0)
	m.out(3, 0xb2) // mode 1
	m.out(2, 10, 0)
	gate(1)
	m.advance(9)
	if out() {
		t.Error("one-shot output is high before its end")
	}
	m.advance(1)
	if !out() {
		t.Error("one-shot does not end")
	}
	if got := m.p61.Read(0, 1, m.now()) & 3; got != 1 {
		t.Errorf("port 0x61 reads %#x", got)
	}
	toggles, last := 0, uint64(0)
	for range 180 {
		m.advance(1)
		if v := m.p61.Read(0, 1, m.now()) & 0x10; v != last {
			toggles, last = toggles+1, v
		}
	}
	if toggles < 9 || toggles > 11 {
		t.Errorf("%d refresh toggles in 180 counts", toggles)
	}
}

func TestLatchAndReadBack(t *testing.T) {
	m := newMachine(hz)
	m.out(3, 0x34)
	m.out(0, 0x34, 0x12)
	m.advance(4)
	m.out(3, 0x00) // latch
	m.advance(100)
	m.out(3, 0x00) // ignored: the first stays
	if got := m.in16(0); got != 0x1230 {
		t.Errorf("latched %#x", got)
	}
	if got := m.in16(0); got != 0x1234-104 {
		t.Errorf("live %#x", got)
	}
	m.out(3, 0xc2) // read back count and status of channel 0
	if got := m.in(0); got != 0xb4 {
		t.Errorf("status %#x", got)
	}
	if got := m.in16(0); got != 0x1234-104 {
		t.Errorf("read-back count %#x", got)
	}
	m.out(3, 0x71) // channel 1, mode 0, BCD
	m.out(3, 0xe4) // status only
	if got := m.in(1); got != 0x71 {
		t.Errorf("status of a counter without count %#x", got)
	}
	if m.in(3) != 0xff {
		t.Error("the control word can be read")
	}
	m.out(3, 0x1e) // low byte only, mode 7 = 3
	m.out(0, 200)
	m.advance(1)
	if m.in(0) != 198 || m.in(0) != 198 {
		t.Error("low byte access")
	}
	m.out(3, 0x20) // high byte only
	m.out(0, 2)
	m.out(3, 0)
	if m.in(0) != 2 {
		t.Error("high byte access")
	}
}

// TestRandom writes and reads at random: nothing panics, deadlines keep their
// distance, and a copy of the state counts on like the original.
func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 9))
	m := newMachine(hz)
	for range 50000 {
		switch rnd.IntN(5) {
		case 0, 1:
			m.io.Write(rnd.Uint64N(4), 1, rnd.Uint64(), m.now())
		case 2:
			m.io.Read(rnd.Uint64N(4), 1, m.now())
			m.p61.Read(0, 1, m.now())
		case 3:
			m.p61.Write(0, 1, rnd.Uint64(), m.now())
		case 4:
			*m.c += clock(rnd.Uint64() >> (20 + rnd.IntN(40)))
			m.Tick(uint64(*m.c))
			if d, ok := m.Deadline(); ok && d <= uint64(*m.c) {
				t.Fatal("deadline is not in the future after Tick")
			}
		}
		if rnd.IntN(100) != 0 {
			continue
		}
		now := uint64(*m.c)
		s := m.Export(now)
		c := newMachine(hz)
		*c.c = clock(rnd.Uint64() >> 8)
		if err := c.Import(&s, uint64(*c.c)); err != nil {
			t.Fatalf("%v: %+v", err, s)
		}
		if d := cmp.Diff(s, c.Export(uint64(*c.c)), cmp.AllowUnexported(channel{})); d != "" {
			t.Fatal("copy differs:", d)
		}
		if _, ok := c.Deadline(); ok {
			if _, was := m.Deadline(); !was {
				t.Fatal("copy has a deadline, original none")
			}
		}
	}
	good := m.Export(uint64(*m.c))
	for name, spoil := range map[string]func(*State){
		"mode":  func(s *State) { s.Channel[0].Mode = 6 },
		"rw":    func(s *State) { s.Channel[1].RW = 0 },
		"count": func(s *State) { s.Channel[2].Count = 1<<16 + 1 },
		"runs":  func(s *State) { s.Channel[0].Running, s.Channel[0].Count = true, 0 },
		"held":  func(s *State) { s.Channel[0].Held = 1 << 60 },
		"gate":  func(s *State) { s.Speaker ^= 1 },
	} {
		s := good
		spoil(&s)
		if m.Import(&s, 0) == nil {
			t.Errorf("impossible state taken: %s", name)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	m := newMachine(hz)
	if n := testing.AllocsPerRun(100, func() {
		m.io.Write(3, 1, 0x34, m.now())
		m.io.Write(0, 1, 0, m.now())
		m.io.Write(0, 1, 0, m.now())
		m.io.Read(0, 1, m.now())
		m.p61.Write(0, 1, 1, m.now())
		m.p61.Read(0, 1, m.now())
		m.advance(1 << 16)
		m.Deadline()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
