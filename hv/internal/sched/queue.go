// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

// list is a doubly linked list through the entities. A CPU has few of them, so
// that a walk costs less than a tree would.
type list struct{ head, tail *Entity }

// insertAfter links e behind at, at the head if at is nil.
func (l *list) insertAfter(e, at *Entity) {
	e.prev = at
	if at == nil {
		e.next, l.head = l.head, e
	} else {
		e.next, at.next = at.next, e
	}
	if e.next == nil {
		l.tail = e
	} else {
		e.next.prev = e
	}
}

func (l *list) remove(e *Entity) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev = nil, nil
}

// insert makes e waiting, behind those of the same virtual time.
func (q *queue) insert(e *Entity) {
	q.load.Add(int64(e.weight))
	q.enlist(e)
}

// enlist is insert of one whose weight is part of the queue's load.
func (q *queue) enlist(e *Entity) {
	q.link(e)
	q.count.Add(1)
}

// link is enlist of one who takes another's place.
func (q *queue) link(e *Entity) {
	at := q.waiting.tail
	for at != nil && before(e.v, at.v) {
		at = at.prev
	}
	q.waiting.insertAfter(e, at)
	e.state = waiting
}

// take removes a waiting entity.
func (q *queue) take(e *Entity) {
	q.waiting.remove(e)
	q.load.Add(-int64(e.weight))
	q.count.Add(-1)
}

// throttle puts e aside until e.readyAt.
func (q *queue) throttle(e *Entity) {
	q.throttled.insertAfter(e, nil)
	e.state = throttled
	if e.readyAt < q.release.Load() {
		q.release.Store(e.readyAt)
	}
}

// unthrottle makes entities waiting whose new period has begun.
func (s *Scheduler) unthrottle(q *queue, now uint64) {
	if q.release.Load() > now {
		return
	}
	next := uint64(Forever)
	for e := q.throttled.head; e != nil; {
		after := e.next
		if e.readyAt <= now {
			q.throttled.remove(e)
			s.exhausted(e, now) // adds what is due
			if floor := q.min - e.edge; before(e.v, floor) {
				e.v = floor // it has not slept
			}
			e.woke = now
			q.insert(e)
		} else {
			next = min(next, e.readyAt)
		}
		e = after
	}
	q.release.Store(next)
}

// withdraw takes e out of the list that it is in, if any.
func (q *queue) withdraw(e *Entity) {
	switch e.state {
	case waiting:
		q.take(e)
	case throttled:
		q.throttled.remove(e)
		next := uint64(Forever)
		for o := q.throttled.head; o != nil; o = o.next {
			next = min(next, o.readyAt)
		}
		q.release.Store(next)
	}
}

// move gives an entity that is in no list to another queue.
//
// Preconditions: both queues are locked.
func (e *Entity) move(from, to *queue, cpu int) {
	e.cpu.Store(int32(cpu))
	from.members.Add(-1)
	to.members.Add(1)
}

// rank gives its place in another queue to who moves because a CPU is free, or because it
// wakes up. What it was ahead or behind says nothing then: time passes faster where
// fewer compete, and who moves at the right moments would always be behind. What it
// had lately, compared with one that it meets or leaves, decides.
func (s *Scheduler) rank(e *Entity, from, to *queue, now uint64) {
	rival, since := to.cur, to.since
	if rival == nil {
		rival, since = to.waiting.head, now
	}
	if rival == nil {
		rival, since = from.cur, from.since
	}
	e.v, e.asleep = to.min, to.min
	if rival == nil || rival == e {
		return
	}
	own, other := e.recent(now, s.window), rival.recent(now, s.window)+rival.virtual(elapsed(since, now))
	most := int64(e.bonus)
	e.v += uint64(min(max(int64(own-other)/8, -most), most))
}

// recent is e's recent usage as virtual time.
func (e *Entity) recent(now, window uint64) uint64 { return e.virtual(e.faded(now, window)) }
