// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vlapic

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/x86"
)

// bit is a guest's word for PV EOI.
type bit struct{ on, gone bool }

func (b *bit) Get() bool { return b.on || b.gone }
func (b *bit) Set(on bool) bool {
	if b.gone {
		return false
	}
	b.on = on
	return true
}

// side is a guest on one local APIC, with what the run loop and a backend that has no
// virtual local APIC do for it.
type side struct {
	*LAPIC
	m       *machine
	bit     *bit  // nil: it writes EOI always
	cr8     uint8 // the guest's, which it changes without exits
	on      bool  // takes interrupts
	waits   bool  // the backend reports when it takes them
	watched uint8 // TPR threshold
	handled []uint8
	exits   int // of EOI, when there is something to end
}

func newSide(t *testing.T, b *bit) *side {
	m := newMachine(1)
	m.x2(t)
	s := &side{LAPIC: m.CPU(0), m: m, bit: b}
	if b != nil {
		s.SetWord(b)
	}
	return s
}

func (s *side) sync() {
	if class, ok := s.SyncCR8(s.cr8); ok {
		s.cr8 = class
	}
}

// enter is what the run loop does when it looks at a vCPU.
func (s *side) enter() {
	s.sync()
	vec, ok := s.Pending()
	s.waits = ok && !s.on
	if ok && s.on {
		s.Ack(vec)
		s.handled = append(s.handled, vec)
		s.on = false // as an interrupt gate does
	}
	if class, changed := s.Threshold(); changed {
		s.watched = class
	}
	s.Offer()
}

// end is how a guest ends an interrupt.
func (s *side) end(write bool) {
	if !write && s.bit != nil && s.bit.on {
		s.bit.on = false
		return
	}
	if s.isrMax != 0 {
		s.exits++
	}
	s.WriteMSR(0x80b, 0, s.m.now())
	if !s.Settled() {
		s.enter()
	}
}

// state is what a guest can see, and what it has been given.
type state struct {
	ISR, IRR, TMR [8]uint64
	PPR, TPR      uint64
	CR8           uint8
	On            bool
	Handled       []uint8
	Ended         []uint8
}

func (s *side) state() (st state) {
	s.sync()
	for i := range uint32(8) {
		st.ISR[i], _ = s.ReadMSR(0x810+i, 0)
		st.TMR[i], _ = s.ReadMSR(0x818+i, 0)
		st.IRR[i], _ = s.ReadMSR(0x820+i, 0)
	}
	st.PPR, _ = s.ReadMSR(0x80a, 0)
	st.TPR, _ = s.ReadMSR(0x808, 0)
	st.CR8, st.On, st.Handled, st.Ended = s.cr8, s.on, s.handled, *s.m.eois
	return st
}

// do is one step of a guest, or of the world around it.
func (s *side) do(op, arg int) {
	switch op {
	case 0: // an interrupt from elsewhere, and the exit that it makes
		vec := uint8(0x20 + arg%0xe0)
		if s.SetIRR(vec, vec%5 == 0) {
			s.enter()
		}
	case 1: // the same, and the guest ends one before the exit
		vec := uint8(0x20 + arg%0xe0)
		kick := s.SetIRR(vec, vec%5 == 0)
		s.end(arg%3 == 0)
		if kick {
			s.enter()
		}
	case 2:
		s.end(true)
	case 3: // STI; what waits for it is an exit
		s.on = true
		if s.waits {
			s.enter()
		}
	case 4:
		s.on = false
	case 5: // MOV to CR8 exits below the threshold only
		s.cr8 = uint8(arg % 16)
		if s.cr8 < s.watched {
			s.enter()
		}
	case 6:
		s.WriteMSR(0x808, uint64(arg%256), 0)
		s.enter()
	case 7: // an exit for another reason
		s.enter()
	case 8: // a HLT, from which others may wake it
		s.Withdraw()
		s.enter()
	case 9: // SELF IPI
		s.WriteMSR(0x83f, uint64(0x20+arg%0xe0), 0)
		s.enter()
	case 10: // the timer, found by a read of its registers
		s.WriteMSR(0x832, uint64(0x20+arg%0xe0), 0)
		s.WriteMSR(0x838, 10, s.m.now())
		*s.m.clock += 1000
		s.ReadMSR(0x839, s.m.now())
	case 11, 12, 13: // what a guest does most: it takes one, and ends it
		s.cr8 = 0
		s.enter()
		s.do(3, 0)
		s.end(false)
	default:
		s.end(false)
	}
}

