// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bus

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type dev struct{ id int }

func (*dev) Read(uint64, uint8, uint64) uint64   { return 0 }
func (*dev) Write(uint64, uint8, uint64, uint64) {}

type gpa uint64

func TestAdd(t *testing.T) {
	var ports Bus[uint16]
	for _, c := range []struct {
		start uint16
		size  uint64
		want  error
	}{
		{0x20, 2, nil},
		{0xa0, 2, nil},
		{0x40, 4, nil},
		{0x21, 1, ErrOverlap},
		{0x1f, 2, ErrOverlap},
		{0x10, 0x100, ErrOverlap},
		{0x22, 0x1e, nil}, // fills the gap exactly
		{0x100, 0, ErrRange},
		{0xfff0, 17, ErrRange},
		{0xfff0, math.MaxUint64, ErrRange},
		{0xfff0, 16, nil},
		{0xffff, 1, ErrOverlap},
	} {
		if got := ports.Add(c.start, c.size, &dev{}); !errors.Is(got, c.want) {
			t.Errorf("Add(%#x, %#x) = %v, want %v", c.start, c.size, got, c.want)
		}
	}
	ports.Freeze()
	if got := ports.Add(0x300, 1, &dev{}); !errors.Is(got, ErrFrozen) {
		t.Errorf("Add after Freeze = %v", got)
	}
	var all Bus[gpa]
	if err := all.Add(1, math.MaxUint64, &dev{}); err != nil {
		t.Errorf("Add of everything but byte 0: %v", err)
	}
	if !all.Overlaps(0, 2) || all.Overlaps(0, 1) || !all.Overlaps(0, 0) {
		t.Error("Overlaps is wrong at address 0")
	}
}

func TestFind(t *testing.T) {
	var b Bus[gpa]
	ioapic, top := &dev{1}, &dev{2}
	if err := errors.Join(b.Add(0xfec0_0000, 0x1000, ioapic), b.Add(math.MaxUint64-7, 8, top)); err != nil {
		t.Fatal(err)
	}
	type result struct {
		ID  int
		Off uint64
	}
	for _, c := range []struct {
		addr gpa
		size uint8
		want *result
	}{
		{0xfec0_0000, 4, &result{1, 0}},
		{0xfec0_0ffc, 4, &result{1, 0xffc}},
		{0xfec0_0ffd, 4, nil}, // last byte outside
		{0xfebf_ffff, 4, nil}, // first byte outside
		{0xfec0_1000, 1, nil},
		{0xfec0_0010, 0, nil},
		{math.MaxUint64 - 7, 8, &result{2, 0}},
		{math.MaxUint64 - 6, 8, nil}, // wraps
		{math.MaxUint64, 1, &result{2, 7}},
		{0, 8, nil},
	} {
		var got *result
		if d, off, ok := b.Find(c.addr, c.size); ok {
			got = &result{d.(*dev).id, off}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("Find(%#x, %d): %s", c.addr, c.size, d)
		}
	}
}

// TestAgainstArray compares the bus, and the index of ports, with an array of all
// ports.
func TestAgainstArray(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var b Ports
		var owner [1 << 16]*dev
		for id := range 40 {
			start, size := rnd.IntN(1<<16), 1+rnd.IntN(300)*(1+id%2*10)
			free := start+size <= 1<<16
			for p := start; free && p < start+size; p++ {
				free = owner[p] == nil
			}
			d := &dev{id}
			if got := b.Add(uint16(start), uint64(size), d) == nil; got != free {
				t.Fatalf("Add(%#x, %#x) ok=%v, want %v", start, size, got, free)
			}
			for p := start; free && p < start+size; p++ {
				owner[p] = d
			}
		}
		b.Freeze()
		b.Freeze()
		for range 20000 {
			p, size := rnd.IntN(1<<16), rnd.IntN(5)
			want := owner[p]
			if size == 0 {
				want = nil
			}
			for q := p; q < p+size; q++ {
				if q >= 1<<16 || owner[q] != want {
					want = nil
					break
				}
			}
			d, off, ok := b.Find(uint16(p), uint8(size))
			if ok != (want != nil) || ok && (d != Device(want) || owner[p-int(off)] != want) {
				t.Fatalf("Find(%#x, %d) = %v %#x %v, want %v", p, size, d, off, ok, want)
			}
			s := b.At(uint16(p))
			hit := s != nil && s.Holds(uint16(p), uint8(size))
			if hit != ok || ok && (s.Dev != d || s.Off(uint16(p)) != off) {
				t.Fatalf("At(%#x, %d) = %+v, want %v", p, size, s, want)
			}
		}
	}
}

// TestGrows counts the pages of the index, which ranges of whole pages and those of one
// page share, and compares with what Grows says beforehand.
func TestGrows(t *testing.T) {
	index := func(b *Ports) uint64 {
		seen := map[*portPage]bool{&noPorts: true}
		for _, p := range b.pages {
			seen[p] = true
		}
		return uint64(len(seen) - 1)
	}
	for _, c := range [][3]uint64{
		{0x3f8, 8, 1}, {0x3f8, 16, 2}, {0xc000, 0x4000, 1}, {0xc001, 0x3fff, 2}, {0xc001, 0x3ffe, 3}, {0, 1 << 16, 1}, {0x80, 0x100, 2},
		{0xff00, 0x100, 1}, {0xffff, 1, 1},
	} {
		var b Ports
		price := b.Grows(c[0], c[1])
		if err := b.Add(uint16(c[0]), c[1], &dev{}); err != nil {
			t.Fatal(err)
		}
		b.Freeze()
		if n := index(&b); n != c[2] || price != n {
			t.Errorf("%#x+%#x: %d pages, want %d, price %d", c[0], c[1], n, c[2], price)
		}
	}
	var none Ports
	if n := none.Grows(1<<40, 1<<63); n == 0 || n > 256 {
		t.Errorf("a range that is none costs %d pages", n)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var b Ports
		price := uint64(0)
		for range rnd.IntN(40) {
			start, size := rnd.Uint64N(1<<16), 1+rnd.Uint64N(1<<rnd.IntN(12))
			if n := b.Grows(start, size); b.Add(uint16(start), size, &dev{}) == nil {
				price += n
			}
		}
		b.Freeze()
		if n := index(&b); n != price {
			t.Fatalf("%d pages, price %d: %+v", n, price, b.spans)
		}
	}
}

