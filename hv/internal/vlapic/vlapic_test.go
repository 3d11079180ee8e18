// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/bus"
	"ringo/hv/x86"
)

// clock is a fake TSC.
type clock uint64

// sink records what its vCPU was asked for.
type sink struct {
	kicks, nmis, inits int
	startup            []uint8
}

func (s *sink) Kick()           { s.kicks++ }
func (s *sink) NMI()            { s.nmis++ }
func (s *sink) Init()           { s.inits++ }
func (s *sink) Startup(p uint8) { s.startup = append(s.startup, p) }

// eois records broadcasts.
type eois []uint8

func (e *eois) EOI(v uint8) { *e = append(*e, v) }

const tscHz = 2_000_000_000

type machine struct {
	*Set
	clock *clock
	sinks []*sink
	eois  *eois
}

func newMachine(n int) *machine {
	m := &machine{clock: new(clock), eois: new(eois)}
	*m.clock = 1_000_000
	var ss []Sink
	for range n {
		s := new(sink)
		m.sinks = append(m.sinks, s)
		ss = append(ss, s)
	}
	m.Set = NewSet(tscHz, ss)
	m.OnEOI(m.eois)
	return m
}

// now is the host's TSC.
func (m *machine) now() uint64 { return uint64(*m.clock) }

// x2 puts every local APIC into x2APIC mode, software enabled.
func (m *machine) x2(t testing.TB) {
	t.Helper()
	for i := range m.Len() {
		l := m.CPU(i)
		if !l.WriteMSR(x86.MSRAPICBase, l.Base()|baseEXTD, m.now()) || !l.WriteMSR(0x80f, 0x1ff, m.now()) {
			t.Fatal("cannot enable x2APIC mode")
		}
	}
}

// x1 enables every local APIC in xAPIC mode.
func (m *machine) x1() {
	for i := range m.Len() {
		m.CPU(i).Write(0xf0, 4, 0x1ff, m.now())
	}
}

// pending lists what CPU i takes, in order, ending each at once.
func (m *machine) pending(i int) (vs []uint8) {
	l := m.CPU(i)
	for range 300 {
		v, ok := l.Pending()
		if !ok {
			return vs
		}
		l.Ack(v)
		l.EOI()
		vs = append(vs, v)
	}
	return vs
}

func TestPriorities(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	expect := func(step string, want uint8) {
		t.Helper()
		v, ok := l.Pending()
		if !ok {
			v = 0
		}
		if v != want {
			t.Fatalf("%s: pending %#x, want %#x", step, v, want)
		}
	}
	expect("nothing", 0)
	if !l.SetIRR(0x31, false) {
		t.Error("first post needs a kick")
	}
	if l.SetIRR(0x52, false) {
		t.Error("second post before the owner looked needs none")
	}
	expect("two posted", 0x52)
	l.Ack(0x52)
	expect("lower class waits", 0)
	l.SetIRR(0x5f, false)
	expect("same class waits", 0)
	l.SetIRR(0x60, false)
	expect("higher class nests", 0x60)
	l.Ack(0x60)
	if v, _ := l.ReadMSR(0x80a, m.now()); v != 0x60 {
		t.Errorf("PPR %#x", v)
	}
	l.EOI()
	expect("back in 0x52", 0)
	l.EOI()
	expect("0x52 done", 0x5f)
	l.WriteMSR(0x808, 0x50, m.now())
	expect("TPR hides", 0)
	if !l.MaskedByTPR() {
		t.Error("0x5f waits for TPR")
	}
	if l.CR8() != 5 {
		t.Errorf("CR8 = %d", l.CR8())
	}
	l.SetCR8(4)
	expect("CR8 lowered", 0x5f)
	l.Ack(0x5f)
	if l.MaskedByTPR() {
		t.Error("0x31 waits for the EOI, not for TPR")
	}
	l.EOI()
	expect("class 3 below TPR 4", 0)
	l.SetCR8(0)
	expect("all open", 0x31)
	l.Ack(0x31)
	l.EOI()
	l.EOI() // spurious
	expect("empty", 0)
}

