// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import "testing"

// Who runs alone on the only CPU that there is for entities is left alone; where there
// are several, its CPU looks at the others now and then.
func TestAlone(t *testing.T) {
	for _, c := range []struct {
		Config
		forever bool
	}{
		{Config{CPUs: 1, Tick: 10 * ms}, true},
		{Config{CPUs: 3, First: 2, Tick: 10 * ms}, true},
		{Config{CPUs: 2, Tick: 10 * ms, Pinned: true}, true},
		{Config{CPUs: 2, Tick: 10 * ms}, false},
	} {
		s := New(c.Config)
		var e Entity
		if err := s.Add(&e, CPUSet{}, 0); err != nil {
			t.Fatal(err)
		}
		got, until, _ := s.Pick(s.Wake(&e, 0), 0)
		if got != &e || (until == Forever) != c.forever {
			t.Errorf("%+v: until %d", c.Config, until)
		}
	}
}

// The time slice is how long one runs while another waits, from the next run on.
func TestSlice(t *testing.T) {
	s := New(Config{CPUs: 1, Tick: 10 * ms})
	if got := s.Slice(); got != 10*ms/3 {
		t.Errorf("%d at first", got)
	}
	var a, b Entity
	for _, e := range []*Entity{&a, &b} {
		if err := s.Add(e, CPUSet{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.Wake(&a, 0)
	s.Wake(&b, 0)
	now := uint64(0)
	_, until, _ := s.Pick(0, now)
	for _, c := range []struct{ set, want uint64 }{{1 * ms, 1 * ms}, {20 * ms, 20 * ms}, {500 * ms, 100 * ms}, {0, 1}} {
		s.SetSlice(c.set)
		now = until
		if _, until, _ = s.Switch(0, now, true, nil, 0); until-now != c.want {
			t.Errorf("a slice of %d: a run of %d", c.set, until-now)
		}
	}
}
