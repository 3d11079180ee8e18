// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mm_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

func TestSet(t *testing.T) {
	type op struct {
		add bool
		r   rng
	}
	add := func(a mm.GPA, n uint64) op { return op{true, rng{a, n}} }
	del := func(a mm.GPA, n uint64) op { return op{false, rng{a, n}} }
	for _, tt := range []struct {
		name string
		ops  []op
		want []rng
	}{
		{"unsorted", []op{add(20, 5), add(0, 5), add(10, 5)}, []rng{{0, 5}, {10, 5}, {20, 5}}},
		{"adjacent", []op{add(0, 5), add(10, 5), add(5, 5)}, []rng{{0, 15}}},
		{"bridge", []op{add(0, 5), add(10, 5), add(20, 5), add(3, 18)}, []rng{{0, 25}}},
		{"inside", []op{add(0, 50), add(10, 5)}, []rng{{0, 50}}},
		{"nothing", []op{add(10, 0), del(10, 0)}, nil},
		{"cut", []op{add(0, 50), del(10, 5), del(0, 1)}, []rng{{1, 9}, {15, 35}}},
		{"cut several", []op{add(0, 5), add(10, 5), add(20, 5), del(3, 19)}, []rng{{0, 3}, {22, 3}}},
		{"cut all", []op{add(0, 5), add(10, 5), del(0, top)}, []rng{}},
		{"top", []op{add(top, 1), add(top-9, 9), add(top-4, 100)}, []rng{{top - 9, 10}}},
		{"everything", []op{add(1<<63, 1<<63), add(0, 1<<63)}, []rng{{0, top}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s mm.Set[mm.GPA]
			for _, o := range tt.ops {
				if o.add {
					s.Add(o.r)
				} else {
					s.Remove(o.r)
				}
			}
			got := s.Ranges()
			if len(got) == 0 && len(tt.want) == 0 {
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetQueriesDoNotAllocate(t *testing.T) {
	var s mm.Set[mm.GPA]
	for i := range mm.GPA(100) {
		s.Add(rng{i * 10, 5})
	}
	if n := testing.AllocsPerRun(100, func() { s.Contains(500); s.Covers(rng{501, 9}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzSet compares a Set in a window of 256 addresses, at the bottom or the
// top of the address space, with an array of booleans.
func FuzzSet(f *testing.F) {
	f.Add(false, []byte{1, 10, 5, 1, 15, 5, 0, 12, 6})
	f.Add(true, []byte{1, 250, 50, 0, 255, 1, 1, 0, 255})
	f.Add(true, []byte{1, 255, 255, 1, 0, 0, 1, 253, 2, 0, 254, 1})
	f.Fuzz(func(t *testing.T, high bool, ops []byte) {
		base := mm.GPA(0)
		if high {
			base = top - 255
		}
		var s mm.Set[mm.GPA]
		var model [256]bool
		for ; len(ops) >= 3; ops = ops[3:] {
			at, n, put := int(ops[1]), int(ops[2]), ops[0]&1 == 1
			if !high {
				n = min(n, 256-at) // at the top, wrapping ranges are cut by the set
			}
			for i := at; i < min(at+n, 256); i++ {
				model[i] = put
			}
			if r := (rng{base + mm.GPA(at), uint64(n)}); put {
				s.Add(r)
			} else {
				s.Remove(r)
			}
		}
		compareSet(t, &s, base, &model)
	})
}

func compareSet(t *testing.T, s *mm.Set[mm.GPA], base mm.GPA, model *[256]bool) {
	t.Helper()
	var want []rng
	bytes := uint64(0)
	for i, in := range model {
		if s.Contains(base+mm.GPA(i)) != in {
			t.Fatalf("Contains(%d) = %v", i, !in)
		}
		if !in {
			continue
		}
		bytes++
		if i > 0 && model[i-1] {
			want[len(want)-1].Size++
		} else {
			want = append(want, rng{base + mm.GPA(i), 1})
		}
	}
	if diff := cmp.Diff(append([]rng{}, want...), append([]rng{}, s.Ranges()...)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if s.Bytes() != bytes {
		t.Fatalf("Bytes = %d, want %d", s.Bytes(), bytes)
	}
}