func TestAPICBase(t *testing.T) {
	const x1, x2, off = BasePage | baseEN, BasePage | baseEN | baseEXTD, BasePage
	for _, c := range []struct {
		name string
		path []uint64
		ok   bool // of the last
	}{
		{"same", []uint64{x1 | baseBSP}, true},
		{"BSP flag ignored", []uint64{x1}, true},
		{"to x2APIC", []uint64{x2}, true},
		{"x2APIC to xAPIC", []uint64{x2, x1}, false},
		{"x2APIC to disabled", []uint64{x2, off}, true},
		{"disabled to x2APIC", []uint64{off, x2}, false},
		{"disabled to xAPIC", []uint64{x2, off, x1}, true},
		{"all the way round", []uint64{x2, off, x1, x2}, true},
		{"EXTD without EN", []uint64{BasePage | baseEXTD}, false},
		{"EXTD without EN from x2APIC", []uint64{x2, BasePage | baseEXTD}, false},
		{"moved", []uint64{0xfef0_0000 | baseEN}, false},
		{"reserved low bit", []uint64{x1 | 1}, false},
		{"reserved bit 9", []uint64{x1 | 1<<9}, false},
		{"reserved high bit", []uint64{x1 | 1<<63}, false},
	} {
		m := newMachine(2)
		l := m.CPU(0)
		for i, v := range c.path {
			before, _ := l.ReadMSR(x86.MSRAPICBase, m.now())
			ok := l.WriteMSR(x86.MSRAPICBase, v, m.now())
			want := i < len(c.path)-1 || c.ok
			if ok != want {
				t.Errorf("%s: step %d ok=%v", c.name, i, ok)
			}
			after, _ := l.ReadMSR(x86.MSRAPICBase, m.now())
			if ok {
				before = v | baseBSP
			}
			if after != before {
				t.Errorf("%s: step %d base %#x, want %#x", c.name, i, after, before)
			}
		}
	}
	if v, _ := newMachine(2).CPU(1).ReadMSR(x86.MSRAPICBase, 0); v != x1 {
		t.Errorf("CPU 1 base %#x, want %#x", v, x1)
	}
}

func TestDisabledTakesNothing(t *testing.T) {
	m := newMachine(1)
	l := m.CPU(0)
	if l.SetIRR(0x40, false) || len(m.pending(0)) != 0 {
		t.Error("software-disabled local APIC took an interrupt")
	}
	m.x1()
	l.SetIRR(0x40, false)
	l.Write(0xf0, 4, 0xff, m.now()) // software disable keeps what is pending
	if d := cmp.Diff([]uint8{0x40}, m.pending(0)); d != "" {
		t.Error(d)
	}
	l.Write(0xf0, 4, 0x1ff, m.now())
	l.SetIRR(0x41, false)
	l.WriteMSR(x86.MSRAPICBase, BasePage, m.now())
	if m.Deliver(bus.Message{Vector: 0x42}) || m.Deliver(bus.Message{Mode: bus.NMI}) || len(m.pending(0)) != 0 {
		t.Error("disabled local APIC keeps or takes interrupts")
	}
	if l.Mapped() || l.Enabled() {
		t.Error("disabled local APIC is mapped")
	}
}

