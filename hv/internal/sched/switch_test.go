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
	if e, _, _ := s.Switch(0, now, true, nil); e != heavy {
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
	if e, _, _ := s.Switch(0, now+100*ms, true, nil); e != light {
		t.Error("Switch disagrees with Stay")
	}
}

// Switch without to starts the one furthest behind, which is never the one that
// blocked, unless it was woken.
func TestSwitch(t *testing.T) {
	for _, runnable := range []bool{true, false} {
		for _, woken := range []bool{true, false} {
			s, heavy, light, now := pair(t)
			if woken {
				s.Wake(heavy, now) // since Pick: it counts
			}
			now += 100 * ms
			e, until, kick := s.Switch(0, now, runnable, nil)
			if e != light || until <= now || kick != NoCPU {
				t.Errorf("runnable %v, woken %v: %v until %d, kick %d", runnable, woken, e == light, until, kick)
			}
			e, _, _ = s.Switch(0, now+1, false, nil)
			if want := runnable || woken; (e == heavy) != want || !want && e != nil {
				t.Errorf("runnable %v, woken %v: what ran is waiting: %v", runnable, woken, e == heavy)
			}
		}
	}
}

// Switch starts to even if others are further behind, whether it waits or is
// blocked, once; and leaves it alone when it cannot.
func TestSwitchTo(t *testing.T) {
	s, heavy, light, now := pair(t)
	third := new(Entity)
	if err := s.Add(third, CPUSet{}, now); err != nil {
		t.Fatal(err)
	}
	switchTo := func(what string, runnable bool, to, want *Entity) {
		t.Helper()
		if e, until, kick := s.Switch(0, now, runnable, to); e != want || kick != NoCPU || e != nil && until <= now {
			t.Fatalf("%s: wrong one, or until %d, kick %d", what, until, kick)
		}
	}
	switchTo("waiting", true, light, light)
	switchTo("a favour is for once", true, nil, heavy)
	switchTo("blocked", true, third, third)
	switchTo("and to what handed over", false, heavy, heavy)
	s.SetCap(third, 1, now)
	third.budget = -1
	switchTo("capped", true, third, heavy)
	if third.state != blocked {
		t.Error("a refused entity is not as it was")
	}
	s.SetCap(third, 0, now)
	s.Wanted(0).Store(true)
	switchTo("somebody urgent waits", true, third, heavy)
	if third.state != blocked || s.Wanted(0).Load() {
		t.Error("after an urgent switch")
	}
	s.Remove(third)
	switchTo("removed", true, third, heavy)
	s.Remove(heavy) // while it runs
	switchTo("the caller is removed", true, light, light)
	if !s.Removed(heavy) {
		t.Error("not removed")
	}
	switchTo("nobody is left", false, heavy, nil)
}

// An entity of another CPU's queue, or one that may not run here, is not taken;
// one that must leave the CPU is woken where it may run.
func TestSwitchElsewhere(t *testing.T) {
	s := New(Config{CPUs: 2, Tick: 10 * ms})
	var a, b, c Entity
	for e, cpus := range map[*Entity]CPUSet{&a: Set(0), &b: Set(1), &c: Set(0)} {
		if err := s.Add(e, cpus, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.Wake(&a, 1)
	if e, _ := s.Pick(0, 1); e != &a {
		t.Fatal("not picked")
	}
	if e, _, _ := s.Switch(0, 2, true, &b); e != &a || b.state != blocked {
		t.Error("took an entity that belongs elsewhere")
	}
	if kick, err := s.SetAffinity(&a, Set(1), CPUSet{}, 3); kick != 0 || err != nil {
		t.Error(kick, err)
	}
	s.Pick(1, 3) // idles
	s.Wanted(0).Store(false)
	e, _, kick := s.Switch(0, 4, true, &c)
	if e != &c || kick != 1 || a.CPU() != 1 || a.state != waiting {
		t.Errorf("kick %d, state %d on CPU %d", kick, a.state, a.CPU())
	}
}

func TestSwitchDoesNotAllocate(t *testing.T) {
	s, heavy, light, now := pair(t)
	if n := testing.AllocsPerRun(100, func() {
		s.Switch(0, now, true, light)
		s.Switch(0, now, false, heavy)
		s.Stay(0, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
