// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

// movers is how many of one CPU may move in a trade: those furthest behind.
const movers = 16

// whole is all time of a CPU.
const whole = 1024

// party is one CPU in a trade. Those count who compute there: they have neither slept
// nor waited for the next period of a cap lately.
type party struct {
	had, load uint64 // what they have had in the last seconds, and their weights
	share     uint64 // how much of the CPU they have, of whole
	ran, of   uint64 // since the last look, and the weights of those who did
	who       [movers]*Entity
	n         int
}

// balance brings to cpu an entity of another CPU, gives that one of cpu's, or both,
// if that makes what everybody has had lately more even.
func (s *Scheduler) balance(cpu int, now uint64) {
	again := false
	for n := range s.queues {
		if n == cpu || s.queues[n].count.Load() == 0 {
			continue
		}
		traded, later := s.trade(cpu, n, now)
		if traded {
			// The other one shall not undo it at once.
			s.queues[n].setBalanced(now)
			return
		}
		again = again || later
	}
	if slice := s.slice.Load(); again && now+slice > s.interval {
		// Who should move is running just now: look again after a slice.
		s.queues[cpu].setBalanced(now + slice - s.interval)
	}
}

func (q *queue) setBalanced(t uint64) {
	q.mu.Lock()
	q.balanced = t
	q.mu.Unlock()
}

// trade finds the move or exchange between cpu and other that is worth most, and
// makes it; later says that it must wait for one that runs.
//
// Let x be what an entity of weight w has had, divided by w, less the same for all.
// In the time t until the next balance it gets t*s/W more, where all weights of its
// CPU together are W and s is the share of the CPU that they have. The sum of
// w*(x+t*s/W)^2 over all is to become least. Without terms that no move changes that
// is the sum of (2*h+t*s)*s/W over the CPUs, where h is what all who are there have
// had.
func (s *Scheduler) trade(cpu, other int, now uint64) (traded, later bool) {
	s.lockPair(cpu, other)
	defer s.unlockPair(cpu, other)
	q, o := &s.queues[cpu], &s.queues[other]
	if o.cur != nil {
		s.charge(o, now)
	}
	if s.unthrottle(o, now); o.waiting.head == nil {
		return false, false
	}
	here, there := s.party(q, other, now), s.party(o, cpu, now)
	give, take := s.best(&here, &there)
	if take.state == running {
		return false, true
	}
	s.shift(take, o, q, cpu)
	s.shift(give, q, o, other)
	return give != &nobody || take != &nobody, false
}

// best returns who should leave here, and who there.
func (s *Scheduler) best(here, there *party) (give, take *Entity) {
	give, take = &nobody, &nobody
	least := s.regret(here, 0, 0) + s.regret(there, 0, 0)
	for i := -1; i < here.n; i++ {
		for j := -1; j < there.n; j++ {
			g, t := here.at(i), there.at(j)
			had, load := t.had-g.had, uint64(t.weight)-uint64(g.weight)
			// Nobody's CPU is left without anybody who computes.
			if here.load+load == 0 || there.load == load {
				continue
			}
			if r := s.regret(here, had, load) + s.regret(there, -had, -load); r < least {
				least, give, take = r, g, t
			}
		}
	}
	return give, take
}

// regret is what trade makes as little as possible, after p has got had and load,
// which may be negative.
func (s *Scheduler) regret(p *party, had, load uint64) uint64 {
	if p.load+load == 0 {
		return 0
	}
	return (2*(p.had+had) + s.interval*p.share/whole) * p.share << 6 / (p.load + load)
}

// nobody is who moves where there is only one move, not an exchange.
var nobody Entity

// at returns one of those who may move, nobody for -1.
func (p *party) at(n int) *Entity {
	if n < 0 {
		return &nobody
	}
	return p.who[n]
}

// party looks at those who compute in q, and which of them like to run on cpu too.
//
// Preconditions: q is locked, and its cur charged.
func (s *Scheduler) party(q *queue, cpu int, now uint64) (p party) {
	p.join(s, q, q.cur, cpu, now)
	for e := q.waiting.head; e != nil; e = e.next {
		p.join(s, q, e, cpu, now)
	}
	if p.load > 0 {
		q.level = p.had << 16 / p.load
		// Only if nobody came or left meanwhile: who left has taken its account along.
		if p.of == q.crowd && p.of == p.load {
			q.share = min(faded(q.share, elapsed(q.looked, now), s.recent)+p.ran, s.recent)
		}
	}
	// A little does not matter, and is not known well enough to act on.
	if p.share = q.share * whole / s.recent; p.share >= whole*7/8 {
		p.share = whole
	}
	q.looked, q.crowd = now, p.load
	return p
}

// join adds e, if it computes.
func (p *party) join(s *Scheduler, q *queue, e *Entity, cpu int, now uint64) {
	if e == nil || elapsed(e.woke, now) < s.recent {
		return
	}
	ran, gone := e.ran.Load(), elapsed(e.seen, now)
	if e.seen == q.looked {
		p.ran += ran - e.ranAt
		p.of += uint64(e.weight)
	}
	if e.had = faded(e.had, gone, s.memory) + ran - e.ranAt; gone > s.window {
		// It was away: as if it had had as much as the others.
		e.had = uint64(e.weight) * q.level >> 16
	}
	e.seen, e.ranAt = now, ran
	p.had += e.had
	p.load += uint64(e.weight)
	if p.n < movers && e.soft.Has(cpu) {
		p.who[p.n] = e
		p.n++
	}
}

// shift moves e, if it is somebody, from one locked queue to another. It is as far ahead or
// behind there as it was.
func (s *Scheduler) shift(e *Entity, from, to *queue, cpu int) {
	if e == &nobody {
		return
	}
	from.take(e)
	from.crowd -= uint64(e.weight)
	to.crowd += uint64(e.weight)
	e.v += to.min - from.min
	e.move(from, to, cpu)
	to.insert(e)
}
