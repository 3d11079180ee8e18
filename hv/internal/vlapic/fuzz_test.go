// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/bus"
	"ringo/hv/x86"
)

// check verifies what must hold between any two calls.
func (l *LAPIC) check(t *testing.T) {
	t.Helper()
	if l.posted.Load() == 0 && l.irrMax != l.irr.highest() {
		t.Fatalf("irrMax %#x, IRR's highest is %#x", l.irrMax, l.irr.highest())
	}
	if l.isrMax != l.isr.highest() {
		t.Fatalf("isrMax %#x, ISR's highest is %#x", l.isrMax, l.isr.highest())
	}
	want := l.tpr
	if classOf(l.isrMax) > classOf(l.tpr) {
		want = l.isrMax &^ 15
	}
	if l.ppr != want {
		t.Fatalf("PPR %#x, want %#x", l.ppr, want)
	}
	if (l.irr[0].Load()|l.isr[0])&0xffff != 0 {
		t.Fatal("an exception vector is pending or in service")
	}
	if l.timer.period != 0 && l.timer.period < l.timer.minPeriod {
		t.Fatalf("period %d below the floor", l.timer.period)
	}
	if m := l.mode.Load(); m&modeX2 != 0 && m&modeHW == 0 {
		t.Fatal("x2APIC mode without enable")
	}
}

// hostile interprets data as a sequence of guest actions on two CPUs.
func hostile(t *testing.T, data []byte) {
	m := newMachine(2)
	m.x1()
	for len(data) >= 12 {
		op, reg := data[0], uint32(binary.LittleEndian.Uint16(data[1:]))
		val := binary.LittleEndian.Uint64(data[4:])
		data = data[12:]
		l := m.CPU(int(op) >> 7)
		switch op % 8 {
		case 0:
			l.WriteMSR(0x800+reg%0x100, val, m.now())
		case 1:
			l.WriteMSR([]uint32{x86.MSRAPICBase, x86.MSRTSCDeadline, 0x830, 0x80b}[reg%4], val, m.now())
		case 2:
			l.Write(uint64(reg%0x1000), 1<<(op>>3&3), val, m.now())
		case 3:
			l.Write(uint64(reg%0x40)<<4, 4, val, m.now())
		case 4:
			l.Read(uint64(reg%0x1000), 1<<(op>>3&3), m.now())
			l.ReadMSR(0x800+reg%0x100, m.now())
		case 5:
			*m.clock += clock(val >> (16 + reg%48)) // the TSC does not wrap
			l.Tick(uint64(*m.clock))
		case 6:
			if v, ok := l.Pending(); ok {
				l.Ack(v)
			}
		case 7:
			m.Deliver(bus.Message{Dest: uint32(val), Vector: uint8(reg), Mode: bus.Delivery(val >> 40 & 7),
				Logical: val>>50&1 != 0, Level: val>>51&1 != 0})
			l.SetLINT(uint8(reg), val&1 != 0)
			l.SetCR8(uint8(reg >> 8))
		}
		m.CPU(0).check(t)
		m.CPU(1).check(t)
		l.MaskedByTPR()
		for i := range 2 {
			if st := m.CPU(i).Export(uint64(*m.clock)); !st.valid() {
				t.Fatalf("Export of CPU %d makes a state that Import refuses: %+v", i, st)
			}
		}
	}
	// A copy behaves the same.
	now := uint64(*m.clock)
	c := newMachine(2)
	*c.clock = *m.clock
	for i := range 2 {
		want := m.CPU(i).Export(now)
		if err := c.CPU(i).Import(&want, now); err != nil {
			t.Fatal(err)
		}
		c.CPU(i).check(t)
		if d := cmp.Diff(want, c.CPU(i).Export(now)); d != "" {
			t.Fatal("imported state differs:", d)
		}
		if d := cmp.Diff(m.pending(i), c.pending(i)); d != "" {
			t.Fatal("pending interrupts differ:", d)
		}
	}
}

