// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vioapic

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

// router records messages and takes them unless refuse is set.
type router struct {
	got    []bus.Message
	refuse bool
}

func (r *router) Deliver(m bus.Message) bool {
	if r.refuse {
		return false
	}
	r.got = append(r.got, m)
	return true
}

func (r *router) take() []bus.Message {
	g := r.got
	r.got = nil
	return g
}

func newPair() (*IOAPIC, *router) {
	r := new(router)
	return New(r), r
}

func (d *IOAPIC) poke(reg uint8, v uint32) {
	d.Write(offSelect, 4, uint64(reg), 0)
	d.Write(offWindow, 4, uint64(v), 0)
}

func (d *IOAPIC) peek(reg uint8) uint32 {
	d.Write(offSelect, 4, uint64(reg), 0)
	return uint32(d.Read(offWindow, 4, 0))
}

func (d *IOAPIC) program(pin uint8, e uint64) {
	d.poke(regTable+2*pin+1, uint32(e>>32))
	d.poke(regTable+2*pin, uint32(e))
}

func TestRegisters(t *testing.T) {
	d, _ := newPair()
	if got := d.peek(regVer); got != 0x0017_0020 {
		t.Errorf("version %#x", got)
	}
	if abi.IOAPICPins != Pins {
		t.Error("the ABI promises another number of pins")
	}
	d.poke(regID, 0xffff_ffff)
	if got := d.peek(regID); got != 0x0f00_0000 || d.peek(regArb) != got {
		t.Errorf("ID %#x", got)
	}
	for pin := range uint8(Pins) {
		if got := d.peek(regTable + 2*pin); got != rteMasked {
			t.Errorf("pin %d after reset: %#x", pin, got)
		}
		d.poke(regTable+2*pin, 0xffff_ffff)
		d.poke(regTable+2*pin+1, 0xffff_ffff)
		if lo, hi := d.peek(regTable+2*pin), d.peek(regTable+2*pin+1); lo != 0x0001_afff || hi != 0xff00_0000 {
			t.Errorf("pin %d: %#x %#x", pin, hi, lo)
		}
	}
	for reg := 0x40; reg < 0x100; reg++ {
		d.poke(uint8(reg), 0xffff_ffff)
		if got := d.peek(uint8(reg)); got != 0 {
			t.Errorf("register %#x: %#x", reg, got)
		}
	}
	d.Write(offWindow, 1, 0, 0) // narrow writes do nothing
	if d.Read(offSelect, 1, 0) != 0xff || d.Read(0x20, 4, 0) != 0 {
		t.Error("page")
	}
}

func TestEdge(t *testing.T) {
	d, r := newPair()
	d.Set(4, true) // lost: masked
	d.Set(4, false)
	d.program(4, 0x0200_0000_0000_0041)
	if r.take() != nil {
		t.Error("an edge while masked was kept")
	}
	l := d.Line(4)
	for range 2 {
		l.Set(true)
		l.Set(true)
		l.Set(false)
	}
	want := bus.Message{Dest: 2, Vector: 0x41}
	if diff := cmp.Diff([]bus.Message{want, want}, r.take()); diff != "" {
		t.Error(diff)
	}
	d.Set(24, true)
	d.Set(1<<31, true)
	if r.take() != nil {
		t.Error("pins that do not exist")
	}
}

