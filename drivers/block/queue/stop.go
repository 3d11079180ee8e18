// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package queue

import (
	"fmt"
	"slices"
	"time"

	"ringo/drivers/block"
)

// Open lets requests through to the device. It looks for answers: there are devices that
// interrupt only after somebody has found none, and an interrupt that came before Open was
// for nothing.
func (q *Queue) Open() {
	q.mu.Lock()
	q.live, q.wrong = true, ""
	q.start()
	q.due.Store(true)
	q.unlock()
}

// close takes no more requests.
func (q *Queue) close() {
	q.mu.Lock()
	q.closed = true
	q.unlock()
}

// Pause gives the device nothing more, and takes nothing from it, until Open.
func (q *Queue) Pause() {
	q.mu.Lock()
	q.live = false
	q.unlock()
}

// Finish ends a command that the device has no answer to any more.
func (q *Queue) Finish(a Answer) {
	q.mu.Lock()
	f, ok := q.complete(a)
	q.unlock()
	if ok {
		f.r.Done(f.r, f.err)
	}
}

// Withdraw takes back what the device has, for another time. Requests that were with it
// too often end; guilty says that all count as tried, since any of them may be why.
//
// Preconditions: the queue is paused, or its device disabled; the device does not write
// the memory of requests.
func (q *Queue) Withdraw(guilty bool) {
	q.mu.Lock()
	q.live = false
	var back []job
	var lost []finished
	for id := range q.slots {
		j := q.slots[id].job
		if j.r == nil {
			continue
		}
		q.release(id)
		if guilty {
			j.tries++
		}
		if j.tries > retries {
			lost = append(lost, finished{j.r, fmt.Errorf("given up after %d resets: %w", retries, block.ErrTimeout)})
		} else {
			back = append(back, j)
		}
	}
	q.waiting = append(back, q.waiting...)
	q.unlock()
	for _, f := range lost {
		f.r.Done(f.r, f.err)
	}
}

// stop ends all requests with err, those to come as well.
//
// Preconditions: as of Withdraw.
func (q *Queue) stop(err error) {
	q.mu.Lock()
	q.live, q.dead = false, err
	var all []*block.Request
	for id := range q.slots {
		if r := q.slots[id].r; r != nil {
			all = append(all, r)
			q.release(id)
		}
	}
	for _, j := range q.waiting {
		all = append(all, j.r)
	}
	q.waiting = nil
	q.unlock()
	for _, r := range all {
		r.Done(r, err)
	}
}

// drop ends the requests that wait for a disk, which is lost.
func (q *Queue) drop(d *Disk) {
	q.mu.Lock()
	var all []*block.Request
	q.waiting = slices.DeleteFunc(q.waiting, func(j job) bool {
		of := j.r.Driver == d.driver
		if of {
			all = append(all, j.r)
		}
		return of
	})
	q.unlock()
	for _, r := range all {
		r.Done(r, d.Lost())
	}
}

// stale reports whether the keeper has seen a command several times, and reminds the
// device of it.
func (q *Queue) stale() (yes bool) {
	q.mu.Lock()
	defer q.unlock()
	for id := range q.slots {
		if s := &q.slots[id]; s.r != nil {
			if s.looks++; s.looks > overlooked {
				yes = true
			}
		}
	}
	if n, ok := q.c.(Nudger); yes && ok && q.live {
		n.Nudge()
	}
	return yes
}

// overdue is a command that takes too long; again: it was to be aborted, long ago.
type overdue struct {
	id    int
	again bool
}

// late returns the commands that take too long, but for those that have just been
// aborted, and what the device did that it must not.
func (q *Queue) late(most time.Duration) (all []overdue, wrong string) {
	q.mu.Lock()
	defer q.unlock()
	now := time.Duration(q.clock.Load())
	for id := range q.slots {
		s := &q.slots[id]
		if age := now - s.since; s.r != nil && (age >= most && !s.aborted || age >= 2*most) {
			all = append(all, overdue{id, s.aborted})
		}
	}
	return all, q.broken()
}

// abort notes that a command is to be aborted, if it is still there.
func (q *Queue) abort(id int, most time.Duration) bool {
	q.mu.Lock()
	defer q.unlock()
	s := &q.slots[id]
	if s.r == nil || time.Duration(q.clock.Load())-s.since < most {
		return false
	}
	s.aborted = true
	return true
}

// drain waits until the queue has nothing to do.
func (q *Queue) drain(most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(time.Millisecond) {
		q.service()
		if !q.busy() {
			return
		}
	}
}

// busy reports whether there is something to do.
func (q *Queue) busy() bool {
	q.mu.Lock()
	defer q.unlock()
	return len(q.waiting) > 0 || len(q.free) < len(q.slots)
}
