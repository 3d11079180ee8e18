// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame_test

import (
	"math/rand/v2"
	"testing"

	"ringo/mm"
	"ringo/mm/frame"
)

// A frame that has failed is never handed out again, neither read nor cleared any
// more, and counted, whether it was free or in use.
func TestRetire(t *testing.T) {
	const size = 4 * mm.MiB
	p, m := newPool(t, []hrange{{Start: 16 * mm.MiB, Size: size}})
	owner := frame.Domain(3)
	b, err := p.Extent(0, 2*mm.MiB, owner, frame.RAM)
	if err != nil {
		t.Fatal(err)
	}
	for p.Scrub(&b) {
	}
	inUse, shared := b.Start+5*mm.PageSize, b.Start+9*mm.PageSize
	free := mm.HPA(16*mm.MiB) + 7*mm.PageSize
	if b.Start == 16*mm.MiB {
		free += 2 * mm.MiB
	}
	if err := p.Ref(shared, mm.PageSize, owner); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		a    mm.HPA
		o    frame.Owner
		kind frame.Type
		ok   bool
	}{
		{inUse + 0x123, owner, frame.RAM, true}, {inUse, owner, frame.RAM, true},
		{shared, owner, frame.RAM, true},
		{free, frame.Free, 0, true}, {free, frame.HV, frame.Failed, true},
		{5 * mm.GiB, frame.Free, 0, false},
	} {
		if o, kind, ok := p.Retire(tt.a); o != tt.o || kind != tt.kind || ok != tt.ok {
			t.Errorf("Retire(%#x): owner %d type %d %v, want %d %d %v", tt.a, o, kind, ok, tt.o, tt.kind, tt.ok)
		}
	}
	const mark = 0x1234_5678
	m.Store64(inUse, mark)
	m.Store64(shared, mark)
	for a, left := b.Start, b.Size; left > 0; {
		n := p.Free(a, left, owner)
		a, left = a+mm.HPA(n), left-n
	}
	if gone, marked := p.Retired(); gone != 2 || marked != 1 {
		t.Errorf("%d gone, %d marked; want 2 and, while somebody references it, 1", gone, marked)
	}
	p.Unref(shared, mm.PageSize)
	if gone, marked := p.Retired(); gone != 3 || marked != 0 {
		t.Errorf("%d gone, %d marked", gone, marked)
	}
	for _, a := range []mm.HPA{inUse, shared} {
		if m.Load64(a) != mark {
			t.Errorf("the failed frame at %#x was written", a)
		}
		if p.Ref(a, mm.PageSize, frame.HV) == nil {
			t.Error("a failed frame can be referenced")
		}
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	// All the rest can be had, and nothing else.
	got := map[mm.HPA]bool{}
	for {
		a, err := p.Pages(1, owner, frame.RAM)
		if err != nil {
			break
		}
		got[a] = true
	}
	if len(got) != size/mm.PageSize-3 || got[inUse] || got[shared] || got[free] {
		t.Errorf("%d frames, failed ones among them: %v %v %v", len(got), got[inUse], got[shared], got[free])
	}
	if p.TotalBytes() != size || p.FreeBytes() != 0 || p.OwnedAs(frame.HV, frame.Failed) != 3*mm.PageSize {
		t.Errorf("total %d free %d failed %d", p.TotalBytes(), p.FreeBytes(), p.OwnedAs(frame.HV, frame.Failed))
	}
}

// The same at random, checked by the pool's own invariants.
func TestRetireRandom(t *testing.T) {
	p, _ := newPool(t, ram)
	rng := rand.New(rand.NewPCG(3, 4))
	failed := map[mm.HPA]bool{}
	var held []frame.Block
	o := frame.Domain(1)
	for range 2000 {
		switch rng.IntN(3) {
		case 0:
			b, err := p.Extent(mm.GPA(rng.Uint64N(64)*mm.PageSize), (1+rng.Uint64N(700))*mm.PageSize, o, frame.RAM)
			if err != nil {
				break
			}
			for p.Scrub(&b) {
			}
			for a := b.Start; a < b.Start+mm.HPA(b.Size); a += mm.PageSize {
				if failed[a] {
					t.Fatalf("%#x is handed out again", a)
				}
			}
			held = append(held, b)
		case 1:
			if len(held) == 0 {
				break
			}
			i := rng.IntN(len(held))
			b := held[i]
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
			for b.Size > 0 {
				n := p.Free(b.Start, b.Size, o)
				b.Start, b.Size = b.Start+mm.HPA(n), b.Size-n
			}
		case 2:
			r := ram[rng.IntN(len(ram))]
			a := mm.AlignDown(r.Start+mm.HPA(rng.Uint64N(r.Size)), mm.PageSize)
			if rng.IntN(8) == 0 {
				p.Retire(a)
				failed[a] = true
			}
		}
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	for _, b := range held {
		for b.Size > 0 {
			n := p.Free(b.Start, b.Size, o)
			b.Start, b.Size = b.Start+mm.HPA(n), b.Size-n
		}
	}
	if gone, marked := p.Retired(); gone != len(failed) || marked != 0 {
		t.Errorf("%d gone, %d marked, want %d and 0", gone, marked, len(failed))
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}
