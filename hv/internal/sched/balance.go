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
				if s.pull(cpu, victim, now, find, (*Scheduler).rank) {
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

// balance brings an entity of the busiest CPU to cpu, if that is less loaded.
func (s *Scheduler) balance(cpu int, now uint64) {
	victim := s.busiest(cpu)
	if victim == NoCPU {
		return
	}
	if s.pull(cpu, victim, now, (*queue).rebalance, (*Scheduler).keep) {
		// The other one shall not take it back at once.
		s.queues[victim].setBalanced(now)
	} else if slice := s.slice.Load(); now+slice > s.interval {
		// What should come may be running just now: look again after a slice.
		s.queues[cpu].setBalanced(now + slice - s.interval)
	}
}

func (q *queue) setBalanced(t uint64) {
	q.mu.Lock()
	q.balanced = t
	q.mu.Unlock()
}

// busiest returns the CPU with the highest load that has something waiting.
func (s *Scheduler) busiest(cpu int) int {
	best, most := NoCPU, s.queues[cpu].load.Load()
	for n := range s.queues {
		if load := s.queues[n].load.Load(); n != cpu && load > most && s.queues[n].count.Load() > 0 {
			best, most = n, load
		}
	}
	return best
}

// finder chooses a waiting entity for to, nil if there is none.
type finder func(q *queue, to thief) *Entity

// thief is the CPU that looks for work.
type thief struct {
	cpu         int
	load        int64
	now, window uint64
}

// suits reports whether e may come from a CPU with load own.
func (t thief) suits(e *Entity, own int64) bool {
	return e.soft.Has(t.cpu) && t.load+int64(e.weight) <= own
}

// placer gives e, which moves, its virtual time in another queue.
type placer func(s *Scheduler, e *Entity, from, to *queue, now uint64)

// pull moves one entity from victim to cpu.
func (s *Scheduler) pull(cpu, victim int, now uint64, find finder, place placer) bool {
	s.lockPair(cpu, victim)
	q, v := &s.queues[cpu], &s.queues[victim]
	s.unthrottle(v, now)
	to := thief{cpu, q.load.Load(), now, s.window}
	e := find(v, to)
	if e != nil {
		v.take(e)
		place(s, e, v, q, now)
		e.move(v, q, cpu)
		q.insert(e)
	}
	s.unlockPair(cpu, victim)
	return e != nil
}

// fond finds the first that prefers the CPU.
func (q *queue) fond(to thief) *Entity {
	for e := q.waiting.head; e != nil; e = e.next {
		if e.soft.Has(to.cpu) {
			return e
		}
	}
	return nil
}

// allowed finds the first that may run on the CPU.
func (q *queue) allowed(to thief) *Entity {
	for e := q.waiting.head; e != nil; e = e.next {
		if e.hard.Has(to.cpu) {
			return e
		}
	}
	return nil
}

// rebalance finds the one with the most recent usage whose move does not turn
// the imbalance round: those that had less stay, with fewer competitors. A move
// that only mirrors the imbalance is wanted, it passes the shortage on. If the
// one with the most usage is running, none is found.
func (q *queue) rebalance(to thief) (best *Entity) {
	own, most := q.load.Load(), uint64(0)
	for e := q.waiting.head; e != nil; e = e.next {
		if u := e.faded(to.now, to.window); to.suits(e, own) && (best == nil || u > most) {
			best, most = e, u
		}
	}
	if c := q.cur; best != nil && c != nil && to.suits(c, own) {
		if c.faded(to.now, to.window)+elapsed(q.since, to.now) > most {
			return nil
		}
	}
	return best
}
