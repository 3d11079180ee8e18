// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package frame_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys/phystest"
)

type hrange = mm.Range[mm.HPA]

// ram is memory with odd edges: low memory, a hole, a tail of a section, two
// sections that adjoin, one that stands alone.
var ram = []hrange{
	mm.Span[mm.HPA](0x1000, 0x9f000),
	mm.Span[mm.HPA](mm.MiB, 9*mm.MiB+0x3000),
	mm.Span[mm.HPA](mm.GiB-5*mm.PageSize, mm.GiB),
	mm.Span[mm.HPA](5*mm.GiB-3*mm.MiB-0x1000, 5*mm.GiB+3*mm.MiB+0x2000),
	mm.Span[mm.HPA](63*mm.GiB, 63*mm.GiB+2*mm.MiB),
}

func newPool(tb testing.TB, ram []hrange) (*frame.Pool, *phystest.Memory) {
	tb.Helper()
	m := phystest.New(tb)
	m.Quiet(true)
	size, err := frame.MetaBytes(ram)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := frame.New(m, ram, make([]uint32, size/4))
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range ram {
		m.Declare(r.Start, r.Size)
		if err := p.Add(r); err != nil {
			tb.Fatal(err)
		}
	}
	return p, m
}

type state struct {
	o    frame.Owner
	refs int // without the owner's
}

// model is the naive allocator: a map of frames.
type model struct {
	t     *testing.T
	p     *frame.Pool
	m     *phystest.Memory
	all   map[mm.HPA]bool
	used  map[mm.HPA]*state
	r     *rand.Rand
	owned []mm.HPA // candidates to free, possibly stale
}

func (x *model) free(a mm.HPA) bool { return x.all[a] && x.used[a] == nil }

// possible reports whether n frames in a row, beginning at a multiple of align
// bytes and ending at limit, are free.
func (x *model) possible(n int, align uint64, limit mm.HPA) bool {
	for a := range x.all {
		if !mm.Aligned(a, align) || limit != 0 && a+mm.HPA(n)*mm.PageSize > limit {
			continue
		}
		ok := true
		for i := 0; i < n && ok; i++ {
			ok = x.free(a + mm.HPA(i)*mm.PageSize)
		}
		if ok {
			return true
		}
	}
	return false
}

// got books an allocation and checks that it is free memory, within limits,
// cleared.
func (x *model) got(b frame.Block, o frame.Owner, align uint64, limit mm.HPA) {
	x.t.Helper()
	for x.p.Scrub(&b) {
	}
	if !mm.Aligned(b.Start, align) || limit != 0 && b.Start+mm.HPA(b.Size) > limit {
		x.t.Fatalf("block %#x+%#x: not aligned to %#x or not below %#x", b.Start, b.Size, align, limit)
	}
	for n := uint64(0); n < b.Size; n += mm.PageSize {
		a := b.Start + mm.HPA(n)
		if !x.free(a) {
			x.t.Fatalf("frame %#x is in use or no RAM", a)
		}
		if v := x.m.Load64(a) | x.m.Load64(a+2048); v != 0 {
			x.t.Fatalf("frame %#x holds %#x", a, v)
		}
		x.m.Store64(a, 0x5ec7e7)
		x.m.Store64(a+2048, 0x5ec7e7)
		x.used[a] = &state{o: o}
		x.owned = append(x.owned, a)
	}
}

func (x *model) refused(err error, n int, align uint64, limit mm.HPA) {
	x.t.Helper()
	if !errors.Is(err, frame.ErrNoMemory) {
		x.t.Fatalf("error %v", err)
	}
	if x.possible(n, align, limit) {
		x.t.Fatalf("refused %d frames aligned to %#x below %#x, which are free", n, align, limit)
	}
}

func (x *model) step() {
	o := frame.Domain(x.r.IntN(3))
	switch x.r.IntN(8) {
	case 0:
		order := x.r.IntN(10)
		a, err := x.p.Pages(1<<order, o, frame.RAM)
		if size := uint64(mm.PageSize) << order; err != nil {
			x.refused(err, 1<<order, size, 0)
		} else {
			x.got(frame.Block{Start: a, Size: size}, o, size, 0)
		}
	case 1:
		x.contiguous(o)
	case 2:
		gpa, size := mm.GPA(x.r.IntN(2048))*mm.PageSize, uint64(1+x.r.IntN(600))*mm.PageSize
		b, err := x.p.Extent(gpa, size, o, frame.RAM)
		if err != nil {
			x.refused(err, 1, mm.PageSize, 0)
			return
		}
		if b.Size > size || !mm.Aligned(gpa, b.Size) {
			x.t.Fatalf("Extent(%#x, %#x) = %#x bytes", gpa, size, b.Size)
		}
		x.got(b, o, b.Size, 0)
	case 3:
		x.ref()
	default:
		x.release()
	}
}

