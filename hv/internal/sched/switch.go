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
// If to is not nil, what ran hands its CPU over: to goes first although others are
// further behind, even if it was blocked. That takes nothing but this CPU's queue,
// nobody more urgent who wants the CPU, and that to has not had more than the one
// who waits for longest, by more than a preemption is worth: a favour is for
// moments, so that nobody can live on favours. When another than to is returned,
// nothing has happened to to: the caller wakes it if it must run.
//
// Who hands its CPU over has no claim to the time until its next turn: it is then
// behind others as if it had slept. While it is runnable, to runs for a moment
// only: there may be others who wait for the one that handed over.
//
// Of what ran last, the time spent was on behalf of to, which is charged for it as
// by [Scheduler.Bill]. Where to is not returned, the caller passes it on to that.
//
// kick is a CPU to kick, or NoCPU.
//
// Preconditions: called by the runner of cpu; to is not what runs.
func (s *Scheduler) Switch(cpu int, now uint64, runnable bool, to *Entity, spent uint64) (e *Entity, until uint64, kick int) {
	q := s.byCPU[uint8(cpu)]
	urgent := q.wanted.Load() && q.wanted.Swap(false)
	q.mu.Lock()
	s.charge(q, now)
	if to != nil && !urgent && s.claim(q, cpu, to, now) {
		until, kick, astray := s.hand(q, cpu, to, now, runnable, spent)
		q.mu.Unlock()
		if astray != nil {
			kick = s.Wake(astray, now)
		}
		return to, until, kick
	}
	// What release and choose would do, where it is simple: by far the most frequent.
	if h := q.waiting.head; h != nil && q.release.Load() > now && elapsed(q.balanced, now) < s.interval {
		from := q.cur
		kick = NoCPU
		switch {
		case runnable && from.mayTurn(h, cpu):
			kick = s.turn(q, from, h)
		case !runnable && !from.woken && !from.leaving:
			q.load.Add(-int64(from.weight))
			from.state, from.asleep = blocked, h.v
			q.waiting.remove(h)
			q.count.Add(-1)
		default:
			return s.pass(q, cpu, now, runnable)
		}
		until = s.begin(q, h, now)
		q.mu.Unlock()
		return h, until, kick
	}
	return s.pass(q, cpu, now, runnable)
}

// pass is what is left of Switch: it unlocks q, whose cur is charged.
func (s *Scheduler) pass(q *queue, cpu int, now uint64, runnable bool) (e *Entity, until uint64, kick int) {
	kick, astray := s.release(q, cpu, now, runnable)
	if astray != nil {
		kick = cpu // there is one CPU to kick: the one for astray, below
	}
	e, until, kick = s.choose(q, cpu, now, kick)
	if astray != nil {
		kick = s.Wake(astray, now)
	}
	return e, until, kick
}

// mayTurn reports whether e, which runs on cpu, just waits behind h from now on.
func (e *Entity) mayTurn(h *Entity, cpu int) bool {
	return !before(e.v, h.v) && e.cap == 0 && !e.leaving && e.hard.Has(cpu)
}

// turn is release where h, the first that waits, takes the place of e: as many wait
// as before. It returns a CPU to kick.
func (s *Scheduler) turn(q *queue, e, h *Entity) (kick int) {
	q.waiting.remove(h)
	q.link(e)
	e.woken = false
	return s.helper(e)
}

// Yield is a Switch by what waits for another entity without knowing for which, as
// a vCPU that spins for a lock: the first that waits runs for a moment. What ran
// keeps its place, as in a hand-over. If nobody waits, ok is false, and nothing has
// changed but the account.
//
// Preconditions: called by the runner of cpu, after Pick returned an entity.
func (s *Scheduler) Yield(cpu int, now uint64) (e *Entity, until uint64, kick int, ok bool) {
	q := &s.queues[cpu]
	q.mu.Lock()
	s.charge(q, now)
	to := q.waiting.head
	if to == nil || !s.claim(q, cpu, to, now) {
		q.mu.Unlock()
		return nil, 0, NoCPU, false
	}
	q.wanted.Store(false)
	until, kick, astray := s.hand(q, cpu, to, now, true, 0)
	q.mu.Unlock()
	if astray != nil {
		kick = s.Wake(astray, now)
	}
	return to, until, kick, true
}

// hand ends the run of cur and starts to, which was claimed.
//
// Preconditions: q is locked, cur is charged.
func (s *Scheduler) hand(q *queue, cpu int, to *Entity, now uint64, runnable bool, spent uint64) (until uint64, kick int, astray *Entity) {
	from := q.cur
	spent = min(spent, s.most)
	to.owe(spent)
	floor := to.v - from.bonus
	if before(floor, from.v) {
		from.refund(spent)
	}
	if before(from.v, floor) {
		from.v = floor
	}
	if runnable && !from.leaving && from.cap == 0 && from.hard.Has(cpu) {
		from.woken, kick = false, NoCPU
		q.enlist(from) // what release does with most
		if from != q.waiting.head {
			kick = s.helper(from)
		}
	} else {
		kick, astray = s.release(q, cpu, now, runnable)
	}
	until = s.start(q, to, now)
	if from.state == waiting {
		until = min(until, now+s.least)
	}
	return until, kick, astray
}

// release ends the run of cur. It returns a CPU to kick; and cur, blocked, if
// that shall be woken because it may not run here any more.
//
// Preconditions: q is locked, cur is charged.
func (s *Scheduler) release(q *queue, cpu int, now uint64, runnable bool) (kick int, astray *Entity) {
	e := q.cur
	q.cur = nil
	runnable = runnable || e.woken
	e.woken, kick = false, NoCPU
	if runnable && !e.leaving && e.hard.Has(cpu) && !s.exhausted(e, now) {
		if q.enlist(e); e != q.waiting.head {
			kick = s.helper(e)
		}
		return kick, nil
	}
	q.block(e)
	switch {
	case e.leaving:
		e.state, e.leaving = detached, false
	case !runnable:
	case !e.hard.Has(cpu):
		astray = e
	default:
		q.throttle(e)
		kick = s.helper(e)
	}
	return kick, astray
}

// block makes e, which ran, blocked, and notes how far the others are then.
func (q *queue) block(e *Entity) {
	q.load.Add(-int64(e.weight))
	e.state, e.asleep = blocked, q.min
	if h := q.waiting.head; h != nil {
		e.asleep = h.v
	}
}

// claim takes e out of the list that it is in, if it can start at once on cpu,
// whose locked queue is q. What was running is then next in that queue, unless
// others are further behind: so no idle CPU is called to help it.
func (s *Scheduler) claim(q *queue, cpu int, e *Entity, now uint64) bool {
	if int(e.cpu.Load()) != cpu || elapsed(q.balanced, now) >= s.interval || q.ahead(e) {
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

// ahead reports whether e has had more than the first other one that waits in q,
// by more than is worth a preemption.
func (q *queue) ahead(e *Entity) bool {
	h := q.waiting.head
	if h == e {
		h = e.next
	}
	return h != nil && before(h.v+e.least, e.v)
}
