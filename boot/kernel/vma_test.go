// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (s *vmas) dump() (out []vma) {
	for i := range s.n {
		out = append(out, *s.at(i))
	}
	return out
}

func TestVMA(t *testing.T) {
	const rw, none = protRead | protWrite, 0
	type op struct {
		clear            bool
		start, end, prot uint64
	}
	for _, c := range []struct {
		name string
		ops  []op
		want []vma
	}{
		{"one", []op{{false, 10, 20, rw}}, []vma{{10, 20, rw}}},
		{"merge left", []op{{false, 10, 20, rw}, {false, 20, 30, rw}}, []vma{{10, 30, rw}}},
		{"merge right", []op{{false, 20, 30, rw}, {false, 10, 20, rw}}, []vma{{10, 30, rw}}},
		{"merge both", []op{{false, 10, 20, rw}, {false, 30, 40, rw}, {false, 20, 30, rw}}, []vma{{10, 40, rw}}},
		{"keep apart", []op{{false, 10, 20, rw}, {false, 20, 30, none}}, []vma{{10, 20, rw}, {20, 30, none}}},
		{"split", []op{{false, 10, 40, rw}, {true, 20, 30, 0}}, []vma{{10, 20, rw}, {30, 40, rw}}},
		{"replace middle", []op{{false, 10, 40, none}, {false, 20, 30, rw}}, []vma{{10, 20, none}, {20, 30, rw}, {30, 40, none}}},
		{"replace all", []op{{false, 10, 20, none}, {false, 30, 40, none}, {false, 5, 50, rw}}, []vma{{5, 50, rw}}},
		{"cut both ends", []op{{false, 10, 20, rw}, {false, 30, 40, rw}, {true, 15, 35, 0}}, []vma{{10, 15, rw}, {35, 40, rw}}},
		{"clear nothing", []op{{false, 10, 20, rw}, {true, 20, 30, 0}, {true, 0, 10, 0}}, []vma{{10, 20, rw}}},
		{"clear exactly", []op{{false, 10, 20, rw}, {true, 10, 20, 0}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := new(vmas)
			for _, o := range c.ops {
				ok := false
				if o.clear {
					ok = s.clear(o.start, o.end)
				} else {
					ok = s.set(o.start, o.end, o.prot)
				}
				if !ok {
					t.Fatalf("%+v failed", o)
				}
			}
			if d := cmp.Diff(c.want, s.dump(), cmp.AllowUnexported(vma{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestVMAModel compares with an array that has a protection per address.
func TestVMAModel(t *testing.T) {
	const space = 300
	r := rand.New(rand.NewPCG(1, 2))
	s := new(vmas)
	var model [space]int // 0 free, else protection + 1
	for step := range 20000 {
		a, b := uint64(r.IntN(space-1)), uint64(0)
		b = a + 1 + uint64(r.IntN(int(space-a-1)+1))
		b = min(b, space)
		if b <= a {
			continue
		}
		v := 0
		if r.IntN(3) == 0 {
			s.clear(a, b)
		} else {
			v = r.IntN(4) + 1
			s.set(a, b, uint64(v-1))
		}
		for i := a; i < b; i++ {
			model[i] = v
		}
		checkModel(t, step, s, &model, r)
	}
}

func checkModel(t *testing.T, step int, s *vmas, model *[300]int, r *rand.Rand) {
	t.Helper()
	for i, want := range model {
		p, ok := s.prot(uint64(i))
		if got := int(p) + 1; ok != (want != 0) || ok && got != want {
			t.Fatalf("step %d: address %d: %v %v, want %d", step, i, p, ok, want)
		}
	}
	for i := uint64(1); i < s.n; i++ {
		if a, b := s.at(i-1), s.at(i); a.end > b.start || a.end == b.start && a.prot == b.prot {
			t.Fatalf("step %d: %+v before %+v", step, *a, *b)
		}
	}
	a := uint64(r.IntN(250))
	b := a + 1 + uint64(r.IntN(49))
	free, covered := true, true
	for i := a; i < b; i++ {
		free = free && model[i] == 0
		covered = covered && model[i] != 0
	}
	if s.free(a, b) != free || s.covered(a, b) != covered {
		t.Fatalf("step %d: [%d,%d) free %v covered %v", step, a, b, s.free(a, b), s.covered(a, b))
	}
	size := 1 + uint64(r.IntN(40))
	g := s.gap(5, 290, size)
	want := uint64(0)
	for i, run := uint64(5), uint64(0); i < 290; i++ {
		if run++; model[i] != 0 {
			run = 0
		}
		if run == size {
			want = i + 1 - size
			break
		}
	}
	if g != want {
		t.Fatalf("step %d: gap of %d at %d, want %d", step, size, g, want)
	}
}

func TestVMAFull(t *testing.T) {
	s := new(vmas)
	n := uint64(0)
	for s.set(n*2, n*2+1, protRead) {
		n++
	}
	if n < maxVMA-2 || s.n > maxVMA {
		t.Errorf("full after %d areas", n)
	}
	before := s.dump()
	if s.set(1<<20, 1<<20+1, protRead) {
		t.Error("one more fitted")
	}
	if d := cmp.Diff(before, s.dump(), cmp.AllowUnexported(vma{})); d != "" {
		t.Error(d)
	}
}