func TestLevel(t *testing.T) {
	d, r := newPair()
	m := bus.Message{Dest: bus.Broadcast, Vector: 0x59, Mode: bus.LowestPriority, Level: true}
	expect := func(step string, n int, remote bool) {
		t.Helper()
		var want []bus.Message
		for range n {
			want = append(want, m)
		}
		if diff := cmp.Diff(want, r.take()); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
		if got := d.peek(regTable+18)&rteRemoteIRR != 0; got != remote {
			t.Errorf("%s: remote IRR %v", step, got)
		}
	}
	d.Set(9, true)
	expect("masked", 0, false)
	d.program(9, 0xff00_0000_0000_8159)
	expect("unmask a high line", 1, true)
	d.Set(9, false)
	d.Set(9, true)
	expect("in service", 0, true)
	d.EOI(0x58)
	expect("EOI of another vector", 0, true)
	d.EOI(0x59)
	expect("EOI, line high", 1, true)
	d.Set(9, false)
	d.Write(offEOI, 4, 0x59, 0)
	expect("directed EOI, line low", 0, false)
	d.Set(9, true)
	expect("next", 1, true)
	d.program(9, 0xff00_0000_0001_8159)
	d.EOI(0x59)
	expect("EOI while masked", 0, false)
	d.program(9, 0xff00_0000_0000_8159)
	expect("unmasked again", 1, true)
	d.program(9, 0xff00_0000_0001_0159) // mask and edge, then back: EOI by hand
	d.program(9, 0xff00_0000_0000_8159)
	expect("EOI by change of trigger", 1, true)
	d.EOI(0x59)
	r.take()
	d.Set(9, false)
	d.EOI(0x59)
	r.refuse = true
	d.Set(9, true)
	expect("nobody took it", 0, false)
}

func TestModes(t *testing.T) {
	for mode, want := range map[uint64]*bus.Message{
		0: {Dest: 0xff, Vector: 0x33, Logical: true, Level: true},
		1: {Dest: 0xff, Vector: 0x33, Logical: true, Level: true, Mode: bus.LowestPriority},
		2: nil, 3: nil, 6: nil, 7: nil,
		4: {Dest: 0xff, Vector: 0x33, Logical: true, Mode: bus.NMI},
		5: {Dest: 0xff, Vector: 0x33, Logical: true, Mode: bus.INIT},
	} {
		d, r := newPair()
		d.program(1, 0xff00_0000_0000_8833|mode<<8)
		d.Set(1, true)
		var got *bus.Message
		if ms := r.take(); len(ms) > 0 {
			got = &ms[0]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mode %d: %s", mode, diff)
		}
	}
}

// TestRandom drives everything at random and checks the invariants that no
// sequence may break, and that a copy behaves like the original.
func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	d, r := newPair()
	for range 50000 {
		switch rnd.IntN(5) {
		case 0:
			d.Set(rnd.Uint32N(Pins+2), rnd.IntN(2) == 0)
		case 1:
			d.Write(rnd.Uint64N(0x60)&^15, 1<<rnd.IntN(4), rnd.Uint64(), 0)
		case 2:
			d.program(uint8(rnd.IntN(40)), uint64(rnd.IntN(4))<<56|uint64(rnd.Uint32N(0x20000)))
		case 3:
			d.EOI(uint8(rnd.Uint32()))
		case 4:
			d.Read(rnd.Uint64N(0x60), 1<<rnd.IntN(4), 0)
		}
		for pin, e := range d.table {
			if e&rteRemoteIRR == 0 && e&(rteLevel|rteMasked|7<<8) == rteLevel && d.lines>>pin&1 != 0 {
				t.Fatalf("level pin %d waits though nothing holds it back", pin)
			}
			if e&rteRemoteIRR != 0 && e&rteLevel == 0 {
				t.Fatalf("edge pin %d has remote IRR", pin)
			}
		}
		r.take()
		s := d.Export()
		c := New(r)
		if err := c.Import(&s); err != nil {
			t.Fatal(err)
		}
		if s != c.Export() {
			t.Fatal("copy differs")
		}
	}
	for _, s := range []State{{Lines: 1 << 24}, {ID: 16}, {Table: [Pins]uint64{rteRemoteIRR}}, {Table: [Pins]uint64{1 << 12}}} {
		if New(r).Import(&s) == nil {
			t.Errorf("impossible state taken: %+v", s)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	d := New(&router{refuse: true})
	d.program(9, 0x8159)
	if n := testing.AllocsPerRun(100, func() {
		d.Set(9, true)
		d.Set(9, false)
		d.EOI(0x59)
		d.poke(regTable, 0x10000)
		d.peek(regTable)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
