// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package queue is what drivers of disks have in common: a [Queue] of requests that the
// device has or that wait for it, a [Keeper] that looks after the device, and a [Disk]
// on both. What is special about a device stands behind two interfaces, [Commands] and
// [Device].
//
// All commands of a queue are its slots; a request that finds none waits. The function
// that the interrupt calls, [Queue.Service], takes answers, starts what waits, and calls
// Done: nothing of it blocks, nor allocates, but for a goroutine where there is ever more.
//
// A goroutine per device looks after commands that take too long: it looks for their
// answers (the interrupt may be lost), asks the device to abort them where that can be
// done, and then resets it. After a reset, commands that were with the device are given
// to it again: none of them was acknowledged. What was acknowledged is the device's to
// keep.
//
// # Threats
//
//	the device does                          the driver does
//	---------------------------------------  ---------------------------------------
//	completes what it was not given, or      reset; after three in ten minutes it is
//	 twice, or for another queue              left alone, and requests fail
//	says nothing                             timeout, abort, reset, as above
//	forgets all, since something else has    reset at the next look; what it had is given
//	 reset it                                 again, and not taken for done
//	is not there any more                    bus mastering off, requests fail: ErrGone
//	finds a mistake of its driver's          as one that does what it must not: who has
//	                                          asked for something sees no panic
//	lies about sizes                         bounds on everything that is computed with
//	writes memory that it was not told       nothing: that is the IOMMU's business
package queue

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// retries is how often a request is given to the device again.
const retries = 3

// Commands is what a queue's requests are to its device. All methods are called with the
// queue locked, and do not block.
type Commands interface {
	// Fits reports whether the device can be told of data as it lies in memory.
	Fits(data []dma.Segment) bool
	// Give makes a request with data that fits a command, whose answer will name the
	// slot. It reports false, and does nothing, if there is no room now.
	Give(slot int, r *block.Request, data []dma.Segment) bool
	// Ring tells the device of what was given, and of answers that were taken.
	Ring()
	// Next takes an answer.
	Next() (a Answer, ok bool)
	// Broken returns what the device did that it must not, "" if nothing: it is reset
	// then.
	Broken() string
}

// Answer is what a device has to say about a request.
type Answer struct {
	Slot  int
	Err   error // nil if it was done; wraps one of block's
	Again bool  // it may do better another time
}

// Queue is requests that are with a device, and those that wait for it.
type Queue struct {
	// FlushAfter says that the device cannot write through its cache: a request with FUA
	// is followed by a flush, if its disk has a cache. It is set before the queue is used.
	FlushAfter bool

	c      Commands
	name   string
	clock  *atomic.Int64 // the keeper's time
	wake   func()        // the keeper
	polled bool          // there is no interrupt

	// due says that Service was called and has not looked yet: whoever has mu does.
	due atomic.Bool

	// mu guards what follows. It is a leaf; Done is called without it. It is unlocked
	// by unlock.
	mu      sync.Mutex
	live    bool // the device serves it
	closed  bool // it takes no more requests
	dead    error
	wrong   string // as Broken
	slots   []slot
	free    []uint16
	waiting []job
	bounce  dma.Segment // for data that does not fit
	bounced bool        // a slot has it
	one     [1]dma.Segment
	flush   block.Request // in the place of one that needs it
	done    []finished    // of one Service
}

// job is a request on its way.
type job struct {
	r       *block.Request
	tries   int
	through bool // it must not stay in a cache
	flush   bool // the data is there, a flush is not
}

// slot is a command that the device has.
type slot struct {
	job
	since   time.Duration // by the keeper's clock
	looks   int           // of the keeper
	bounced bool
	aborted bool // the device was asked to forget it
}

// finished is a request whose Done is to be called.
type finished struct {
	r   *block.Request
	err error
}

// New makes a queue of so many slots, for a [Keeper]. bounce is memory for the most data
// that a request has; it may be empty if all data fits. The name is for people.
func New(name string, c Commands, slots int, bounce dma.Segment) *Queue {
	q := &Queue{c: c, name: name, slots: make([]slot, slots), bounce: bounce, clock: new(atomic.Int64), wake: func() {}}
	q.free = make([]uint16, slots)
	for i := range q.free {
		q.free[i] = uint16(slots - 1 - i)
	}
	q.done = make([]finished, 0, 2*slots)
	return q
}

