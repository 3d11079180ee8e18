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