// TestX2Registers goes through all 256 MSRs: what exists, what #GPs.
func TestX2Registers(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	type access struct{ R, W0, WAll bool } // readable, 0 writable, all ones writable
	want := map[uint32]access{
		0x02: {R: true}, 0x03: {R: true}, 0x0a: {R: true}, 0x0d: {R: true}, 0x39: {R: true},
		0x08: {R: true, W0: true}, 0x0b: {W0: true}, 0x0f: {R: true, W0: true}, 0x28: {R: true, W0: true},
		0x30: {R: true, W0: true}, 0x38: {R: true, W0: true}, 0x3e: {R: true, W0: true}, 0x3f: {W0: true},
	}
	for r := uint32(0x10); r < 0x28; r++ {
		want[r] = access{R: true}
	}
	for r := uint32(0x32); r < 0x38; r++ {
		want[r] = access{R: true, W0: true}
	}
	for r := range uint32(0x100) {
		_, rd := l.ReadMSR(0x800+r, m.now())
		got := access{rd, l.WriteMSR(0x800+r, 0, m.now()), l.WriteMSR(0x800+r, ^uint64(0), m.now())}
		if got != want[r] {
			t.Errorf("MSR %#x: %+v, want %+v", 0x800+r, got, want[r])
		}
	}
	if _, ok := newMachine(1).CPU(0).ReadMSR(0x802, m.now()); ok {
		t.Error("x2APIC MSR readable in xAPIC mode")
	}
	if newMachine(1).CPU(0).WriteMSR(0x80b, 0, m.now()) {
		t.Error("x2APIC MSR writable in xAPIC mode")
	}
}

func TestReservedBits(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	for _, c := range []struct {
		msr uint32
		val uint64
		ok  bool
	}{
		{0x808, 0xff, true}, {0x808, 0x100, false},
		{0x80b, 1, false}, {0x828, 1, false},
		{0x80f, 0x11ff, true}, {0x80f, 0x3ff, false}, {0x80f, 0x1_0000_01ff, false},
		{0x830, 0x0000_0005_000c_46fe, true}, {0x830, 0x1000_40fe, false}, {0x830, 0x60fe, false},
		{0x832, 0x400ef, true}, {0x832, 0x600ef, false}, {0x832, 0x4ef, false}, {0x832, 0x8_00ef, false},
		{0x833, 0x104ef, true}, {0x835, 0x1a7ff, true}, {0x835, 0x2_0000, false}, {0x837, 0x4ef, false},
		{0x83e, 0xb, true}, {0x83e, 4, false}, {0x83f, 0xff, true}, {0x83f, 0x100, false},
	} {
		if ok := l.WriteMSR(c.msr, c.val, m.now()); ok != c.ok {
			t.Errorf("WRMSR %#x, %#x: ok=%v", c.msr, c.val, ok)
		}
	}
}

func TestMMIO(t *testing.T) {
	m := newMachine(4)
	l := m.CPU(3)
	type rw struct{ write, want uint64 }
	for off, c := range map[uint64]rw{
		0x20:  {0, 3 << 24}, // ID is read-only
		0x30:  {0, version},
		0x80:  {0xffff_ff25, 0x25},
		0xd0:  {0xffff_ffff, 0xff00_0000},
		0xe0:  {0, 0x0fff_ffff},
		0xf0:  {0xffff_ffff, 0x11ff},
		0x310: {0xffff_ffff, 0xff00_0000},
		0x350: {0xffff_ffff, 0x1_a7ff},
		0x320: {0xffff_ffff, 0x7_00ff},
		0x370: {0xffff_ffff, 0x1_00ff},
		0x3e0: {0xffff_ffff, 0xb},
	} {
		if off != 0xf0 {
			l.Write(0xf0, 4, 0x1ff, m.now())
		}
		l.Write(off, 4, c.write, m.now())
		if got := l.Read(off, 4, m.now()); got != c.want {
			t.Errorf("register %#x: %#x, want %#x", off, got, c.want)
		}
	}
	if got := l.Read(0x21, 1, m.now()) | l.Read(0x23, 1, m.now()); got != 3 {
		t.Errorf("byte reads of the ID: %#x", got)
	}
	if l.Read(0x22, 4, m.now()) != 0 || l.Read(0x24, 4, m.now()) != 0 || l.Read(0x20, 8, m.now()) != 0 {
		t.Error("reads outside the first four bytes see something")
	}
	l.Write(0x280, 4, 0, m.now())
	l.Write(0x280, 4, 0, m.now())
	l.Read(0x3f0, 4, m.now()) // SELF IPI does not exist in xAPIC mode
	l.Write(0x280, 4, 0, m.now())
	if got := l.Read(0x280, 4, m.now()); got != errRegister {
		t.Errorf("ESR %#x after an illegal register", got)
	}
	l.Write(0x280, 4, 0, m.now())
	l.Write(0x3f0, 4, 0x40, m.now())
	l.Write(0x400, 4, 0x40, m.now())
	l.Write(0x280, 4, 0, m.now())
	if got := l.Read(0x280, 4, m.now()); got != errRegister {
		t.Errorf("ESR %#x after illegal writes", got)
	}
}

