// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

// place chooses the queue for e, which wakes up and belongs to queue from: an
// idle CPU, its last one first; otherwise the last one, unless another is less
// loaded by more than e.
func (s *Scheduler) place(e *Entity, from int) int {
	if s.pinned {
		return e.hard.first()
	}
	if e.soft.Has(from) && s.queues[from].idle.CompareAndSwap(true, false) {
		return from
	}
	if len(s.queues) == 1 {
		return from
	}
	if cpu := s.claimIdle(&e.soft); cpu != NoCPU {
		return cpu
	}
	if cpu := s.claimIdle(&e.hard); cpu != NoCPU {
		return cpu
	}
	best, least := NoCPU, int64(0)
	for cpu := range s.queues {
		load := s.queues[cpu].load.Load()
		if e.soft.Has(cpu) && (best == NoCPU || load < least) {
			best, least = cpu, load
		}
	}
	if e.soft.Has(from) && s.queues[from].load.Load() <= least+int64(e.weight) {
		return from
	}
	return best
}

// claimIdle finds an idle CPU of the set and clears its mark, so that two
// wakers do not choose the same. The caller must see to it that it is kicked.
func (s *Scheduler) claimIdle(set *CPUSet) int {
	for cpu := range s.queues {
		if set.Has(cpu) && s.queues[cpu].idle.Load() && s.queues[cpu].idle.CompareAndSwap(true, false) {
			return s.want(cpu)
		}
	}
	return NoCPU
}

// steal brings a waiting entity of another CPU to cpu, which has none,
// preferably one that likes to be here. It returns the next time when there
// will be something to steal, and an idle CPU that can take more from there, unless
// one has been called already.
func (s *Scheduler) steal(cpu int, now uint64, called int) (until uint64, kick int) {
	until = Forever
	for _, find := range [...]finder{(*queue).fond, (*queue).allowed} {
		for n := 1; n < len(s.queues); n++ {
			victim := (cpu + n) % len(s.queues)
			v := &s.queues[victim]
			if v.count.Load() > 0 || v.release.Load() <= now {
				if s.pull(cpu, victim, now, find) {
					s.queues[cpu].idle.Store(false) // nor is it called for that
					v.mu.Lock()
					called = s.help(v, called)
					v.mu.Unlock()
					return until, called
				}
			}
			until = min(until, v.release.Load())
		}
	}
	return until, called
}

// finder chooses a waiting entity for cpu, nil if there is none.
type finder func(q *queue, cpu int) *Entity

// pull moves one entity from victim to cpu.
func (s *Scheduler) pull(cpu, victim int, now uint64, find finder) bool {
	s.lockPair(cpu, victim)
	q, v := &s.queues[cpu], &s.queues[victim]
	s.unthrottle(v, now)
	e := find(v, cpu)
	if e != nil {
		v.take(e)
		s.rank(e, v, q, now)
		e.move(v, q, cpu)
		q.insert(e)
	}
	s.unlockPair(cpu, victim)
	return e != nil
}

// fond finds the first that prefers the CPU.
func (q *queue) fond(cpu int) *Entity {
	for e := q.waiting.head; e != nil; e = e.next {
		if e.soft.Has(cpu) {
			return e
		}
	}
	return nil
}

// allowed finds the first that may run on the CPU.
func (q *queue) allowed(cpu int) *Entity {
	for e := q.waiting.head; e != nil; e = e.next {
		if e.hard.Has(cpu) {
			return e
		}
	}
	return nil
}
