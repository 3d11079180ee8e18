// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpic

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/bus"
)

// wire is the CPU's INTR pin.
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

type machine struct {
	*PIC
	w *wire
	m bus.Device
	s bus.Device
}

// newMachine initializes the pair as Linux does: vectors 0x30 and 0x38.
func newMachine(icw4 uint64) *machine {
	w := new(wire)
	m := &machine{PIC: New(w), w: w}
	m.m, m.s = m.Ports(0), m.Ports(1)
	init := func(d bus.Device, base, icw3 uint64) {
		d.Write(0, 1, 0x11, 0)
		d.Write(1, 1, base, 0)
		d.Write(1, 1, icw3, 0)
		d.Write(1, 1, icw4, 0)
		d.Write(1, 1, 0, 0)
	}
	init(m.m, 0x30, 4)
	init(m.s, 0x38, 2)
	return m
}

// drain acknowledges without EOI until nothing is requested.
func (m *machine) drain() (vs []uint8) {
	for m.Pending() && len(vs) < 20 {
		vs = append(vs, m.Ack())
	}
	return vs
}

func (m *machine) pulse(irqs ...uint32) {
	for _, n := range irqs {
		m.Set(n, true)
		m.Set(n, false)
	}
}

func expect(t *testing.T, step string, got []uint8, want ...uint8) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", step, d)
	}
}

func TestPriorities(t *testing.T) {
	m := newMachine(1)
	m.pulse(4, 12, 8, 1)
	if !m.w.level || m.w.edges != 1 {
		t.Error("output not raised once")
	}
	expect(t, "highest first", m.drain(), 0x31)
	m.m.Write(0, 1, 0x20, 0)
	expect(t, "slave through the cascade", m.drain(), 0x38)
	m.s.Write(0, 1, 0x20, 0)
	expect(t, "master still busy", m.drain())
	m.m.Write(0, 1, 0x62, 0) // specific EOI of the cascade
	expect(t, "next of the slave", m.drain(), 0x3c)
	m.m.Write(0, 1, 0x20, 0)
	expect(t, "slave busy, IRQ 4 free", m.drain(), 0x34)
	m.pulse(0)
	expect(t, "nested", m.drain(), 0x30)
	m.m.Write(0, 1, 0x0b, 0)
	if got := m.m.Read(0, 1, 0) & 0xff; got != 0x11 {
		t.Errorf("ISR %#x", got)
	}
	m.m.Write(0, 1, 0x20, 0)
	m.m.Write(0, 1, 0x20, 0)
	m.pulse(3)
	m.m.Write(0, 1, 0x0a, 0)
	if got := m.m.Read(0, 1, 0) & 0xff; got != 8 {
		t.Errorf("IRR %#x", got)
	}
	m.m.Write(1, 1, 8, 0)
	if m.Pending() || m.w.level {
		t.Error("masked interrupt requested")
	}
	if v := m.Ack(); v != 0x37 {
		t.Errorf("spurious vector %#x", v)
	}
	m.m.Write(1, 1, 0, 0)
	expect(t, "unmasked edge is kept", m.drain(), 0x33)
}

func TestLevelAndELCR(t *testing.T) {
	m := newMachine(1)
	e := m.ELCR()
	e.Write(0, 2, 0xffff, 0)
	if got := e.Read(0, 2, 0) & 0xffff; got != 0xdef8 {
		t.Errorf("ELCR %#x", got)
	}
	if got := e.Read(1, 1, 0) & 0xff; got != 0xde {
		t.Errorf("ELCR2 %#x", got)
	}
	eoi := func() { m.s.Write(0, 1, 0x20, 0); m.m.Write(0, 1, 0x20, 0) }
	m.Set(9, true)
	expect(t, "level", m.drain(), 0x39)
	eoi()
	expect(t, "still high", m.drain(), 0x39)
	m.Set(9, false)
	eoi()
	expect(t, "low", m.drain())
	m.Set(9, true)
	m.Set(9, false)
	if m.Pending() {
		t.Error("a level request outlives its line")
	}
	e.Write(1, 1, 0, 0)
	m.pulse(9)
	expect(t, "edge again", m.drain(), 0x39)
}

