// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mm_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

type rng = mm.Range[mm.GPA]

const top = math.MaxUint64

func TestAlgebra(t *testing.T) {
	tests := []struct {
		name               string
		a, b               rng
		overlaps, covers   bool // a and b; a covers b
		meet, below, above rng
	}{
		{"apart", rng{0, 10}, rng{20, 10}, false, false, rng{}, rng{0, 10}, rng{}},
		{"apart, other side", rng{20, 10}, rng{0, 10}, false, false, rng{}, rng{}, rng{20, 10}},
		{"touching", rng{0, 10}, rng{10, 10}, false, false, rng{}, rng{0, 10}, rng{}},
		{"inside", rng{0, 30}, rng{10, 10}, true, true, rng{10, 10}, rng{0, 10}, rng{20, 10}},
		{"around", rng{10, 10}, rng{0, 30}, true, false, rng{10, 10}, rng{}, rng{}},
		{"same", rng{10, 10}, rng{10, 10}, true, true, rng{10, 10}, rng{}, rng{}},
		{"low end", rng{0, 30}, rng{0, 10}, true, true, rng{0, 10}, rng{}, rng{10, 20}},
		{"high end", rng{0, 30}, rng{20, 20}, true, false, rng{20, 10}, rng{0, 20}, rng{}},
		{"empty b", rng{0, 30}, rng{10, 0}, false, true, rng{}, rng{0, 30}, rng{}},
		{"empty a", rng{10, 0}, rng{0, 30}, false, false, rng{}, rng{}, rng{10, 0}},
		{"to the top", rng{top - 9, 10}, rng{top, 1}, true, true, rng{top, 1}, rng{top - 9, 9}, rng{}},
		{"wrapping a", rng{top - 9, 100}, rng{top, 1}, true, true, rng{top, 1}, rng{top - 9, 9}, rng{}},
		{"wrapping b", rng{0, 10}, rng{top, 100}, false, false, rng{}, rng{0, 10}, rng{}},
		{"both wrap", rng{top - 9, top}, rng{top - 4, top}, true, true, rng{top - 4, 5}, rng{top - 9, 5}, rng{}},
		{"everything", rng{0, top}, rng{5, 1}, true, true, rng{5, 1}, rng{0, 5}, rng{6, top - 6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.a.Overlaps(tt.b); got != tt.overlaps {
				t.Errorf("Overlaps = %v", got)
			}
			if got := tt.b.Overlaps(tt.a); got != tt.overlaps {
				t.Errorf("Overlaps, reversed = %v", got)
			}
			if got := tt.a.Covers(tt.b); got != tt.covers {
				t.Errorf("Covers = %v", got)
			}
			below, above := tt.a.Subtract(tt.b)
			if diff := cmp.Diff([]rng{tt.meet, tt.below, tt.above}, []rng{tt.a.Intersect(tt.b), below, above}); diff != "" {
				t.Errorf("Intersect, Subtract (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlign(t *testing.T) {
	tests := []struct {
		name    string
		r       rng
		in, out rng
	}{
		{"aligned", rng{0x1000, 0x2000}, rng{0x1000, 0x2000}, rng{0x1000, 0x2000}},
		{"both ends", rng{0x0fff, 0x2002}, rng{0x1000, 0x2000}, rng{0, 0x4000}},
		{"inside a page", rng{0x1001, 0x10}, rng{}, rng{0x1000, 0x1000}},
		{"across a boundary", rng{0x1fff, 2}, rng{0x2000, 0}, rng{0x1000, 0x2000}},
		{"empty", rng{0x1234, 0}, rng{}, rng{}},
		{"to the top", rng{top - 0x1fff, 0x2000}, rng{top - 0x1fff, 0x2000}, rng{top - 0x1fff, 0x2000}},
		{"last bytes", rng{top - 4, 5}, rng{}, rng{top - 0xfff, 0x1000}},
		{"wrapping", rng{top - 0x1000, top}, rng{top - 0xfff, 0x1000}, rng{top - 0x1fff, 0x2000}},
		{"everything", rng{0, top}, rng{0, top - 0xfff}, rng{0, top}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.r.AlignIn(mm.PageSize)
			if in.Empty() && tt.in.Empty() {
				in = tt.in // where an empty range lies does not matter
			}
			if diff := cmp.Diff([]rng{tt.in, tt.out}, []rng{in, tt.r.AlignOut(mm.PageSize)}); diff != "" {
				t.Errorf("AlignIn, AlignOut (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		a        mm.GPA
		n, limit uint64
		want     bool
	}{
		{0, 0, 0, true}, {0, 1, 0, false}, {0, 10, 10, true}, {1, 10, 10, false}, {10, 0, 10, true},
		{11, 0, 10, false}, {top, 1, 10, false}, {5, top, 10, false}, {top, top, top, false}, {top - 1, 1, top, true},
	} {
		if got := mm.Within(tt.a, tt.n, tt.limit); got != tt.want {
			t.Errorf("Within(%#x, %#x, %#x) = %v", tt.a, tt.n, tt.limit, got)
		}
	}
}

func TestEnds(t *testing.T) {
	if r := mm.Span[mm.GPA](5, 5); !r.Empty() || r.End() != 5 {
		t.Errorf("Span(5, 5) = %+v", r)
	}
	if r := mm.Span[mm.GPA](5, 4); !r.Empty() {
		t.Errorf("Span(5, 4) = %+v", r)
	}
	if r := (rng{top - 1, 50}); r.Last() != top || r.End() != 0 || !r.Contains(top) || r.Contains(0) {
		t.Errorf("%+v: Last %#x, End %#x", r, r.Last(), r.End())
	}
	if _, ok := mm.Add(mm.HPA(top), 1); ok {
		t.Error("Add wrapped")
	}
	if a, ok := mm.Add(mm.HPA(top-1), 1); !ok || a != top {
		t.Errorf("Add = %#x, %v", a, ok)
	}
}
