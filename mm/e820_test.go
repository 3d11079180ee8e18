// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mm_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

func region(start mm.HPA, size uint64, k mm.Kind) mm.Region {
	return mm.Region{Range: mm.Range[mm.HPA]{Start: start, Size: size}, Kind: k}
}

func TestNormalize(t *testing.T) {
	for _, tt := range []struct {
		name     string
		in, want []mm.Region
	}{
		{"empty", nil, nil},
		{"zero length", []mm.Region{region(5, 0, mm.RAM)}, nil},
		{"unsorted, adjacent",
			[]mm.Region{region(20, 10, mm.RAM), region(0, 10, mm.RAM), region(10, 10, mm.RAM)},
			[]mm.Region{region(0, 30, mm.RAM)}},
		{"reserved wins, whichever comes first",
			[]mm.Region{region(0, 10, mm.Reserved), region(0, 40, mm.RAM), region(30, 20, mm.Reserved)},
			[]mm.Region{region(0, 10, mm.Reserved), region(10, 20, mm.RAM), region(30, 20, mm.Reserved)}},
		{"unknown kinds win over RAM too",
			[]mm.Region{region(0, 40, mm.RAM), region(10, 5, 0), region(20, 5, 12)},
			[]mm.Region{region(0, 10, mm.RAM), region(10, 5, 0), region(15, 5, mm.RAM), region(20, 5, 12), region(25, 15, mm.RAM)}},
		{"higher kind wins",
			[]mm.Region{region(0, 20, mm.BadRAM), region(10, 20, mm.ACPIData), region(15, 30, mm.ACPINVS)},
			[]mm.Region{region(0, 20, mm.BadRAM), region(20, 25, mm.ACPINVS)}},
		{"wrapping", []mm.Region{region(top-9, 100, mm.RAM), region(top-4, top, mm.Reserved)},
			[]mm.Region{region(top-9, 5, mm.RAM), region(top-4, 5, mm.Reserved)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mm.Normalize(tt.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUsable(t *testing.T) {
	hpa := func(a mm.HPA, n uint64) mm.Range[mm.HPA] { return mm.Range[mm.HPA]{Start: a, Size: n} }
	// As QEMU's PC gives it with 6 GiB, plus an overlapping hole and junk.
	memory := []mm.Region{
		region(0, 0x9fc00, mm.RAM), region(0x9fc00, 0x400, mm.Reserved), region(0xf0000, 0x10000, mm.Reserved),
		region(0x100000, 0xbfee0000, mm.RAM), region(0xbffe0000, 0x20000, mm.Reserved),
		region(0xfeffc000, 0x4000, mm.Reserved), region(0xfffc0000, 0x40000, mm.Reserved),
		region(0x1_0000_0000, 0xc000_0000, mm.RAM), region(0x1_4000_0800, 1, mm.BadRAM),
		region(1<<52-0x1000, 0x2000, mm.RAM), region(top, 5, mm.RAM),
	}
	reserved := []mm.Range[mm.HPA]{hpa(0, 1), hpa(0x100000, 0x2ff001), hpa(0x8000, 0x1000), hpa(5, 0)}
	want := []mm.Range[mm.HPA]{
		hpa(0x1000, 0x7000), hpa(0x9000, 0x96000), hpa(0x400000, 0xbfbe0000),
		hpa(0x1_0000_0000, 0x4000_0000), hpa(0x1_4000_1000, 0x7fff_f000), hpa(1<<52-0x1000, 0x1000),
	}
	if diff := cmp.Diff(want, mm.Usable(memory, reserved)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzNormalize checks every address of a small map against the rule.
func FuzzNormalize(f *testing.F) {
	f.Add([]byte{0, 10, 1, 5, 10, 2, 200, 100, 1, 250, 9, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var rs []mm.Region
		for ; len(in) >= 3 && len(rs) < 32; in = in[3:] {
			rs = append(rs, region(mm.HPA(in[0]), uint64(in[1]), mm.Kind(in[2]%7)))
		}
		got := mm.Normalize(rs)
		for i := 1; i < len(got); i++ {
			a, b := got[i-1], got[i]
			if a.End() > b.Start || a.End() == b.Start && a.Kind == b.Kind {
				t.Fatalf("not sorted, disjoint and merged: %+v", got)
			}
		}
		for a := mm.HPA(0); a < 512; a++ {
			if w, g := kindAt(rs, a), kindAt(got, a); w != g {
				t.Fatalf("at %d: kind %d, want %d", a, g, w)
			}
		}
	})
}

// kindAt says by the rule what is at a: -1 nothing, RAM the weakest.
func kindAt(rs []mm.Region, a mm.HPA) int {
	kind := -1
	for _, r := range rs {
		k := int(r.Kind)
		if r.Contains(a) && (kind == -1 || kind == int(mm.RAM) || r.Kind != mm.RAM && k > kind) {
			kind = k
		}
	}
	return kind
}

// TestNormalizeMany takes maps of hundreds of entries that overlap at random, as some
// firmware of large machines makes them: what comes out is sorted and disjoint, covers
// what went in, and RAM is what all entries call RAM.
func TestNormalizeMany(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		const points = 2000
		var in []mm.Region
		for range 700 {
			kind := mm.RAM
			if rnd.IntN(3) == 0 {
				kind = mm.Kind(rnd.IntN(8))
			}
			in = append(in, region(mm.HPA(rnd.IntN(points-100)), rnd.Uint64N(100), kind))
		}
		out := mm.Normalize(in)
		at := func(list []mm.Region, p mm.HPA) (kinds []mm.Kind) {
			for _, r := range list {
				if p >= r.Start && p < r.Start+mm.HPA(r.Size) {
					kinds = append(kinds, r.Kind)
				}
			}
			return kinds
		}
		for p := range mm.HPA(points) {
			from, got := at(in, p), at(out, p)
			ram := len(from) > 0
			for _, k := range from {
				ram = ram && k == mm.RAM
			}
			if len(got) > 1 || len(got) == 1 != (len(from) > 0) || len(got) == 1 && (got[0] == mm.RAM) != ram {
				t.Fatalf("at %d: %v of %v", p, got, from)
			}
		}
		for i := 1; i < len(out); i++ {
			if out[i].Start < out[i-1].Start+mm.HPA(out[i-1].Size) {
				t.Fatalf("%v behind %v", out[i], out[i-1])
			}
		}
	}
}