func TestCovers(t *testing.T) {
	var b Bus[gpa]
	d := &dev{1}
	if err := errors.Join(b.Add(0x1000, 0x1000, d), b.Add(0x2000, 0x1000, &dev{2})); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		start gpa
		size  uint64
		want  bool
	}{
		{0x1000, 0x1000, true}, {0x1fff, 1, true}, {0x1000, 0x1001, false}, {0xfff, 2, false}, {0x2000, 1, false},
		{0x1000, 0, false}, {0x1800, math.MaxUint64, false}, {0x3000, 1, false},
	} {
		if got := b.Covers(c.start, c.size, d); got != c.want {
			t.Errorf("Covers(%#x, %#x) = %v", c.start, c.size, got)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	var b Ports
	for i := range uint16(20) {
		if err := b.Add(i*16, 8, &dev{}); err != nil {
			t.Fatal(err)
		}
	}
	b.Freeze()
	if n := testing.AllocsPerRun(100, func() { b.Find(0x44, 1); b.At(0x44) }); n != 0 {
		t.Errorf("Find allocates %v times", n)
	}
}

func TestMSI(t *testing.T) {
	type result struct {
		M  Message
		OK bool
	}
	for _, c := range []struct {
		addr uint64
		data uint32
		want result
	}{
		{0xfee0_3000, 0x0041, result{Message{Dest: 3, Vector: 0x41}, true}},
		{0xfeef_f004, 0x8130, result{Message{Dest: 0xff, Vector: 0x30, Mode: LowestPriority, Logical: true, Level: true}, true}},
		{0xfeef_f000, 0x0030, result{Message{Dest: Broadcast, Vector: 0x30}, true}},
		{0xfee0_0000, 0x0400, result{Message{Mode: NMI}, true}},
		{0xfee0_0000, 0x0300, result{Message{Mode: 3}, false}},
		{0xfed0_0000, 0x0041, result{}},
		{0x1_fee0_0000, 0x0041, result{}},
	} {
		m, ok := MSI(c.addr, c.data)
		if d := cmp.Diff(c.want, result{m, ok}); d != "" {
			t.Errorf("MSI(%#x, %#x): %s", c.addr, c.data, d)
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range [][4]uint64{
		{0, 5, 7, 0},
		{1_000_000_000, 3_579_545, 1_000_000_000, 3_579_545},
		{math.MaxUint64, 3, 3, math.MaxUint64},
		{math.MaxUint64, 1_193_182, 2_000_000_000, 11005161493678455},
		{math.MaxUint64, 3, 2, math.MaxUint64}, // does not fit
	} {
		if got := Scale(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("Scale(%d, %d, %d) = %d, want %d", c[0], c[1], c[2], got, c[3])
		}
	}
}

// TestRate compares with division in arbitrary precision, at rates of real
// processors and at the limits.
func TestRate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, c := range [][2]uint64{
		{3_579_545, 1_000_000_000}, {3_579_545, 2_345_678_901}, {1_193_182, 5_200_000_000},
		{1_193_182, 2_000_000}, {1, 2}, {1, math.MaxUint64}, {math.MaxUint64 - 1, math.MaxUint64},
	} {
		r := NewRate(c[0], c[1])
		num, den := new(big.Int).SetUint64(c[0]), new(big.Int).SetUint64(c[1])
		exact := func(span uint64) uint64 {
			x := new(big.Int).SetUint64(span)
			return x.Mul(x, num).Quo(x, den).Uint64()
		}
		spans := []uint64{0, 1, c[1] - 1, c[1], math.MaxUint64}
		for range 2000 {
			spans = append(spans, rnd.Uint64()>>rnd.IntN(64))
		}
		for _, span := range spans {
			n, want := r.Counts(span), exact(span)
			if n != want && n != want+1 || n != want && span < math.MaxUint64/c[1] {
				t.Fatalf("%d Hz of %d: %d ticks are %d counts, want %d", c[0], c[1], span, n, want)
			}
			if span != 0 && r.Counts(span-1) > n {
				t.Fatalf("%d Hz of %d: goes backwards at %d", c[0], c[1], span)
			}
			if s := r.Span(n); s > span || r.Counts(s) != n || s != 0 && r.Counts(s-1) >= n {
				t.Fatalf("%d Hz of %d: %d is not the first tick with %d counts", c[0], c[1], s, n)
			}
		}
		if n := r.Counts(math.MaxUint64); n != math.MaxUint64 && r.Span(n+1) != math.MaxUint64 {
			t.Errorf("%d Hz of %d: a span with %d counts", c[0], c[1], n+1)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	var bus Ports
	for i := range uint16(16) {
		if err := bus.Add(i*16, 8, &dev{}); err != nil {
			b.Fatal(err)
		}
	}
	bus.Freeze()
	for b.Loop() {
		bus.At(0x44)
	}
}
