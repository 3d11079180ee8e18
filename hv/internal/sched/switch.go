// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

// Stay is a short cut for a Switch that would come to the same entity: it reports
// whether what runs on cpu may go on, and until when. If not, nothing has changed
// but the account.
//
// Preconditions: called by the runner of cpu, after Pick returned an entity.
func (s *Scheduler) Stay(cpu int, now uint64) (until uint64, ok bool) {
	q := &s.queues[cpu]
	// As in Pick: what is wanted from here on is seen the next time.
	q.wanted.Store(false)
	q.mu.Lock()
	e := q.cur
	s.charge(q, now)
	switch {
	case e.leaving, !e.hard.Has(cpu), q.release.Load() <= now,
		elapsed(q.balanced, now) >= s.interval,
		q.waiting.head != nil && !before(e.v, q.waiting.head.v),
		s.exhausted(e, now):
	default:
		until, ok = s.until(q, e, now), true
	}
	q.mu.Unlock()
	return until, ok
}

// Switch ends the run of what Pick or Switch gave and, like Pick, chooses what
// runs next. The one before stays runnable, or blocks until Wake; a Wake since it
// was given counts, so that none is lost.
//
// If to is not nil, it goes first whoever is further behind, even if it was
// blocked, where that takes nothing but this CPU's queue and nobody more urgent
// wants the CPU; the accounts stay as they are, so that this is one slice at
// most. When another than to is returned, nothing has happened to to: the caller
// wakes it if it must run.
//
// kick is a CPU to kick, or NoCPU.
//
// Preconditions: called by the runner of cpu; to is not what runs.
func (s *Scheduler) Switch(cpu int, now uint64, runnable bool, to *Entity) (e *Entity, until uint64, kick int) {
	q := &s.queues[cpu]
	urgent := q.wanted.Swap(false)
	q.mu.Lock()
	s.charge(q, now)
	claimed := to != nil && !urgent && s.claim(q, cpu, to, now)
	kick, astray := s.release(q, cpu, now, runnable)
	if claimed {
		e, until = to, s.start(q, to, now)
		q.mu.Unlock()
	} else {
		e, until = s.choose(q, cpu, now)
	}
	if astray != nil {
		kick = s.Wake(astray, now)
	}
	return e, until, kick
}

// release ends the run of cur. It returns a CPU to kick; and cur, blocked, if
// that shall be woken because it may not run here any more.
//
// Preconditions: q is locked, cur is charged.
func (s *Scheduler) release(q *queue, cpu int, now uint64, runnable bool) (kick int, astray *Entity) {
	e := q.cur
	q.cur = nil
	q.load.Add(-int64(e.weight))
	runnable = runnable || e.woken
	e.woken, kick = false, NoCPU
	switch {
	case e.leaving:
		e.state, e.leaving = detached, false
	case !runnable:
		e.state = blocked
	case !e.hard.Has(cpu):
		e.state, astray = blocked, e
	case s.exhausted(e, now):
		q.throttle(e)
		kick = s.helper(e)
	default:
		if q.insert(e); e != q.waiting.head {
			kick = s.helper(e)
		}
	}
	return kick, astray
}

// claim takes e out of the list that it is in, if it can start at once on cpu,
// whose locked queue is q. What was running is then next in that queue, unless
// others are further behind: so no idle CPU is called to help it.
func (s *Scheduler) claim(q *queue, cpu int, e *Entity, now uint64) bool {
	if int(e.cpu.Load()) != cpu || elapsed(q.balanced, now) >= s.interval {
		return false
	}
	switch e.state {
	case waiting:
		q.take(e)
		return true
	case blocked:
		if !e.hard.Has(cpu) || e.cap != 0 && s.exhausted(e, now) {
			return false
		}
		s.limit(q, e)
		return true
	}
	return false
}
