// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
	"ringo/mm/pt"
)

// seg is a piece of the model: [lo, hi) is mapped to pa.
type seg struct {
	Lo, Hi pt.Addr
	PA     mm.HPA
	Attr   pt.Attr
}

// segs is the naive tree: sorted, disjoint pieces.
type segs []seg

// cut splits s at lo and hi and returns what lies below, between and above.
func (s segs) cut(lo, hi pt.Addr) (below, mid, above segs) {
	for _, x := range s {
		if x.Lo < lo {
			b := x
			b.Hi = min(x.Hi, lo)
			below = append(below, b)
		}
		if x.Lo < hi && x.Hi > lo {
			m := x
			m.Lo, m.Hi = max(x.Lo, lo), min(x.Hi, hi)
			m.PA += mm.HPA(m.Lo - x.Lo)
			mid = append(mid, m)
		}
		if x.Hi > hi {
			a := x
			a.Lo = max(x.Lo, hi)
			a.PA += mm.HPA(a.Lo - x.Lo)
			above = append(above, a)
		}
	}
	return below, mid, above
}

// size is the number of bytes that are mapped.
func (s segs) size() (n uint64) {
	for _, x := range s {
		n += uint64(x.Hi - x.Lo)
	}
	return n
}

// join merges pieces that continue one another.
func (s segs) join() segs {
	out := segs{}
	for _, x := range s {
		if n := len(out); n > 0 {
			y := &out[n-1]
			if y.Hi == x.Lo && y.Attr == x.Attr && y.PA+mm.HPA(y.Hi-y.Lo) == x.PA {
				y.Hi = x.Hi
				continue
			}
		}
		out = append(out, x)
	}
	return out
}

// run does a step on the model: the new model, what must be flushed at least,
// and the error.
func (s segs) run(x step) (next, flush segs, err error) {
	below, mid, above := s.cut(x.va, x.va+pt.Addr(x.size))
	fresh := segs{{x.va, x.va + pt.Addr(x.size), x.pa, x.attr}}
	switch x.op {
	case "map":
		if len(mid) > 0 {
			return s, nil, pt.ErrMapped
		}
		mid = fresh
	case "replace":
		flush, mid = mid, fresh
	case "unmap":
		flush, mid = mid, nil
	case "protect":
		if mid.size() != x.size {
			return s, nil, pt.ErrAbsent
		}
		const noted = pt.Accessed | pt.Dirty
		for i, m := range mid {
			lost := m.Attr &^ x.attr &^ noted &^ pt.Uncached
			if lost != 0 || (m.Attr^x.attr)&pt.Uncached != 0 {
				flush = append(flush, m)
			}
			mid[i].Attr = x.attr&^noted | m.Attr&noted
		}
	}
	return slices.Concat(below, mid, above), flush, nil
}

func (e *env) segs() segs {
	var s segs
	for _, l := range e.leaves() {
		s = append(s, seg{l.VA, l.VA + pt.Addr(l.Size), l.PA, l.Attr})
	}
	return s.join()
}

// steps decodes a fuzz input: addresses close to the borders of tables, sizes
// of a few pages of each kind.
func steps(in []byte) (out []step, fails []int) {
	units := [...]uint64{k4, m2, g1, 512 * g1}
	for ; len(in) >= 5 && len(out) < 16; in = in[5:] {
		unit := units[in[1]>>6]
		s := step{
			op:   [...]string{"map", "replace", "unmap", "protect"}[in[0]&3],
			va:   pt.Addr(uint64(in[1]&3)*unit + uint64(in[1]>>2&3)*m2 + uint64(in[1]>>4&3)*510*k4),
			size: uint64(1+in[2]&7)*k4 + uint64(in[2]>>3&7)*73*k4,
			pa:   mm.HPA(uint64(in[3]&7)*units[in[3]>>6] + uint64(in[3]>>3&7)*k4),
			attr: pt.Read | pt.Attr(in[4])&(pt.Write|pt.Exec|pt.Uncached|pt.Accessed|pt.Dirty),
		}
		switch in[2] >> 6 {
		case 1:
			s.size = uint64(in[2]>>3&7)*k4 + uint64(1+in[2]&7)*m2
		case 2: // not a million small pages
			s.size = g1 + uint64(in[2]&7)*m2
			s.va, s.pa = mm.AlignDown(s.va, m2), mm.AlignDown(s.pa, m2)
		}
		out = append(out, s)
		fails = append(fails, int(in[0]>>2)) // allocations until the allocator fails
	}
	return out, fails
}