func (x *model) contiguous(o frame.Owner) {
	r := frame.Request{
		Size:  uint64(1+x.r.IntN(900)) * mm.PageSize,
		Align: mm.PageSize << x.r.IntN(8),
		Low:   x.r.IntN(2) == 0,
	}
	if x.r.IntN(2) == 0 {
		r.Below = []mm.HPA{0x40000, 8*mm.MiB + 0x1000, mm.GiB, 5*mm.GiB + mm.MiB}[x.r.IntN(4)]
	}
	b, err := x.p.Contiguous(r, o, frame.RAM)
	if err != nil {
		x.refused(err, int(r.Size/mm.PageSize), r.Align, r.Below)
		return
	}
	if b.Size != r.Size {
		x.t.Fatalf("Contiguous(%+v) gave %#x bytes", r, b.Size)
	}
	x.got(b, o, r.Align, r.Below)
}

// some returns a frame in use and how many with the same owner follow it.
func (x *model) some() (a mm.HPA, n int) {
	for len(x.owned) > 0 {
		i := x.r.IntN(len(x.owned))
		a := x.owned[i]
		if x.used[a] == nil {
			x.owned[i] = x.owned[len(x.owned)-1]
			x.owned = x.owned[:len(x.owned)-1]
			continue
		}
		most := 1 + x.r.IntN(700)
		for n = 1; n < most; n++ {
			next := x.used[a+mm.HPA(n)*mm.PageSize]
			if next == nil || next.o != x.used[a].o {
				break
			}
		}
		return a, n
	}
	return 0, 0
}

func (x *model) ref() {
	a, n := x.some()
	if n == 0 {
		return
	}
	n = min(n, frame.Step/mm.PageSize)
	o := x.used[a].o
	err := x.p.Ref(a, uint64(n)*mm.PageSize, o)
	if o == frame.Lent {
		if !errors.Is(err, frame.ErrOwner) {
			x.t.Fatalf("Ref of a lent frame: %v", err)
		}
		return
	}
	if err != nil {
		x.t.Fatal(err)
	}
	for i := range n {
		x.used[a+mm.HPA(i)*mm.PageSize].refs++
	}
}

// release frees some frames, or drops one reference to each.
func (x *model) release() {
	a, n := x.some()
	if n == 0 {
		return
	}
	o := x.used[a].o
	if o != frame.Lent && x.r.IntN(3) != 0 {
		for left := uint64(n) * mm.PageSize; left > 0; {
			done := x.p.Free(a, left, o)
			for i := uint64(0); i < done; i += mm.PageSize {
				s := x.used[a+mm.HPA(i)]
				if s.o = frame.Lent; s.refs == 0 {
					delete(x.used, a+mm.HPA(i))
				}
			}
			a, left = a+mm.HPA(done), left-done
		}
		return
	}
	for i := range n {
		at := a + mm.HPA(i)*mm.PageSize
		s := x.used[at]
		if s == nil || s.refs == 0 {
			continue
		}
		x.p.Unref(at, mm.PageSize)
		if s.refs--; s.refs == 0 && s.o == frame.Lent {
			delete(x.used, at)
		}
	}
}

// compare checks all accounts against the model.
func (x *model) compare() {
	x.t.Helper()
	owned := map[frame.Owner]uint64{}
	for a, s := range x.used {
		owned[s.o] += mm.PageSize
		refs := s.refs + 1
		if s.o == frame.Lent {
			refs--
		}
		if o, _, n := x.p.Info(a); o != s.o || n != refs {
			x.t.Fatalf("Info(%#x) = %d, %d references; want %d, %d", a, o, n, s.o, refs)
		}
	}
	for _, o := range []frame.Owner{frame.HV, frame.Lent, frame.Domain(0), frame.Domain(1), frame.Domain(2)} {
		if got := x.p.Owned(o); got != owned[o] {
			x.t.Fatalf("Owned(%d) = %d, want %d", o, got, owned[o])
		}
	}
	if got, want := x.p.FreeBytes(), uint64(len(x.all)-len(x.used))*mm.PageSize; got != want {
		x.t.Fatalf("FreeBytes = %d, want %d", got, want)
	}
}

// TestModel runs random calls on the pool and the naive model, frees all in
// the end, and expects the memory to be back in as few blocks as possible.
func TestModel(t *testing.T) {
	seeds := uint64(6)
	if mm.Invariants { // poisoning takes its time
		seeds = 1
	}
	for seed := range seeds {
		p, m := newPool(t, ram)
		x := &model{t: t, p: p, m: m, all: map[mm.HPA]bool{}, used: map[mm.HPA]*state{}, r: rand.New(rand.NewPCG(seed, 7))}
		for _, r := range ram {
			for n := uint64(0); n < r.Size; n += mm.PageSize {
				x.all[r.Start+mm.HPA(n)] = true
				m.Store64(r.Start+mm.HPA(n), 0xf13a)
			}
		}
		total := p.TotalBytes()
		if total != p.FreeBytes() || total != uint64(len(x.all))*mm.PageSize {
			t.Fatalf("%d of %d bytes free at the start", p.FreeBytes(), total)
		}
		for i := range 600 {
			x.step()
			if i%20 == 0 {
				x.compare()
			}
			if i%200 == 0 {
				if err := p.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
		for len(x.used) > 0 {
			x.release()
		}
		x.compare()
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		if p.FreeBytes() != total || p.TotalBytes() != total {
			t.Fatalf("seed %d: %d of %d bytes free in the end", seed, p.FreeBytes(), total)
		}
	}
}