func TestErrors(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	esr := func() uint64 {
		l.WriteMSR(0x828, 0, m.now())
		v, _ := l.ReadMSR(0x828, m.now())
		return v
	}
	l.WriteMSR(0x837, 0xe1, m.now()) // error interrupt
	l.WriteMSR(0x83f, 15, m.now())
	if d := cmp.Diff([]uint8{0xe1}, m.pending(0)); d != "" {
		t.Error("self-IPI with vector 15:", d)
	}
	if got := esr(); got != errSendIllegal {
		t.Errorf("ESR %#x", got)
	}
	l.WriteMSR(0x830, 0, m.now()) // fixed, vector 0
	if m.pending(0) == nil || esr() != errSendIllegal || esr() != 0 {
		t.Error("ICR with vector 0 goes unnoticed, or ESR is not cleared")
	}
	l.SetIRR(3, true)
	if m.pending(0) == nil || esr() != errRecvIllegal {
		t.Error("received vector 3 goes unnoticed")
	}
	l.WriteMSR(0x837, 5, m.now()) // the error vector itself is illegal
	l.WriteMSR(0x83f, 1, m.now())
	if vs := m.pending(0); vs != nil {
		t.Errorf("illegal error vector delivered %#x", vs)
	}
	if got := esr(); got != errSendIllegal|errRecvIllegal {
		t.Errorf("ESR %#x", got)
	}
}

func TestLevelAndEOI(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	l.SetIRR(0x41, true)
	l.SetIRR(0x51, false)
	if v, _ := l.ReadMSR(0x81a, m.now()); v != 2 {
		t.Errorf("TMR %#x", v)
	}
	m.pending(0)
	if d := cmp.Diff(eois{0x41}, *m.eois); d != "" {
		t.Error(d)
	}
	l.SetIRR(0x41, false) // the same vector, now edge-triggered
	m.pending(0)
	l.WriteMSR(0x80f, 0x11ff, m.now()) // the guest suppresses broadcasts
	l.SetIRR(0x42, true)
	m.pending(0)
	if d := cmp.Diff(eois{0x41}, *m.eois); d != "" {
		t.Error(d)
	}
}

func TestLINT(t *testing.T) {
	m := newMachine(1)
	l, s := m.CPU(0), m.sinks[0]
	pulse := func(pin uint8) {
		l.SetLINT(pin, true)
		l.SetLINT(pin, true)
		l.SetLINT(pin, false)
	}
	pulse(0) // masked after reset
	if s.kicks != 0 || l.TakesExtINT() {
		t.Error("masked LINT0 kicks")
	}
	m.x1()
	l.Write(0x350, 4, 0x700, m.now())
	pulse(0)
	if s.kicks != 1 || !l.TakesExtINT() || m.pending(0) != nil {
		t.Error("LINT0 as ExtINT does not work")
	}
	l.Write(0x350, 4, 0x45, m.now())
	pulse(0)
	if d := cmp.Diff([]uint8{0x45}, m.pending(0)); d != "" || l.TakesExtINT() {
		t.Error("LINT0 as fixed interrupt:", d)
	}
	l.Write(0x360, 4, 0x400, m.now())
	pulse(1)
	if s.nmis != 1 {
		t.Error("LINT1 as NMI does not work")
	}
	l.Write(0x360, 4, 0x10400, m.now())
	pulse(1)
	l.WriteMSR(x86.MSRAPICBase, BasePage, m.now())
	if s.nmis != 1 || !l.TakesExtINT() {
		t.Error("masked LINT1, or disabled local APIC")
	}
	pulse(1)
	if s.nmis != 2 {
		t.Error("LINT1 of a disabled local APIC is NMI")
	}
}
