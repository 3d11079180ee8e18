// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pvclock

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/mm"
)

// record is a page with a record at its beginning; states is its sum and version after
// each store.
type record struct {
	page
	states [][2]uint64
}

func (r *record) Load64(a mm.HPA) uint64 { return binary.LittleEndian.Uint64(r.b[a:]) }
func (r *record) Store64(a mm.HPA, v uint64) {
	r.page.Store64(a, v)
	r.states = append(r.states, [2]uint64{r.Load64(0), r.Load64(8)})
}

// TestSteal: the sum changes while the version is odd, goes on from what the guest has
// there, and nothing else of the record is touched.
func TestSteal(t *testing.T) {
	s, r := new(Steal), new(record)
	r.page.Store64(0, 1000)
	r.page.Store64(16, 0x5500)
	if !s.Write(0x7040|enabled) || s.Addr() != 0x7040 || !s.On() || s.Read() != 0x7041 {
		t.Fatalf("%#x", s.Read())
	}
	s.Publish(r, 0, 5)
	s.Publish(r, 0, 7)
	want := [][2]uint64{{1000, 1}, {1005, 1}, {1005, 2}, {1005, 3}, {1012, 3}, {1012, 4}}
	if d := cmp.Diff(want, r.states); d != "" || r.Load64(16) != 0x5500 {
		t.Error(d)
	}
	s.Preempt(r, 0)
	if got := [2]uint64{r.Load64(8), r.Load64(16)}; got != [2]uint64{4, 0x5501} {
		t.Errorf("preempted: version and mark %#x", got)
	}
	if s.Publish(r, 0, 1); r.Load64(16) != 0x5500 {
		t.Errorf("running again: mark %#x", r.Load64(16))
	}
	for val, ok := range map[uint64]bool{0: true, 1: true, 0x1003: false, 0x1021: false, 0x1002: false, 0x1fc1: true, 1<<63 | 1: true} {
		if got := new(Steal).Write(val); got != ok {
			t.Errorf("write of %#x: %v", val, got)
		}
	}
	if s.Reset(); s.On() {
		t.Error("on after reset")
	}
	var m StealMemory = r
	if n := testing.AllocsPerRun(100, func() { s.Publish(m, 0, 1); r.states, r.versions = r.states[:0], r.versions[:0] }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
