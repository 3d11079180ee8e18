// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/x86"
)

// hardware is a CPU that virtualizes a local APIC, written after SDM Vol. 3, "APIC
// Virtualization and Virtual Interrupts": it knows nothing of this package.
type hardware struct {
	page     x86.APICPage
	rvi, svi uint8
	level    [4]uint64 // EOI-exit bitmap
	x2       bool
	loads    int
}

func (h *hardware) APIC() *x86.APICPage { return &h.page }

func (h *hardware) LoadAPIC(x2 bool) {
	h.x2, h.loads = x2, h.loads+1
	h.rvi, h.svi = h.page.Highest(x86.APICIRR), h.page.Highest(x86.APICISR)
	for i := range h.level {
		h.level[i] = h.page.Vectors(x86.APICTMR, i)
	}
}

func (h *hardware) bit(set int, v uint8) (*uint32, uint32) {
	return &h.page[4*(set+int(v>>5))], 1 << (v & 31)
}

func (h *hardware) updatePPR() {
	tpr := uint8(h.page[0x80/4])
	if tpr>>4 >= h.svi>>4 {
		h.page[0xa0/4] = uint32(tpr)
	} else {
		h.page[0xa0/4] = uint32(h.svi & 0xf0)
	}
}

// deliver takes the next interrupt, if there is one.
func (h *hardware) deliver() (uint8, bool) {
	if h.rvi>>4 <= uint8(h.page[0xa0/4])>>4 {
		return 0, false
	}
	v := h.rvi
	w, b := h.bit(x86.APICISR, v)
	*w |= b
	h.svi = v
	h.page[0xa0/4] = uint32(v & 0xf0)
	w, b = h.bit(x86.APICIRR, v)
	*w &^= b
	h.rvi = h.page.Highest(x86.APICIRR)
	return v, true
}

// write is WRMSR of TPR, EOI or SELF IPI. It reports an exit.
func (h *hardware) write(reg uint32, val uint8) (vector uint8, exit bool) {
	switch reg {
	case regTPR:
		h.page[0x80/4] = uint32(val)
		h.updatePPR()
	case regEOI:
		v := h.svi
		w, b := h.bit(x86.APICISR, v)
		*w &^= b
		h.svi = h.page.Highest(x86.APICISR)
		h.updatePPR()
		return v, h.level[v>>6]>>(v&63)&1 != 0
	case regSelfIPI:
		if val < 16 {
			return 0, true
		}
		w, b := h.bit(x86.APICIRR, val)
		*w |= b
		h.rvi = max(h.rvi, val)
	}
	return 0, false
}

// twins are a local APIC in software and one over a CPU, which shall not differ.
type twins struct {
	t          *testing.T
	soft, hard *machine
	hw         *hardware
	l, h       *LAPIC
}

func newTwins(t *testing.T) *twins {
	w := &twins{t: t, soft: newMachine(1), hard: newMachine(1), hw: new(hardware)}
	w.l, w.h = w.soft.CPU(0), w.hard.CPU(0)
	w.h.Attach(w.hw)
	if w.l.Virtual() || !w.h.Virtual() {
		t.Fatal("Attach had no effect")
	}
	w.soft.x2(t)
	w.hard.x2(t)
	return w
}

// wrmsr writes an MSR as the guest, with the exits of hw.
func (w *twins) wrmsr(msr uint32, val uint64) {
	w.h.Load()
	a := w.l.WriteMSR(msr, val, w.soft.now())
	reg := msr - x86.MSRX2APICBase
	if w.hw.x2 && (reg == regTPR && val < 256 || reg == regEOI && val == 0 || reg == regSelfIPI && val < 256) {
		if vector, exit := w.hw.write(reg, uint8(val)); exit {
			w.h.Wrote(uint8(reg), vector)
		}
		return
	}
	b := w.h.WriteMSR(msr, val, w.hard.now())
	w.h.Load()
	if a != b {
		w.t.Fatalf("WRMSR %#x, %#x: %v and %v", msr, val, a, b)
	}
}

// exit writes a register as in xAPIC mode, where that exits, while the CPU has the
// state. It takes a Load only where the run loop would look.
func (w *twins) exit(reg, val uint64) {
	w.h.Load()
	w.l.Write(reg<<4, 4, val, w.soft.now())
	w.h.Write(reg<<4, 4, val, w.hard.now())
	if !w.h.Settled() {
		w.h.Load()
	} else if !w.h.Away() {
		w.t.Fatal("settled, but the CPU does not have the state")
	}
}

