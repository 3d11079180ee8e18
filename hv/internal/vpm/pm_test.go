// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpm

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

type clock uint64

type wire bool

func (w *wire) Set(level bool) { *w = wire(level) }

type host struct{ off, resets int }

func (h *host) PowerOff() { h.off++ }
func (h *host) Reset()    { h.resets++ }

const hz = 2_000_000_000

type machine struct {
	*PM
	io  bus.Device
	c   *clock
	sci *wire
	h   *host
}

func newMachine() *machine {
	m := &machine{c: new(clock), sci: new(wire), h: new(host)}
	*m.c = 123456789
	m.PM = New(hz, m.now(), m.sci, m.h)
	m.io = m.Ports()
	return m
}

// now is the host's TSC.
func (m *machine) now() uint64 { return uint64(*m.c) }

func (m *machine) in(off uint64, size uint8) uint64 {
	return m.io.Read(off, size, m.now()) & (1<<(8*size) - 1)
}

func TestTimer(t *testing.T) {
	m := newMachine()
	tm := m.Timer()
	if tm.Read(0, 4, m.now()) != 0 {
		t.Error("timer does not start at 0")
	}
	*m.c += hz
	tm.Write(0, 4, 0xffff_ffff, m.now())
	if got := tm.Read(0, 4, m.now()); got != abi.PMTimerHz {
		t.Errorf("one second: %d", got)
	}
	if got := tm.Read(1, 1, m.now()) & 0xff; got != abi.PMTimerHz>>8&0xff {
		t.Errorf("second byte %#x", got)
	}
	*m.c = clock(123456789 - 1) // a CPU whose TSC is behind
	if got := uint32(tm.Read(0, 4, m.now())); got+1 > 1 {
		t.Errorf("before start: %#x", got)
	}
	*m.c = clock(123456789 + 1300*hz)
	if got, want := tm.Read(0, 4, m.now()), uint64(1300*abi.PMTimerHz)&0xffff_ffff; got != want {
		t.Errorf("timer wraps to %d, want %d", got, want)
	}
	*m.c = clock(123456789)
	last := uint32(0)
	for range 100_000 { // ten times round, in steps of up to 250 ms
		*m.c += clock(rand.Uint64N(hz / 4))
		got := uint32(tm.Read(0, 4, m.now()))
		if got-last > abi.PMTimerHz/4+1 {
			t.Fatalf("timer goes from %#x to %#x", last, got)
		}
		last = got
	}
}

func TestTimerStatus(t *testing.T) {
	m := newMachine()
	*m.c = clock(123456789 + 600*hz) // beyond 2^31 counts
	if m.in(offStatus, 2)&stsTimer == 0 {
		t.Error("the change of the top bit goes unnoticed")
	}
	m.io.Write(offStatus, 2, stsTimer, m.now())
	if m.in(offStatus, 2) != 0 {
		t.Error("status is not cleared by writing one")
	}
	// An access of another CPU that was made before the change.
	if got := m.io.Read(offStatus, 2, 123456789+599*hz); got&stsTimer != 0 {
		t.Error("an access that comes late sets the status")
	}
	if m.in(offStatus, 2) != 0 {
		t.Error("the change is noticed twice")
	}
}

func TestPowerButton(t *testing.T) {
	m := newMachine()
	if m.PressPower(m.now()) || bool(*m.sci) {
		t.Error("a guest that does not listen heard the button")
	}
	m.io.Write(offEnable, 2, stsPower, m.now())
	if !bool(*m.sci) || !m.PressPower(m.now()) {
		t.Error("no SCI for the button")
	}
	m.io.Write(offStatus+1, 1, 1, m.now()) // bit 8, by byte
	if bool(*m.sci) || m.in(offStatus, 2) != 0 {
		t.Error("SCI stays")
	}
	m.io.Write(offStatus, 4, 0xffff_ffff, m.now())
	if got := m.in(offEnable, 2); got != enAll {
		t.Errorf("enable %#x", got)
	}
	if got := m.in(offStatus, 4); got != enAll<<16 {
		t.Errorf("event block %#x", got)
	}
	// The sleep button is another bit.
	m.io.Write(offStatus, 2, 0xffff, m.now())
	if !m.PressSleep(m.now()) || m.in(offStatus, 2) != stsSleep || !bool(*m.sci) {
		t.Errorf("sleep button: status %#x", m.in(offStatus, 2))
	}
	// Events whose registers are elsewhere hold the same line.
	general := m.SCI()
	general.Set(true)
	m.io.Write(offStatus, 2, 0xffff, m.now())
	if !bool(*m.sci) {
		t.Error("no SCI for a general event")
	}
	general.Set(false)
	if bool(*m.sci) {
		t.Error("SCI stays after a general event")
	}
	m.PressPower(m.now())
	m.PM.Reset(m.now())
	if bool(*m.sci) || m.in(offEnable, 2) != 0 {
		t.Error("after reset")
	}
}