// submit takes a request of a disk's; last says that it is one for which a closed queue is
// open.
func (q *Queue) submit(d *Disk, j job, last bool) {
	q.mu.Lock()
	err := q.dead
	if err == nil {
		err = d.Lost()
	}
	if err == nil && q.closed && !last {
		err = errClosed
	}
	if err != nil {
		q.unlock()
		j.r.Done(j.r, err)
		return
	}
	q.put(j)
	q.unlock()
	if q.polled {
		q.wake()
	}
}

// put gives the device a request, or has it wait.
func (q *Queue) put(j job) {
	at := -1 // in waiting
	defer func() {
		if v := recover(); v != nil {
			if at < 0 && !q.has(j.r) {
				q.waiting = append(q.waiting, j)
			}
			q.mistake(v)
		}
	}()
	if len(q.waiting) > 0 || !q.give(j) {
		at = len(q.waiting)
		q.waiting = append(q.waiting, j)
	}
	if q.live {
		q.c.Ring()
	}
}

// has reports whether the device has a request.
func (q *Queue) has(r *block.Request) bool {
	return slices.ContainsFunc(q.slots, func(s slot) bool { return s.r == r })
}

// mistake is what becomes of a panic: nothing is given or taken until the keeper has reset
// the device, which may have what it was just given. So all requests end, as they do when
// the device has done what it must not, and the lock is not left behind.
//
// Preconditions: q is locked.
func (q *Queue) mistake(v any) {
	q.live, q.wrong = false, fmt.Sprintf("%s: its driver has failed: %v", q.name, v)
	q.wake()
}

// give gives a request to the device; it reports false if there is no room.
//
// Preconditions: q is locked; the caller rings.
func (q *Queue) give(j job) bool {
	if !q.live || len(q.free) == 0 {
		return false
	}
	r, data := j.r, j.r.Data
	if j.flush {
		q.flush = block.Request{Op: block.Flush, Driver: r.Driver}
		r, data = &q.flush, nil
	}
	direct := r.Op > block.Write || q.c.Fits(data)
	if !direct {
		if q.bounced {
			return false
		}
		q.one[0] = q.bounce.Slice(0, size(data))
		data = q.one[:]
		if r.Op == block.Write {
			gather(r, data[0].Bytes)
		}
	}
	id := q.free[len(q.free)-1]
	if !q.c.Give(int(id), r, data) {
		return false
	}
	q.free = q.free[:len(q.free)-1]
	q.slots[id] = slot{job: j, since: time.Duration(q.clock.Load()), bounced: !direct}
	q.bounced = q.bounced || !direct
	return true
}

// Service takes answers and starts what waits. It is what the interrupt calls. It does
// not wait for somebody who has the queue locked, but leaves it to him: a device may be
// done with a request before the doorbell's write is.
func (q *Queue) Service() {
	q.due.Store(true)
	q.settle()
}

// unlock unlocks the queue, and does what Service has left to whoever had it locked.
func (q *Queue) unlock() {
	q.mu.Unlock()
	q.settle()
}

// enough is how many requests serve ends before a goroutine goes on, since what is done
// has ever brought more: who is interrupted, or gives a request, has something else to do.
const enough = 128

func (q *Queue) settle() {
	for q.due.Load() && q.mu.TryLock() {
		if _, more := q.serve(); more {
			go q.settle()
			return
		}
	}
}

// service is Service, done when it returns, but for what enough leaves. It reports whether
// there was anything.
func (q *Queue) service() (any bool) {
	q.mu.Lock()
	any, more := q.serve()
	if more {
		go q.settle()
	} else {
		q.settle()
	}
	return any
}