func FuzzHostileGuest(f *testing.F) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		b := make([]byte, 12*100)
		for i := range b {
			b[i] = uint8(rnd.Uint32())
		}
		for i := 0; i < len(b); i += 12 { // small values get further
			if n := rnd.IntN(3); n != 0 {
				clear(b[i+4+2*n : i+12])
			}
			if rnd.IntN(4) == 0 { // legal vectors, enabled
				b[i+5] &= 1
				b[i+6] &= 7
			}
		}
		f.Add(b)
	}
	f.Fuzz(hostile)
}

func TestImportRefuses(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	good := l.Export(0)
	for name, spoil := range map[string]func(*State){
		"vector 3 pending":       func(s *State) { s.IRR[0] = 8 },
		"vector 0 in service":    func(s *State) { s.ISR[0] = 1 },
		"mode":                   func(s *State) { s.Mode = modeX2 },
		"software enable bit":    func(s *State) { s.Mode |= modeSW },
		"TPR":                    func(s *State) { s.TPR = 256 },
		"LVT bits":               func(s *State) { s.LVT[0] |= 1 << 31 },
		"unmasked when disabled": func(s *State) { s.SVR = 0xff; s.LVT[5] = 0x41 },
		"deadline in one-shot":   func(s *State) { s.TSCDeadline = 9 },
		"endless count":          func(s *State) { s.Initial = 1; s.Left = 1 << 60 },
		"pins":                   func(s *State) { s.Pins = 4 },
		"DFR":                    func(s *State) { s.DFR = 0 },
	} {
		s := good
		spoil(&s)
		if err := l.Import(&s, 0); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if d := cmp.Diff(good, l.Export(0)); d != "" {
		t.Error("refused import changed the state:", d)
	}
}

func TestExitPathDoesNotAllocate(t *testing.T) {
	m := newMachine(2)
	m.x2(t)
	l := m.CPU(0)
	l.WriteMSR(msrTimer, 0x400ec, m.now())
	for name, f := range map[string]func(){
		"self IPI, EOI": func() {
			l.WriteMSR(0x83f, 0x41, m.now())
			v, _ := l.Pending()
			l.Ack(v)
			l.WriteMSR(0x80b, 0, m.now())
		},
		"TPR":        func() { l.WriteMSR(0x808, 0x20, m.now()); l.ReadMSR(0x808, m.now()); l.WriteMSR(0x808, 0, m.now()) },
		"IPI":        func() { l.WriteMSR(0x830, 0x1_0000_4041, m.now()); m.CPU(1).Pending() },
		"broadcast":  func() { l.WriteMSR(0x830, 0xc4041, m.now()) },
		"lowest":     func() { l.WriteMSR(0x830, 0x3_0000_4941, m.now()) },
		"level":      func() { l.SetIRR(0x55, true); v, _ := l.Pending(); l.Ack(v); *m.eois = (*m.eois)[:0]; l.EOI() },
		"timer":      func() { l.WriteMSR(msrDeadline, 1, m.now()); l.Deadline(); l.Tick(uint64(*m.clock)) },
		"MMIO":       func() { l.Read(0x20, 4, m.now()); l.Write(0x80, 4, 0, m.now()) },
		"base":       func() { l.ReadMSR(x86.MSRAPICBase, m.now()) },
		"LINT":       func() { l.SetLINT(0, true); l.SetLINT(0, false); l.TakesExtINT() },
		"bad access": func() { l.WriteMSR(0x8ff, 1, m.now()); l.ReadMSR(0x8ff, m.now()) },
	} {
		if n := testing.AllocsPerRun(50, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkSelfIPI(b *testing.B) {
	m := newMachine(1)
	m.x2(b)
	l := m.CPU(0)
	for b.Loop() {
		l.WriteMSR(0x83f, 0x41, m.now())
		v, _ := l.Pending()
		l.Ack(v)
		l.WriteMSR(0x80b, 0, m.now())
	}
}

func BenchmarkEOI(b *testing.B) {
	m := newMachine(1)
	m.x2(b)
	for b.Loop() {
		m.CPU(0).WriteMSR(0x80b, 0, m.now())
	}
}
