// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConcurrent lets real threads use one scheduler, for the race detector,
// and checks that no entity runs twice at a time, and that none is lost.
func TestConcurrent(t *testing.T) {
	const cpus, entities = 4, 12
	s := New(Config{CPUs: cpus, Tick: 100 * 1000}) // nanoseconds: ticks of 0.1 ms
	type vcpu struct {
		Entity
		runs    atomic.Int64
		running atomic.Bool
	}
	start := time.Now()
	clock := func() uint64 { return uint64(time.Since(start)) }
	v := make([]vcpu, entities)
	for n := range v {
		v[n].Owner = &v[n]
		s.Add(&v[n].Entity, CPUSet{}, 0)
	}
	s.SetCap(&v[0].Entity, 2000, 0)

	var kicks [cpus]chan struct{}
	for n := range kicks {
		kicks[n] = make(chan struct{}, 1)
	}
	kick := func(cpu int) {
		if cpu != NoCPU {
			select {
			case kicks[cpu] <- struct{}{}:
			default:
			}
		}
	}
	var stop atomic.Bool
	var runners, others sync.WaitGroup
	for cpu := range cpus {
		runners.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(cpu), 3))
			var e *Entity
			var until uint64
			for !stop.Load() {
				if e == nil {
					var k int
					e, until, k = s.Pick(cpu, clock())
					kick(k)
				}
				if e == nil {
					d := time.Millisecond
					if now := clock(); until < now+uint64(d) {
						d = time.Duration(until - min(until, now))
					}
					select {
					case <-kicks[cpu]:
					case <-time.After(d):
					}
					continue
				}
				j := e.Owner.(*vcpu)
				if !j.running.CompareAndSwap(false, true) {
					t.Error("runs on two CPUs")
				}
				j.runs.Add(1)
				for n := rng.IntN(2000); n > 0; n-- {
				}
				j.running.Store(false)
				again := rng.IntN(3) != 0
				to := &v[rng.IntN(entities)].Entity
				if to == e || rng.IntN(2) == 0 {
					to = nil
				}
				e, until = change(s, cpu, clock(), again, to, kick)
			}
			for e != nil {
				e, _, _ = s.Switch(cpu, clock(), false, nil, 0)
			}
		})
	}
	for n := range 3 {
		others.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 4))
			for !stop.Load() {
				e := &v[rng.IntN(entities)].Entity
				switch rng.IntN(20) {
				case 0:
					s.SetWeight(e, 1+uint32(rng.IntN(1000)))
				case 1:
					k, _ := s.SetAffinity(e, CPUSet{1 + rng.Uint64N(15)}, CPUSet{rng.Uint64N(16)}, clock())
					kick(k)
				case 2:
					k, _ := s.SetCap(e, uint32(rng.IntN(CapCPU)), clock())
					kick(k)
				case 3:
					kick(s.Remove(e))
					for !s.Removed(e) && !stop.Load() {
						time.Sleep(time.Microsecond)
					}
					s.Add(e, CPUSet{}, clock())
				default:
					kick(s.Wake(e, clock()))
				}
				time.Sleep(20 * time.Microsecond)
			}
		})
	}
	time.Sleep(400 * time.Millisecond)
	stop.Store(true)
	others.Wait()
	runners.Wait()
	for n := range v {
		if v[n].runs.Load() == 0 {
			t.Errorf("entity %d never ran", n)
		}
	}
	verify(t, s, entities)
}

// change is Switch, and wakes to where that did not start it.
func change(s *Scheduler, cpu int, now uint64, again bool, to *Entity, kick func(int)) (*Entity, uint64) {
	e, until, k := s.Switch(cpu, now, again, to, 0)
	kick(k)
	if to != nil && e != to {
		kick(s.WakeHere(to, cpu, now))
	}
	return e, until
}

// verify checks lists, counters and states of a scheduler at rest.
func verify(t *testing.T, s *Scheduler, entities int) {
	members := 0
	for cpu := range s.queues {
		q := &s.queues[cpu]
		load, count := int64(0), int32(0)
		var prev *Entity
		for e := q.waiting.head; e != nil; prev, e = e, e.next {
			load += int64(e.weight)
			count++
			if e.prev != prev || e.state != waiting || e.CPU() != cpu || !e.hard.Has(cpu) {
				t.Errorf("CPU %d: broken entity in waiting: %+v", cpu, e)
			}
			if prev != nil && before(e.v, prev.v) {
				t.Errorf("CPU %d: not in order", cpu)
			}
		}
		if q.waiting.tail != prev || q.load.Load() != load || q.count.Load() != count || q.cur != nil {
			t.Errorf("CPU %d: load %d, count %d; counted %d, %d", cpu, q.load.Load(), q.count.Load(), load, count)
		}
		members += int(q.members.Load())
	}
	if members != entities {
		t.Errorf("%d members, want %d", members, entities)
	}
}