// serve does what service does, and unlocks the queue, which is locked. Two goroutines
// may be here at a time: one of them has the list of what is done, and looks once
// more when it gives it back; the other one takes nothing then. more says that there may be
// more, which is due.
func (q *Queue) serve() (any, more bool) {
	for n := 0; ; {
		q.due.Store(false)
		done, some, bad := q.collect()
		if any = any || some; len(done) == 0 {
			q.mu.Unlock() // the caller settles
			if bad {
				q.wake()
			}
			return any, false
		}
		q.done = nil
		q.mu.Unlock()
		for i := range done {
			done[i].r.Done(done[i].r, done[i].err)
			done[i] = finished{}
		}
		q.mu.Lock()
		q.done = done[:0]
		if n += len(done); n >= enough {
			q.due.Store(true)
			q.mu.Unlock()
			return any, true
		}
	}
}

// collect takes answers and starts what waits. It returns what is done, and whether there
// was any answer, and a reason to reset the device.
func (q *Queue) collect() (done []finished, any, bad bool) {
	done = q.done
	defer func() {
		if v := recover(); v != nil {
			q.mistake(v)
			bad = true
		}
	}()
	for len(done) < cap(done) && q.live {
		a, ok := q.c.Next()
		if !ok {
			break
		}
		any = true
		if f, ok := q.complete(a); ok {
			done = append(done, f)
		}
	}
	if bad = q.live && q.broken() != ""; q.live && !bad {
		q.pump()
		q.c.Ring()
	}
	return done, any, bad
}

// broken is what the device did that it must not.
func (q *Queue) broken() string {
	if q.wrong == "" {
		q.wrong = q.c.Broken()
	}
	return q.wrong
}

// complete ends the command that a is about. It reports false if there is none to tell.
func (q *Queue) complete(a Answer) (finished, bool) {
	if a.Slot >= len(q.slots) || q.slots[a.Slot].r == nil {
		if q.wrong == "" {
			q.wrong = fmt.Sprintf("%s: an answer to command %d, which it was not given", q.name, a.Slot)
		}
		return finished{}, false
	}
	s := &q.slots[a.Slot]
	j := s.job
	if s.bounced && a.Err == nil && j.r.Op == block.Read {
		scatter(j.r, q.bounce.Bytes)
	}
	q.release(a.Slot)
	if a.Err != nil && a.Again && j.tries < retries {
		j.tries++
		q.waiting = append(q.waiting, j)
		return finished{}, false
	}
	if a.Err == nil && j.through && q.FlushAfter && !j.flush && (j.r.Op == block.Write || j.r.Op == block.WriteZeroes) {
		j.flush = true
		q.waiting = append(q.waiting, j)
		return finished{}, false
	}
	switch {
	case a.Err == nil:
	case j.r.Op == block.Flush:
		a.Err = fmt.Errorf("flush: %w", a.Err)
	default:
		a.Err = fmt.Errorf("blocks %d to %d: %w", j.r.Start, j.r.Start+max(uint64(j.r.Blocks), 1)-1, a.Err)
	}
	return finished{j.r, a.Err}, true
}

// release makes a slot free.
func (q *Queue) release(id int) {
	s := &q.slots[id]
	if s.bounced {
		q.bounced = false
	}
	*s = slot{}
	q.free = append(q.free, uint16(id))
}

// start gives the device what waits, and tells it.
func (q *Queue) start() {
	defer func() {
		if v := recover(); v != nil {
			q.mistake(v)
		}
	}()
	q.pump()
	q.c.Ring()
}

// pump gives the device what waits.
func (q *Queue) pump() {
	if len(q.waiting) == 0 {
		return
	}
	n := 0
	defer func() { // also if there is a mistake: what the device has does not wait
		k := copy(q.waiting, q.waiting[n:])
		clear(q.waiting[k:])
		q.waiting = q.waiting[:k]
	}()
	for n < len(q.waiting) && q.give(q.waiting[n]) {
		n++
	}
}

func size(data []dma.Segment) (n int) {
	for _, s := range data {
		n += len(s.Bytes)
	}
	return n
}

// gather copies a request's data to b, and scatter the other way.
func gather(r *block.Request, b []byte) {
	for _, s := range r.Data {
		b = b[copy(b, s.Bytes):]
	}
}

func scatter(r *block.Request, b []byte) {
	for _, s := range r.Data {
		b = b[copy(s.Bytes, b):]
	}
}
