// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import "testing"

// pair is one CPU that runs a heavy entity while a light one waits, which is
// further ahead in virtual time.
func pair(t *testing.T) (s *Scheduler, heavy, light *Entity, now uint64) {
	t.Helper()
	s = New(Config{CPUs: 1, Tick: 10 * ms})
	heavy, light = new(Entity), new(Entity)
	for _, e := range []*Entity{heavy, light} {
		if err := s.Add(e, CPUSet{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.SetWeight(heavy, 2048)
	now = 1
	s.Wake(light, now)
	if e, _ := s.Pick(0, now); e != light {
		t.Fatal("the only entity was not picked")
	}
	s.Wake(heavy, now)
	now += 5 * ms
	s.Put(0, now, true)
	if e, _ := s.Pick(0, now); e != heavy {
		t.Fatal("the heavy entity does not go first")
	}
	return s, heavy, light, now
}

func TestStay(t *testing.T) {
	s, _, light, now := pair(t)
	s.Wanted(0).Store(true)
	until, ok := s.Stay(0, now+ms)
	if !ok || until <= now+ms || s.Wanted(0).Load() {
		t.Errorf("stay: %v until %d, wanted %v", ok, until, s.Wanted(0).Load())
	}
	// Heavy runs 8 times as long as light did before it is level.
	if _, ok := s.Stay(0, now+100*ms); ok {
		t.Error("it stays although the other is far behind")
	}
	s.Put(0, now+100*ms, true)
	if e, _ := s.Pick(0, now+100*ms); e != light {
		t.Error("Put and Pick disagree with Stay")
	}
}

func TestYield(t *testing.T) {
	s, heavy, light, now := pair(t)
	other := new(Entity)
	if err := s.Add(other, CPUSet{}, now); err != nil {
		t.Fatal(err)
	}
	if s.Yield(0, other) || s.Yield(0, heavy) {
		t.Error("yielded to what does not wait")
	}
	if !s.Yield(0, light) {
		t.Fatal("not yielded")
	}
	s.Put(0, now, true)
	if e, _ := s.Pick(0, now); e != light {
		t.Error("the favoured one was not picked")
	}
	s.Put(0, now, true)
	if e, _ := s.Pick(0, now); e != heavy {
		t.Error("a favour is for one Pick")
	}
	// The favoured one goes away meanwhile.
	s.Yield(0, light)
	s.Remove(light)
	s.Put(0, now, true)
	if e, _ := s.Pick(0, now); e != heavy {
		t.Error("picked what was removed")
	}
	if n := testing.AllocsPerRun(100, func() { s.Yield(0, light); s.Stay(0, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