func TestModes(t *testing.T) {
	m := newMachine(3) // automatic EOI
	m.pulse(0, 1)
	expect(t, "automatic EOI", m.drain(), 0x30, 0x31)
	m.m.Write(0, 1, 0x80, 0) // rotate in automatic EOI mode
	m.pulse(0, 1, 5)
	expect(t, "in order", m.drain(), 0x30, 0x31, 0x35)
	m.pulse(0, 6)
	expect(t, "6 follows 5", m.drain(), 0x36, 0x30)

	m = newMachine(1)
	m.m.Write(0, 1, 0xc3, 0) // input 3 lowest
	m.pulse(0, 4)
	expect(t, "rotated priority", m.drain(), 0x34)
	m.m.Write(0, 1, 0xa0, 0) // rotate on non-specific EOI
	m.pulse(4, 5)
	expect(t, "5 is highest, then nested nothing", m.drain(), 0x35)

	m = newMachine(1)
	m.pulse(1)
	m.drain()
	m.m.Write(1, 1, 2, 0)
	m.m.Write(0, 1, 0x68, 0) // special mask mode
	m.pulse(6)
	expect(t, "special mask", m.drain(), 0x36)

	m = newMachine(1)
	m.pulse(5)
	m.m.Write(0, 1, 0x0c, 0) // poll
	if got := m.m.Read(0, 1, 0) & 0xff; got != 0x85 {
		t.Errorf("poll %#x", got)
	}
	m.m.Write(0, 1, 0x0c, 0)
	if got := m.m.Read(0, 1, 0) & 0xff; got != 0 {
		t.Errorf("second poll %#x", got)
	}

	m = newMachine(0x11) // special fully nested
	m.pulse(12)
	m.drain()
	m.pulse(8)
	expect(t, "slave nests in itself", m.drain(), 0x38)
}

func TestInitialization(t *testing.T) {
	m := newMachine(1)
	m.pulse(3)
	m.m.Write(0, 1, 0x11, 0)
	if m.Pending() {
		t.Error("output during initialization")
	}
	m.m.Write(1, 1, 0x57, 0)
	m.m.Write(1, 1, 4, 0)
	m.m.Write(1, 1, 1, 0)
	if m.Pending() || m.m.Read(1, 1, 0)&0xff != 0 {
		t.Error("ICW1 clears pending edges and the mask")
	}
	m.pulse(3)
	expect(t, "new base", m.drain(), 0x53)
	m.m.Write(0, 1, 0x12, 0) // single, no ICW4
	m.m.Write(1, 1, 0x60, 0)
	m.pulse(7)
	expect(t, "single", m.drain(), 0x67)
	m.m.Write(1, 1, 0xa5, 0)
	if got := m.m.Read(1, 1, 0); got != ^uint64(0xff)|0xa5 {
		t.Errorf("mask reads %#x", got)
	}
	m.Set(2, true)
	m.Set(16, true)
	m.Reset()
	if m.Pending() || m.m.Read(1, 1, 0)&0xff != 0xff {
		t.Error("after reset")
	}
}

// TestRandom drives ports and lines at random: the output always follows the
// request, and a copy of the state is the same chip.
func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	m := newMachine(1)
	for range 100000 {
		d := m.m
		switch rnd.IntN(6) {
		case 0:
			d = m.s
		case 1:
			d = m.ELCR()
		}
		switch rnd.IntN(4) {
		case 0:
			d.Write(rnd.Uint64N(2), 1<<rnd.IntN(2), rnd.Uint64(), 0)
		case 1:
			d.Read(rnd.Uint64N(2), 1, 0)
		case 2:
			m.Set(rnd.Uint32N(18), rnd.IntN(2) == 0)
		case 3:
			before := m.Pending()
			if v := m.Ack(); before && v&7 == 7 && m.chip[0].ISR|m.chip[1].ISR == 0 && !m.chip[0].AutoEOI && !m.chip[1].AutoEOI {
				t.Fatal("a request was answered with a spurious interrupt")
			}
		}
		if _, ok := m.chip[0].request(); ok != m.Pending() || ok != m.w.level {
			t.Fatal("output does not follow the request")
		}
		for i := range m.chip {
			c := &m.chip[i]
			even := c.IRR
			if c.ReadISR {
				even = c.ISR
			}
			d := m.Ports(uint8(i))
			if !c.Poll && (uint8(d.Read(0, 1, 0)) != even || uint8(d.Read(1, 1, 0)) != c.Mask) {
				t.Fatalf("reads do not show %+v", *c)
			}
		}
		s := m.Export()
		c := New(new(wire))
		if err := c.Import(&s); err != nil {
			t.Fatal(err)
		}
		if s != c.Export() || c.Pending() != m.Pending() {
			t.Fatal("copy differs")
		}
	}
	for _, c := range []chip{{Low: 8}, {Step: 4}, {Base: 1}, {ELCR: 1}} {
		if New(new(wire)).Import(&State{c, {}}) == nil {
			t.Errorf("impossible state taken: %+v", c)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	m := newMachine(1)
	if n := testing.AllocsPerRun(100, func() {
		m.pulse(4, 12)
		for m.Pending() {
			m.Ack()
		}
		m.s.Write(0, 1, 0x20, 0)
		m.m.Write(0, 1, 0x20, 0)
		m.m.Read(1, 1, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