// window lets both guests take what they can.
func (w *twins) window() {
	w.h.Load()
	for {
		v, ok := w.l.Pending()
		if ok {
			w.l.Ack(v)
		}
		got, hit := w.hw.deliver()
		if ok != hit || ok && v != got {
			w.t.Fatalf("software delivers %#x, %v; the CPU %#x, %v", v, ok, got, hit)
		}
		if !ok {
			return
		}
	}
}

// post is an interrupt from outside.
func (w *twins) post(v uint8, level bool) {
	w.l.SetIRR(v, level)
	w.h.SetIRR(v, level)
	w.h.Load()
}

// same compares all that a guest can see.
func (w *twins) same() {
	w.t.Helper()
	for r := range uint32(numRegs) {
		a, okA := w.l.ReadMSR(x86.MSRX2APICBase+r, w.soft.now())
		b, okB := w.h.ReadMSR(x86.MSRX2APICBase+r, w.hard.now())
		if a != b || okA != okB {
			w.t.Fatalf("register %#x: software %#x, %v; with the CPU %#x, %v", r, a, okA, b, okB)
		}
	}
	if d := cmp.Diff([]uint8(*w.soft.eois), []uint8(*w.hard.eois)); d != "" {
		w.t.Fatalf("broadcasts (-software +CPU):\n%s", d)
	}
}

// shows compares what the guest reads in the page with what it would get by an
// exit.
func (w *twins) shows() {
	w.t.Helper()
	w.h.Load()
	if !w.hw.x2 {
		return
	}
	for _, r := range shown {
		want, _ := w.l.ReadMSR(x86.MSRX2APICBase+uint32(r), w.soft.now())
		got := uint64(*w.hw.page.Reg(int(r))) | uint64(w.hw.page[4*int(r)+1])<<32
		if got != want {
			w.t.Fatalf("register %#x is shown as %#x, want %#x", r, got, want)
		}
	}
}

// random writes any register but SELF IPI.
func (w *twins) random(rng *rand.Rand) {
	w.wrmsr(x86.MSRX2APICBase+rng.Uint32N(regSelfIPI), rng.Uint64N(1<<17)|uint64(rng.IntN(2))<<34)
}

// The same operations on both give the same registers, deliveries and broadcasts,
// whatever the mode, and whether or not the state goes back and forth in between.
func TestHardware(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newTwins(t)
		for range 300 {
			vec := uint8(16 + rng.IntN(240))
			switch n := rng.IntN(100); {
			case n < 15:
				// A SELF IPI leaves TMR alone on such a CPU: no level-
				// triggered interrupt has an even vector here.
				w.wrmsr(x86.MSRX2APICBase+regSelfIPI, uint64(vec&^1))
			case n < 17:
				w.wrmsr(x86.MSRX2APICBase+regSelfIPI, uint64(vec&15))
			case n < 35:
				w.post(vec, vec&1 != 0 && rng.IntN(2) == 0)
			case n < 50:
				w.window()
			case n < 55:
				w.exit([]uint64{regTPR, regEOI}[rng.IntN(2)], rng.Uint64N(256))
			case n < 75:
				w.wrmsr(x86.MSRX2APICBase+regEOI, 0)
			case n < 83:
				w.wrmsr(x86.MSRX2APICBase+regTPR, rng.Uint64N(256))
			case n < 90:
				w.random(rng)
			case n < 92:
				w.wrmsr(x86.MSRX2APICBase+regSVR, 0xff|uint64(rng.IntN(4))<<8)
			case n < 94:
				w.wrmsr(x86.MSRX2APICBase+regICR, 1<<18|uint64(vec)) // to itself
			case n < 95:
				for _, base := range []uint64{baseBSP, baseBSP | baseEN, baseBSP | baseEN | baseEXTD}[:1+rng.IntN(3)] {
					w.wrmsr(x86.MSRAPICBase, BasePage|base)
				}
			case n < 97:
				a, b := w.l.Export(w.soft.now()), w.h.Export(w.hard.now())
				if d := cmp.Diff(a, b); d != "" {
					t.Fatalf("seed %d: state (-software +CPU):\n%s", seed, d)
				}
				if err := w.h.Import(&b, w.hard.now()); err != nil {
					t.Fatal(err)
				}
			case n < 98:
				w.l.Init()
				w.h.Init()
			default:
				w.shows()
			}
			w.same()
		}
	}
}