func TestSoftOff(t *testing.T) {
	m := newMachine()
	if got := m.in(offControl, 2); got != cntSCIEnable {
		t.Errorf("control %#x", got)
	}
	m.io.Write(offControl, 2, 1<<cntTypeShift|cntEnable, m.now()) // S1, S3: not there
	m.io.Write(offControl, 2, abi.SleepTypeS5<<cntTypeShift, m.now())
	if m.h.off != 0 {
		t.Error("switched off too early")
	}
	m.io.Write(offControl, 2, abi.SleepTypeS5<<cntTypeShift|cntEnable, m.now())
	if m.h.off != 1 {
		t.Error("not switched off")
	}
	m.io.Write(offControl+1, 1, (abi.SleepTypeS5<<cntTypeShift|cntEnable)>>8, m.now())
	if m.h.off != 2 {
		t.Error("not switched off by a byte write")
	}
	if got := m.in(offControl, 2); got != cntSCIEnable|abi.SleepTypeS5<<cntTypeShift {
		t.Errorf("control reads %#x", got)
	}
	m.io.Write(offStatus, 2, sleepS5, m.now()) // events are cleared so
	m.io.Write(offStatus+1, 1, sleepS5, m.now())
	m.io.Write(offStatus, 1, sleepS5&^(1<<5), m.now())
	m.io.Write(offStatus, 4, sleepS5|1<<24, m.now())
	if m.h.off != 2 {
		t.Error("switched off by writes to the status")
	}
	m.io.Write(offStatus, 1, sleepS5, m.now())
	m.io.Write(offStatus, 4, sleepS5, m.now())
	if m.h.off != 4 {
		t.Error("not switched off by what Cloud Hypervisor's guests write")
	}
}

func TestResets(t *testing.T) {
	m := newMachine()
	a := m.ControlA()
	a.Write(0, 1, 2, m.now()) // A20
	if a.Read(0, 1, m.now())&0xff != 2 || m.h.resets != 0 {
		t.Error("port 0x92: A20")
	}
	a.Write(0, 1, 3, m.now())
	a.Write(0, 1, 1, m.now()) // no edge
	if m.h.resets != 1 || a.Read(0, 1, m.now())&0xff != 1 {
		t.Errorf("%d resets by port 0x92", m.h.resets)
	}
	a.Write(0, 1, 0xfc, m.now())
	a.Write(0, 1, 0xff, m.now())
	if m.h.resets != 2 || a.Read(0, 1, m.now())&0xff != 3 {
		t.Errorf("%d resets by port 0x92", m.h.resets)
	}
}

// The rising edge of the clock's interrupt is an event, whether or not the guest
// listens; Linux writes the enable bit and reads it back.
func TestRTCEvent(t *testing.T) {
	m := newMachine()
	l := m.RTC()
	l.Set(true)
	l.Set(true)
	if m.in(offStatus, 2) != stsRTC || bool(*m.sci) {
		t.Errorf("status %#x, SCI %v", m.in(offStatus, 2), *m.sci)
	}
	m.io.Write(offEnable, 2, stsRTC, m.now())
	if m.in(offEnable, 2) != stsRTC || !bool(*m.sci) {
		t.Errorf("enable %#x, SCI %v", m.in(offEnable, 2), *m.sci)
	}
	m.io.Write(offStatus, 2, stsRTC, m.now())
	l.Set(true) // no edge
	l.Set(false)
	if m.in(offStatus, 2) != 0 || bool(*m.sci) {
		t.Error("an event without an edge")
	}
	l.Set(true)
	if !bool(*m.sci) {
		t.Error("no SCI for the second alarm")
	}
}

func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 9))
	m := newMachine()
	devs := []bus.Device{m.io, m.io, m.io, m.Timer(), m.ControlA()}
	line := m.RTC()
	for range 50000 {
		line.Set(rnd.IntN(2) == 0)
		d, off, size := devs[rnd.IntN(len(devs))], rnd.Uint64N(Size), uint8(1)<<rnd.IntN(4)
		if rnd.IntN(2) == 0 {
			d.Write(off, size, rnd.Uint64(), m.now())
		} else {
			d.Read(off, size, m.now())
		}
		*m.c += clock(rnd.Uint64() >> (20 + rnd.IntN(40)))
		if m.in(offStatus, 2)&m.in(offEnable, 2) != 0 != bool(*m.sci) {
			t.Fatal("SCI does not follow status and enable")
		}
		s := m.Export(m.now())
		c := newMachine()
		if err := c.Import(&s, c.now()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, c.Export(c.now())); d != "" {
			t.Fatal("copy differs:", d)
		}
	}
	for _, s := range []State{{Status: 2}, {Enable: 1}, {Control: 1}, {PortA: 4}} {
		if m.Import(&s, 0) == nil {
			t.Errorf("impossible state taken: %+v", s)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	m := newMachine()
	r, tm := m.ControlA(), m.Timer()
	if n := testing.AllocsPerRun(100, func() {
		tm.Read(0, 4, m.now())
		m.io.Read(offStatus, 2, m.now())
		m.io.Write(offStatus, 4, 0, m.now())
		r.Write(0, 1, 6, m.now())
		r.Write(0, 1, 0, m.now())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