// FuzzEdits runs edits on trees of all formats and on the model. Every edit is
// first tried with an allocator that fails soon.
func FuzzEdits(f *testing.F) {
	f.Add(false, []byte("\x00\x00\x41\x00\x06\x03\x01\x03\x00\x00\x02\x10\x01\x00\x00"))
	f.Add(true, []byte("\x04\x80\x87\x80\x06\x07\x41\x3b\x09\x62\x0b\x55\x0a\x41\x04\x02\x80\x82\x00\x00"))
	f.Add(true, []byte("\x00\xc5\x85\xc1\x06\x09\xc5\x44\x81\x36\x06\xd0\x02\x00\x00\x0f\xc5\x40\x00\x02"))
	f.Fuzz(func(t *testing.T, huge bool, in []byte) {
		all, fails := steps(in)
		for _, format := range formats(huge) {
			fuzzEdits(t, newEnv(t, format), all, fails)
		}
	})
}

// formats are all of them, with 1 GiB pages or without.
func formats(huge bool) []*pt.Format {
	leaf := uint64(m2)
	if huge {
		leaf = g1
	}
	return []*pt.Format{pt.NPT(huge), pt.EPT(huge), pt.Host(huge), pt.VTD(4, leaf, huge), pt.VTD(3, leaf, huge), pt.AMDVi()}
}

// device reports whether a format is an IOMMU's, which knows reading and writing only.
func device(f *pt.Format) bool { return f.Name == "VT-d" || f.Name == "AMD-Vi" }

func fuzzEdits(t *testing.T, e *env, all []step, fails []int) {
	e.m.Quiet(true)
	var model segs
	for i, s := range all {
		if device(e.t.Format()) {
			s.attr &= pt.RW
			s.va &= 1<<39 - 1 // of three levels
		}
		before := e.segs()
		used := len(e.f.used)
		e.f.left = fails[i]
		flush, err := s.run(e.t)
		e.f.left = -1
		if errors.Is(err, errNoFrames) {
			if diff := cmp.Diff(before, e.segs()); diff != "" || len(e.f.used) != used || flush.Any() {
				t.Fatalf("%s: failed, but changed (-before +after):\n%s", e.t.Format().Name, diff)
			}
			flush, err = s.run(e.t)
		}
		next, gone, want := model.run(s)
		if !errors.Is(err, want) {
			t.Fatalf("%s: %+v: %v, want %v", e.t.Format().Name, s, err, want)
		}
		model = next
		checkFlush(t, s, flush, gone)
		e.check(t)
		if diff := cmp.Diff(model.join(), e.segs()); diff != "" {
			t.Fatalf("%s: after %+v (-want +got):\n%s", e.t.Format().Name, s, diff)
		}
		if len(e.f.used) < used {
			t.Fatal("tables were freed before Reap")
		}
		for _, x := range next {
			l := pt.Leaf{VA: x.Lo, PA: x.PA, Attr: x.Attr}
			if pa, _, attr, ok := e.t.Lookup(l.VA); !ok || pa != l.PA || attr != l.Attr {
				t.Fatalf("Lookup(%#x) = %#x, %v, %v; want %#x, %v", l.VA, pa, attr, ok, l.PA, l.Attr)
			}
		}
		if i%3 == 0 {
			e.t.Reap()
		}
	}
	e.close(t)
}

// checkFlush: the flush lies within the edit and holds all that went.
func checkFlush(t *testing.T, s step, got pt.Flush, gone segs) {
	t.Helper()
	if got.Any() != (len(gone) > 0) {
		t.Fatalf("%+v: flush %+v, gone %+v", s, got, gone)
	}
	if !got.Any() {
		return
	}
	end := got.VA + pt.Addr(got.Size)
	if got.VA < s.va || end > s.va+pt.Addr(s.size) || got.VA > gone[0].Lo || end < gone[len(gone)-1].Hi {
		t.Fatalf("%+v: flush %+v, gone %+v", s, got, gone)
	}
}

// TestRandomEdits is FuzzEdits on random inputs.
func TestRandomEdits(t *testing.T) {
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 3))
		in := make([]byte, 5*16)
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		all, fails := steps(in)
		huge := seed%2 == 0
		all6 := formats(huge)
		format := all6[seed/2%uint64(len(all6))]
		fuzzEdits(t, newEnv(t, format), all, fails)
	}
}