// What others post while the guest runs waits for the next Load, and is not lost;
// Load does nothing when there is nothing new.
func TestLoad(t *testing.T) {
	w := newTwins(t)
	w.h.Load()
	n := w.hw.loads
	w.h.Load()
	if w.hw.loads != n || !w.h.Settled() {
		t.Errorf("%d loads, settled %v", w.hw.loads-n, w.h.Settled())
	}
	if !w.h.SetIRR(0x55, true) || w.h.SetIRR(0x56, false) || w.h.Settled() {
		t.Error("a kick for the first interrupt, and none for the second, are wanted")
	}
	if got, _ := w.h.ReadMSR(x86.MSRX2APICBase+regIRR+2, w.hard.now()); got != 3<<21 {
		t.Errorf("IRR %#x before Load", got)
	}
	w.h.Load()
	if v, ok := w.hw.deliver(); !ok || v != 0x56 {
		t.Errorf("delivered %#x, %v", v, ok)
	}
	if !w.h.SetIRR(0x57, false) {
		t.Error("no kick after Load")
	}
	if w.hw.level[1] != 1<<(0x55-64) {
		t.Errorf("EOI-exit bitmap %#x", w.hw.level)
	}
	if a := testing.AllocsPerRun(10, func() { w.h.SetIRR(0x60, false); w.h.Load(); w.h.Pending(); w.h.Load() }); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// What a vCPU does most leaves the page as it is: an IPI and a count of its timer change
// their own registers there, and the question whether it sleeps on nothing.
func TestPageStays(t *testing.T) {
	w := newTwins(t)
	w.h.Load()
	const icr, count = 0x5<<32 | 0x4_4000 | 0x41, 1000 // to itself
	w.h.WriteMSR(0x830, icr, 0)
	w.h.WriteMSR(0x838, count, 0)
	p := &w.hw.page
	if got := uint64(p[4*regICR+1])<<32 | uint64(p[4*regICR]); got != icr || *p.Reg(regInitial) != count {
		t.Errorf("ICR %#x, initial count %d in the page", got, *p.Reg(regInitial))
	}
	if v, ok := w.h.Pending(); v != 0x41 || !ok || !w.h.Away() {
		t.Errorf("%#x, %v is pending before Load; away %v", v, ok, w.h.Away())
	}
	w.h.Load()
	if v, ok := w.h.Pending(); v != 0x41 || !ok || !w.h.Away() {
		t.Errorf("%#x, %v is pending; away %v", v, ok, w.h.Away())
	}
	w.hw.deliver()
	w.h.SetIRR(0x42, false)
	if v, ok := w.h.Pending(); v != 0x42 || ok || !w.h.Away() {
		t.Errorf("%#x, %v is pending below PPR; away %v", v, ok, w.h.Away())
	}
	if w.h.Load(); !w.h.Settled() {
		t.Error("not settled")
	}
}

// The task priority has two doors, the register and CR8; both lead to the same.
func TestSyncCR8(t *testing.T) {
	m := newMachine(1)
	m.x2(t)
	l := m.CPU(0)
	if class, set := l.SyncCR8(3); set || l.CR8() != 3 {
		t.Errorf("from CR8: %d, %v, TPR class %d", class, set, l.CR8())
	}
	l.WriteMSR(x86.MSRX2APICBase+regTPR, 0x72, 0)
	if class, set := l.SyncCR8(3); !set || class != 7 || l.CR8() != 7 {
		t.Errorf("from the register: %d, %v, TPR class %d", class, set, l.CR8())
	}
	if _, set := l.SyncCR8(7); set {
		t.Error("set twice")
	}
	l.SetIRR(0x65, false)
	l.Pending()
	if class, changed := l.Threshold(); class != 6 || !changed {
		t.Errorf("threshold %d, %v", class, changed)
	}
	if class, changed := l.Threshold(); class != 6 || changed {
		t.Errorf("threshold again %d, %v", class, changed)
	}
	l.SyncCR8(5)
	if class, changed := l.Threshold(); class != 0 || !changed {
		t.Errorf("threshold after lowering: %d, %v", class, changed)
	}
}