// rare is what happens seldom: the word goes, comes back, and the local APIC is turned
// off and on.
func (s *side) rare(op int) {
	switch op {
	case 0:
		s.WriteMSR(x86.MSRAPICBase, BasePage|baseBSP, 0)
		if s.bit != nil && s.bit.on {
			panic("the bit is set while the local APIC is off")
		}
		s.WriteMSR(x86.MSRAPICBase, BasePage|baseBSP|baseEN, 0)
		s.WriteMSR(x86.MSRAPICBase, BasePage|baseBSP|baseEN|baseEXTD, 0)
		s.WriteMSR(0x80f, 0x1ff, 0)
	case 1:
		if s.bit != nil {
			s.SetWord(nil)
			if s.bit.on {
				panic("the bit stays set when it is turned off")
			}
			s.SetWord(s.bit)
		}
	case 2:
		st := s.Export(s.m.now())
		if s.Import(&st, s.m.now()) != nil {
			panic("a local APIC does not take its own state")
		}
	}
	s.enter()
}

// TestWordModel runs random guests on two local APICs, one of which has the bit: they
// take the same interrupts in the same order, and are in the same state when anybody
// looks; level-triggered ones are never ended by the bit, and most others are.
func TestWordModel(t *testing.T) {
	exits := [2]int{}
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		plain, fast := newSide(t, nil), newSide(t, new(bit))
		sides := [2]*side{plain, fast}
		for step := range 300 {
			op, arg, look := rnd.IntN(17), rnd.IntN(1<<16), rnd.IntN(8) == 0
			seldom := rnd.IntN(40) == 0
			for _, s := range sides {
				if seldom {
					s.rare(op % 3)
				} else {
					s.do(op, arg)
				}
			}
			if b := fast.bit; b.on && (fast.isrMax == 0 || fast.tmr.test(fast.isrMax) && fast.posted.Load() == 0) {
				t.Fatalf("seed %d, step %d, op %d: the bit is set for vector %#x", seed, step, op, fast.isrMax)
			}
			if !look {
				continue // reading would make the second one look
			}
			if d := cmp.Diff(plain.state(), fast.state()); d != "" {
				t.Fatalf("seed %d, step %d, op %d: %s", seed, step, op, d)
			}
		}
		exits[0] += plain.exits
		exits[1] += fast.exits
	}
	t.Logf("EOI exits: %d, with the bit %d", exits[0], exits[1])
	if exits[1] > exits[0]*9/10 {
		t.Error("the bit spares no exits")
	}
}

// TestWord: one interrupt after the other, the bit and what it stands for.
func TestWord(t *testing.T) {
	s := newSide(t, new(bit))
	post := func(vec uint8, level bool) { s.on = true; s.SetIRR(vec, level); s.enter() }
	check := func(what string, on bool, inService uint8) {
		t.Helper()
		got := s.isrMax
		if s.bit.on != on || got != inService {
			t.Errorf("%s: the bit is %v, %#x is in service", what, s.bit.on, got)
		}
	}
	post(0x51, false)
	check("an edge", true, 0x51)
	post(0x52, false)
	check("another one of its class waits", false, 0x51)
	s.on = true
	s.end(false)
	check("which its end lets through", true, 0x52)
	post(0x61, true)
	check("a level above it", false, 0x61)
	s.end(false)
	check("has ended: what it interrupted needs a write", false, 0x52)
	s.enter()
	check("until the next look", true, 0x52)
	post(0x71, false)
	check("an edge above it", true, 0x71)
	s.bit.on = false
	post(0x41, false)
	check("has ended, and a lower one waits", false, 0x52)
	s.bit.on = true // not by the hypervisor
	s.enter()
	check("the guest's own bit means nothing", true, 0x52)
	s.WriteMSR(0x80b, 0, 0)
	check("a write", true, 0)
	s.bit.on = false
	s.enter()
	s.do(10, 0x100)
	check("its timer has fired, as it has read", false, 0x41)
	s.enter()
	s.bit.gone = true
	s.Offer()
	s.Withdraw()
	if s.isrMax != 0x41 {
		t.Errorf("%#x in service without the bit's memory", s.isrMax)
	}
	if s.Init(); s.word != nil || s.offered {
		t.Error("a word is left after INIT")
	}
}
