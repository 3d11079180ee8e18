// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens")

const always = 1 << 60 // a run that does not end

func TestTimelines(t *testing.T) {
	for _, test := range []struct {
		name string
		cpus int
		jobs func(m *sim)
	}{
		{"equal", 1, func(m *sim) {
			m.add('a', 256, always, 0, 0)
			m.add('b', 256, always, 0, 0)
			m.add('c', 256, always, 0, 0)
		}},
		{"weights", 1, func(m *sim) {
			m.add('a', 512, always, 0, 0)
			m.add('b', 256, always, 0, 0)
			m.add('c', 128, always, 0, 0)
		}},
		{"wakeup", 1, func(m *sim) { // b runs at once whenever it wakes
			m.add('a', 256, always, 0, 0)
			m.add('b', 256, 2*ms, 18*ms, 5*ms)
		}},
		{"late", 1, func(m *sim) { // c does not make up for the time before
			m.add('a', 256, always, 0, 0)
			m.add('b', 256, always, 0, 0)
			m.add('c', 256, always, 0, 60*ms)
		}},
		{"three-on-two", 2, func(m *sim) {
			m.add('a', 256, always, 0, 0)
			m.add('b', 256, always, 0, 0)
			m.add('c', 256, always, 0, 0)
		}},
		{"steal", 2, func(m *sim) { // when b sleeps, its CPU takes from the other
			m.add('a', 256, always, 0, 0, 0, 1)
			m.add('b', 256, 70*ms, always, 0, 1)
			m.add('c', 256, always, 0, 1*ms, 0, 1)
		}},
		{"cap", 1, func(m *sim) {
			j := m.add('a', 256, always, 0, 0)
			if _, err := m.s.SetCap(&j.Entity, 4000, 0); err != nil {
				m.t.Fatal(err)
			}
			m.add('b', 256, always, 0, 30*ms)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newSim(t, Config{CPUs: test.cpus})
			m.line = make([]strings.Builder, test.cpus)
			test.jobs(m)
			m.play(240 * ms)
			got := m.timeline()
			file := "testdata/" + test.name + ".txt"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestShares(t *testing.T) {
	for _, test := range []struct {
		name    string
		cpus    int
		weights []uint32
		want    []float64
	}{
		{"equal", 1, []uint32{256, 256, 256}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{"weights", 1, []uint32{1024, 512, 256, 256}, []float64{.5, .25, .125, .125}},
		{"extremes", 1, []uint32{65535, 655}, []float64{.9901, .0099}},
		{"three on two", 2, []uint32{256, 256, 256}, []float64{2. / 3, 2. / 3, 2. / 3}},
		{"five on four", 4, []uint32{256, 256, 256, 256, 256}, []float64{.8, .8, .8, .8, .8}},
		{"seven on two", 2, []uint32{100, 100, 100, 100, 100, 100, 100}, []float64{2. / 7, 2. / 7, 2. / 7, 2. / 7, 2. / 7, 2. / 7, 2. / 7}},
		{"heavy one has a CPU", 2, []uint32{4096, 256, 256}, []float64{1, .5, .5}},
		{"one", 2, []uint32{1}, []float64{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newSim(t, Config{CPUs: test.cpus})
			for n, w := range test.weights {
				m.add('a'+byte(n), w, always, 0, 0)
			}
			m.play(20 * sec)
			for n, j := range m.jobs {
				m.share(j, 20*sec, test.want[n], 0.04)
			}
		})
	}
}

// Whoever sleeps often must not get more than its share, and runs at once if it
// needs less.
func TestSleepers(t *testing.T) {
	m := newSim(t, Config{CPUs: 1})
	hog := m.add('a', 256, always, 0, 0)
	greedy := m.add('b', 256, 900, 100, 0) // wants 90 %
	light := m.add('c', 256, 200, 19800, 0)
	m.play(100 * ms) // they all start with the same account
	light.worst = 0
	m.play(20 * sec)
	m.share(light, 20*sec, .01, .03)
	m.share(greedy, 20*sec, .495, .04)
	m.share(hog, 20*sec, .495, .04)
	if light.worst > tick/20+200 {
		t.Errorf("a light sleeper waited %d us", light.worst)
	}
}

// No entity waits more than a tick for each competitor of equal weight.
func TestStarvation(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cpus := 1 + rng.IntN(4)
		m := newSim(t, Config{CPUs: cpus})
		n := 2 + rng.IntN(10)
		for i := range n {
			run, sleep := uint64(always), uint64(0)
			if rng.IntN(2) == 0 {
				run, sleep = 50+rng.Uint64N(20*ms), 50+rng.Uint64N(20*ms)
			}
			m.add('a'+byte(i), 256, run, sleep, rng.Uint64N(50*ms))
		}
		m.play(5 * sec)
		for _, j := range m.jobs {
			if limit := uint64(n-1) * tick; j.worst > limit {
				t.Errorf("seed %d, %d CPUs, %d jobs: %c waited %d us, limit %d", seed, cpus, n, j.name, j.worst, limit)
			}
		}
	}
}

func TestCaps(t *testing.T) {
	for _, share := range []uint32{100, 500, 2500, 5000, 9000, CapCPU} {
		for _, rivals := range []int{0, 2} {
			m := newSim(t, Config{CPUs: 1})
			j := m.add('a', 1024, always, 0, 0)
			if _, err := m.s.SetCap(&j.Entity, share, 0); err != nil {
				t.Fatal(err)
			}
			want := float64(share) / CapCPU
			for range rivals {
				m.add('b', 256, always, 0, 0)
				want = min(want, 4./6)
			}
			m.play(10 * sec)
			m.share(j, 10*sec, want, .01)
		}
	}
}

// A CPU with nothing to do never stays idle while something that may run there
// waits.
func TestWorkConserving(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		m := newSim(t, Config{CPUs: 4})
		for i := range 8 {
			j := m.add('a'+byte(i), 256, 100+rng.Uint64N(5*ms), 100+rng.Uint64N(8*ms), rng.Uint64N(ms))
			if i%3 == 0 {
				m.s.SetAffinity(&j.Entity, Set(rng.IntN(4), rng.IntN(4)), CPUSet{}, 0)
			}
			if i%4 == 1 {
				m.s.SetCap(&j.Entity, 3000, 0)
			}
		}
		for range 4000 {
			m.play(m.now + 50)
			for n := range m.cpus {
				if m.cpus[n].cur != nil {
					continue
				}
				for o := range m.s.queues {
					for e := m.s.queues[o].waiting.head; e != nil; e = e.next {
						if e.hard.Has(n) {
							t.Fatalf("seed %d, %d us: CPU %d is idle, %c waits for %d", seed, m.now, n, e.Owner.(*job).name, o)
						}
					}
				}
			}
		}
	}
}

func TestAffinity(t *testing.T) {
	m := newSim(t, Config{CPUs: 4})
	a := m.add('a', 256, always, 0, 0, 1)
	b := m.add('b', 256, always, 0, 0, 1)
	c := m.add('c', 256, always, 0, 0)
	m.s.SetAffinity(&c.Entity, Set(0, 2, 3), Set(3), 0)
	m.play(sec)
	if c.CPU() != 3 || c.moves != 1 {
		t.Errorf("c is on CPU %d after %d moves", c.CPU(), c.moves)
	}
	m.share(a, sec, .5, .02)
	m.share(b, sec, .5, .02)
	// Running elsewhere: kicked, and gone.
	kick, err := m.s.SetAffinity(&c.Entity, Set(0), CPUSet{}, m.now)
	if err != nil || kick != 3 {
		t.Errorf("kick %d, %v", kick, err)
	}
	m.kick(kick)
	if c.CPU() != 0 || m.cpus[0].cur != c {
		t.Errorf("c is on CPU %d", c.CPU())
	}
	// Waiting: an idle CPU that it may use now takes it.
	w := a
	if m.cpus[1].cur == a {
		w = b
	}
	kick, _ = m.s.SetAffinity(&w.Entity, Set(1, 2), CPUSet{}, m.now)
	m.kick(kick)
	if m.cpus[2].cur != w {
		t.Errorf("%c was not taken, kick %d", w.name, kick)
	}
	if _, err := m.s.SetAffinity(&a.Entity, Set(4, 255), CPUSet{}, m.now); err == nil {
		t.Error("CPUs that do not exist were accepted")
	}
}

// TestFirst: nothing runs on the CPUs before Config.First, whatever it wants.
func TestFirst(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		s := New(Config{CPUs: 4, First: 2, Tick: 10 * ms, Pinned: pinned})
		var e [5]Entity
		for i := range e {
			if err := s.Add(&e[i], CPUSet{}, 0); err != nil {
				t.Fatal(err)
			}
			s.Wake(&e[i], 0)
		}
		for _, cpu := range []int{2, 3} {
			if got, _, _ := s.Pick(cpu, 1); got == nil || !s.Runs(cpu) {
				t.Errorf("pinned %v: CPU %d runs %v", pinned, cpu, got)
			}
		}
		for cpu := range 2 {
			if n := s.queues[cpu].members.Load(); n != 0 || s.Runs(cpu) {
				t.Errorf("pinned %v: %d entities on CPU %d", pinned, n, cpu)
			}
		}
		if err := s.Add(new(Entity), Set(0, 1), 0); err == nil {
			t.Error("an entity for CPUs that run none was taken")
		}
		if _, err := s.SetAffinity(&e[0], Set(1), CPUSet{}, 0); err == nil {
			t.Error("an affinity to a CPU that runs nothing was taken")
		}
	}
}

func TestPinned(t *testing.T) {
	m := newSim(t, Config{CPUs: 3, Pinned: true})
	for i := range 3 {
		m.add('a'+byte(i), 256, always, 0, 0)
	}
	m.play(sec)
	for n, j := range m.jobs {
		if j.CPU() != n || j.moves != 1 || m.cpus[n].picks > 2 || m.cpus[n].until != Forever {
			t.Errorf("%c: CPU %d, %d moves, %d picks, until %d", j.name, j.CPU(), j.moves, m.cpus[n].picks, m.cpus[n].until)
		}
	}
	// A sleeper comes back to its CPU, even if others are idle.
	m = newSim(t, Config{CPUs: 2, Pinned: true})
	j := m.add('a', 256, ms, ms, 0, 1)
	m.play(100 * ms)
	if j.moves != 1 || j.CPU() != 1 {
		t.Errorf("CPU %d, %d moves", j.CPU(), j.moves)
	}
}

func TestRemove(t *testing.T) {
	m := newSim(t, Config{CPUs: 1})
	a := m.add('a', 256, always, 0, 0)
	b := m.add('b', 256, always, 0, 0)
	c := m.add('c', 256, ms, 10*sec, 0)
	m.play(50 * ms)
	run, wait := a, b
	if m.cpus[0].cur == b {
		run, wait = b, a
	}
	if kick := m.s.Remove(&wait.Entity); kick != NoCPU || !m.s.Removed(&wait.Entity) {
		t.Errorf("waiting: kick %d", kick)
	}
	if kick := m.s.Remove(&c.Entity); kick != NoCPU || !m.s.Removed(&c.Entity) {
		t.Errorf("blocked: kick %d", kick)
	}
	kick := m.s.Remove(&run.Entity)
	if kick != 0 || m.s.Removed(&run.Entity) {
		t.Errorf("running: kick %d", kick)
	}
	m.kick(kick)
	if !m.s.Removed(&run.Entity) || m.cpus[0].cur != nil || m.s.queues[0].load.Load() != 0 || m.s.queues[0].members.Load() != 0 {
		t.Errorf("after Switch: %+v", m.cpus[0])
	}
	if m.s.Wake(&run.Entity, m.now) != NoCPU {
		t.Error("a removed entity woke up")
	}
	if err := m.s.Add(&run.Entity, CPUSet{}, m.now); err != nil {
		t.Error(err)
	}
	if err := m.s.Add(&run.Entity, CPUSet{}, m.now); err == nil {
		t.Error("added twice")
	}
}

func TestBlock(t *testing.T) {
	s := New(Config{CPUs: 1, Tick: tick})
	var a, b Entity
	for _, e := range []*Entity{&a, &b} {
		s.Add(e, CPUSet{}, 0)
		s.Wake(e, 0)
	}
	run, _, _ := s.Pick(0, 0)
	wait := &a
	if run == wait {
		wait = &b
	}
	if kick := s.Block(wait); kick != NoCPU || s.Wanted(0).Load() {
		t.Errorf("waiting: kick %d", kick)
	}
	s.Wake(run, 5) // forgotten by Block
	if kick := s.Block(run); kick != 0 || !s.Wanted(0).Load() {
		t.Errorf("running: kick %d", kick)
	}
	if e, _, _ := s.Switch(0, 10, false, nil, 0); e != nil || s.Wanted(0).Load() {
		t.Error("something runs")
	}
	if kick := s.Wake(wait, 20); kick != 0 || !s.Wanted(0).Load() {
		t.Errorf("wake: kick %d", kick)
	}
	if e, _, _ := s.Pick(0, 20); e != wait {
		t.Error("not woken")
	}
}

// A wake-up between the last look at events and the block is not lost.
func TestWakeWhileRunning(t *testing.T) {
	s := New(Config{CPUs: 1, Tick: tick})
	var e Entity
	s.Add(&e, CPUSet{}, 0)
	if kick := s.Wake(&e, 0); kick != 0 {
		t.Fatalf("kick %d", kick)
	}
	s.Pick(0, 0)
	s.Wake(&e, 10)
	if got, _, _ := s.Switch(0, 20, false, nil, 0); got != &e {
		t.Fatal("the wake-up was lost")
	}
	if got, until, _ := s.Switch(0, 30, false, nil, 0); got != nil || until != Forever {
		t.Fatalf("%v %d: it counts once", got, until)
	}
	if e.Ran() != 30 {
		t.Errorf("ran %d", e.Ran())
	}
}

// Clocks of CPUs that differ a little do no harm.
func TestClockSkew(t *testing.T) {
	s := New(Config{CPUs: 2, Tick: tick})
	var e Entity
	s.Add(&e, CPUSet{}, 1000)
	s.Wake(&e, 1000)
	s.Pick(0, 990)
	got, until, _ := s.Switch(0, 980, true, nil, 0)
	if e.Ran() != 0 {
		t.Errorf("ran %d", e.Ran())
	}
	if got != &e || until < 980 {
		t.Errorf("%v %d", got, until)
	}
}

func TestAllocs(t *testing.T) {
	s := New(Config{CPUs: 4, Tick: tick})
	var e [6]Entity
	for n := range e {
		s.Add(&e[n], CPUSet{}, 0)
	}
	s.SetCap(&e[1], 10, 0)
	now, woken, ran := uint64(0), 0, [4]*Entity{}
	if n := testing.AllocsPerRun(1000, func() {
		now += 300
		s.Wake(&e[woken%6], now)
		woken++
		for cpu := range ran {
			if ran[cpu] == nil {
				ran[cpu], _, _ = s.Pick(cpu, now)
			} else {
				s.Charge(cpu, now+200)
				ran[cpu], _, _ = s.Switch(cpu, now+250, woken%3 != 0, nil, 0)
			}
		}
		s.SetAffinity(&e[2], Set(woken%4), CPUSet{}, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBounds(t *testing.T) {
	s := New(Config{CPUs: 1, Tick: tick})
	var e Entity
	s.Add(&e, CPUSet{}, 0)
	for _, w := range []uint32{0, MaxWeight + 1} {
		if s.SetWeight(&e, w) == nil {
			t.Errorf("weight %d was accepted", w)
		}
	}
	if _, err := s.SetCap(&e, CapCPU+1, 0); err == nil {
		t.Error("cap of more than a CPU was accepted")
	}
	for _, c := range []Config{{Tick: tick}, {CPUs: MaxCPUs + 1, Tick: tick}, {CPUs: 1, Tick: 10}, {CPUs: 2, First: 2, Tick: tick}, {CPUs: 2, First: -1, Tick: tick}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was accepted", c)
				}
			}()
			New(c)
		}()
	}
}

func BenchmarkSwitch(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(Config{CPUs: 1, Tick: tick})
			e := make([]Entity, n)
			for i := range e {
				s.Add(&e[i], CPUSet{}, 0)
				s.Wake(&e[i], 0)
			}
			b.ReportAllocs()
			now := uint64(0)
			s.Pick(0, now)
			for b.Loop() {
				now += 100
				s.Switch(0, now, true, nil, 0)
			}
		})
	}
}
