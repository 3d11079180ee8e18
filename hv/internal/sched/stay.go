// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

// Stay is a short cut for Put and Pick where these would come to the same
// entity: it reports whether what runs on cpu may go on, and until when. If not,
// nothing has changed but the account.
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

// Yield makes the next Pick on cpu take to, whoever is further behind; the
// accounts stay as they are, so that this is one slice at most. It reports
// false, and does nothing, when to does not wait there. Put (runnable) and Pick
// follow.
//
// Preconditions: called by the runner of cpu, after Pick returned an entity.
func (s *Scheduler) Yield(cpu int, to *Entity) bool {
	q := &s.queues[cpu]
	q.mu.Lock()
	ok := int(to.cpu.Load()) == cpu && to.state == waiting
	if ok {
		q.favour = to
	}
	q.mu.Unlock()
	return ok
}
