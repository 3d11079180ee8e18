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
	if e, _, _ := s.Pick(0, now); e != light {
		t.Fatal("the only entity was not picked")
	}
	s.Wake(heavy, now)
	now += 5 * ms
	if e, _, _ := s.Switch(0, now, true, nil, 0); e != heavy {
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
	if e, _, _ := s.Switch(0, now+100*ms, true, nil, 0); e != light {
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
			e, until, kick := s.Switch(0, now, runnable, nil, 0)
			if e != light || until <= now || kick != NoCPU {
				t.Errorf("runnable %v, woken %v: %v until %d, kick %d", runnable, woken, e == light, until, kick)
			}
			e, _, _ = s.Switch(0, now+1, false, nil, 0)
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
		if e, until, kick := s.Switch(0, now, runnable, to, 0); e != want || kick != NoCPU || e != nil && until <= now {
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
	if e, _, _ := s.Pick(0, 1); e != &a {
		t.Fatal("not picked")
	}
	if e, _, _ := s.Switch(0, 2, true, &b, 0); e != &a || b.state != blocked {
		t.Error("took an entity that belongs elsewhere")
	}
	if kick, err := s.SetAffinity(&a, Set(1), CPUSet{}, 3); kick != 0 || err != nil {
		t.Error(kick, err)
	}
	s.Pick(1, 3) // idles
	s.Wanted(0).Store(false)
	e, _, kick := s.Switch(0, 4, true, &c, 0)
	if e != &c || kick != 1 || a.CPU() != 1 || a.state != waiting {
		t.Errorf("kick %d, state %d on CPU %d", kick, a.state, a.CPU())
	}
}

func TestSwitchDoesNotAllocate(t *testing.T) {
	s, heavy, light, now := pair(t)
	if n := testing.AllocsPerRun(100, func() {
		s.Switch(0, now, true, light, 0)
		s.Switch(0, now, false, heavy, 0)
		s.Stay(0, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Bill moves time from one to another in whatever state they are, and keeps the
// order of the queue; a cap counts what is owed.
func TestBill(t *testing.T) {
	s := New(Config{CPUs: 1, Tick: tick})
	var e [4]Entity
	for i := range e {
		s.Add(&e[i], CPUSet{}, 0)
	}
	for i := range e[:3] {
		s.Wake(&e[i], 0)
	}
	run, _, _ := s.Pick(0, 0)
	s.Charge(0, 100)
	v := run.v
	s.SetCap(&e[3], 100, 0)
	budget := e[3].budget
	s.Bill(run, &e[3], 40)
	if run.v != v-40 || e[3].v != 40 || e[3].budget != budget-40 || e[3].Ran() != 0 || run.Ran() != 100 {
		t.Errorf("runs %d, blocked %d, budget %d of %d", run.v, e[3].v, e[3].budget, budget)
	}
	first := s.queues[0].waiting.head
	s.Bill(nil, first, 10)
	if first.v != 10 || s.queues[0].waiting.tail != first {
		t.Error("who waits does not wait longer for what it owes")
	}
	s.Bill(first, first, 10)
	s.Interrupted(0, first, 5)
	if first.v != 15+s.toll || run.v != v-45-s.toll {
		t.Errorf("after an interrupt: owes %d, got back %d", first.v-10, v-40-run.v)
	}
	s.Interrupted(NoCPU, first, 1)
	v = first.v
	if s.Bill(nil, first, sec); first.v != v+tick/100 {
		t.Errorf("billed %d us at once", first.v-v)
	}
	if _, _, kick := s.Switch(0, 200, false, nil, 0); kick != NoCPU {
		t.Error("kick", kick)
	}
	s.Switch(0, 300, false, nil, 0)
	verifyRest(t, s, 4)
}

// verifyRest is verify after what runs was blocked.
func verifyRest(t *testing.T, s *Scheduler, entities int) {
	t.Helper()
	for s.queues[0].cur != nil {
		s.Switch(0, s.queues[0].since, false, nil, 0)
	}
	verify(t, s, entities)
}

// Who spins gives its CPU to the first that waits, for a moment, and comes back.
func TestYield(t *testing.T) {
	s, heavy, light, now := pair(t)
	e, until, kick, ok := s.Yield(0, now)
	if !ok || e != light || until != now+s.least || kick != NoCPU {
		t.Errorf("%v: until %d, kick %d", ok, until-now, kick)
	}
	if _, ok := s.Stay(0, until); ok {
		t.Error("it stays although who has yielded is behind")
	}
	if e, _, _ := s.Switch(0, until, true, nil, 0); e != heavy {
		t.Error("who has yielded does not come back")
	}
	s.Block(light)
	if _, _, _, ok := s.Yield(0, until+ms); ok || s.queues[0].cur != heavy {
		t.Error("yields to nobody")
	}
	if heavy.Ran() != ms {
		t.Errorf("charged %d us", heavy.Ran())
	}
}
