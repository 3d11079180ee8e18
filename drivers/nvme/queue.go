// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"fmt"
	"sync"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// queue is an I/O queue.
type queue struct {
	d      *Controller
	vector uint32
	irq    bool // it has an interrupt, of that number

	// mu guards what follows. It is a leaf; Done is called without it.
	mu      sync.Mutex
	ring    ring
	live    bool // the device has the queue
	dead    error
	slot    []slot
	free    []uint16
	waiting []job
	bounce  dma.Segment // for data that no list of pages can describe
	bounced bool        // a slot has it
	done    []finished  // of one Service
}

// job is a request on its way, with the namespace that it is for.
type job struct {
	r     *block.Request
	n     *Disk
	tries int
}

// slot is a command that the device has.
type slot struct {
	job
	since   time.Time
	bounced bool
	aborted bool        // the device was asked to forget it
	list    dma.Segment // of addresses
}

// finished is a request whose Done is to be called.
type finished struct {
	r   *block.Request
	err error
}

// newQueue gets the memory of a queue.
func newQueue(d *Controller, id uint16) (*queue, error) {
	ring, err := newRing(d.Arena, d.Regs, id, d.entries, d.stride)
	if err != nil {
		return nil, err
	}
	q := &queue{d: d, ring: ring, slot: make([]slot, d.entries-1), free: make([]uint16, 0, d.entries-1)}
	lists, err := d.Arena.Alloc(len(q.slot)*listSize, dma.Page)
	if err != nil {
		return nil, err
	}
	for i := range q.slot {
		q.slot[i].list = lists.Slice(i*listSize, (i+1)*listSize)
		q.free = append(q.free, uint16(i))
	}
	q.done = make([]finished, 0, 2*len(q.slot))
	q.bounce, err = d.Arena.Alloc(maxTransfer, dma.Page)
	return q, err
}

// submit takes a request.
func (q *queue) submit(j job) {
	q.mu.Lock()
	if err := q.dead; err != nil {
		q.mu.Unlock()
		j.r.Done(j.r, err)
		return
	}
	if len(q.waiting) > 0 || !q.give(j) {
		q.waiting = append(q.waiting, j)
	}
	q.ring.ring()
	q.mu.Unlock()
}

// give gives a request to the device; it reports false if there is no room.
//
// Preconditions: q is locked; the caller rings.
func (q *queue) give(j job) bool {
	if !q.live || len(q.free) == 0 {
		return false
	}
	direct := fits(j.r.Data)
	if !direct && q.bounced {
		return false
	}
	id := q.free[len(q.free)-1]
	q.free = q.free[:len(q.free)-1]
	s := &q.slot[id]
	s.job, s.since, s.bounced, s.aborted = j, time.Now(), !direct, false
	c := command{namespace: j.n.id}
	switch r := j.r; r.Op {
	case block.Flush:
		c.op = opFlush
	case block.Discard:
		c.op, c.d11 = opDataset, deallocate
		clear(s.list.Bytes[:16])
		le.PutUint32(s.list.Bytes[4:], r.Blocks)
		le.PutUint64(s.list.Bytes[8:], r.Start)
		c.prp1 = s.list.Addr
	default:
		c.op = [...]uint8{block.Read: opRead, block.Write: opWrite, block.WriteZeroes: opWriteZeroes}[r.Op]
		c.d10, c.d11, c.d12 = uint32(r.Start), uint32(r.Start>>32), r.Blocks-1
		if r.FUA && r.Op != block.Read {
			c.d12 |= forceAccess
		}
		if r.Op != block.WriteZeroes {
			c.prp1, c.prp2 = q.data(s)
		}
	}
	q.ring.push(&c, id)
	return true
}

// data returns the addresses of a slot's data.
func (q *queue) data(s *slot) (first, second uint64) {
	if !s.bounced {
		return prp(s.r.Data, s.list)
	}
	q.bounced = true
	b := q.bounce.Slice(0, int(s.r.Blocks)<<s.n.shift)
	if s.r.Op == block.Write {
		gather(s.r, b.Bytes)
	}
	return prp([]dma.Segment{b}, s.list)
}

// Service takes completions and starts what waits. It is what the interrupt calls.
func (q *queue) Service() { q.service() }

// service reports whether there was anything. Two goroutines may be here at a time, the
// watch and the interrupt's: one of them has the list of what is done, and looks once
// more when it gives it back; the other one takes nothing then.
func (q *queue) service() (any bool) {
	for {
		q.mu.Lock()
		done := q.done
		for len(done) < cap(done) {
			c, ok := q.ring.next()
			if !ok {
				break
			}
			any = true
			if f, ok := q.complete(c); ok {
				done = append(done, f)
			}
		}
		q.pump()
		q.ring.ring()
		if len(done) == 0 {
			q.mu.Unlock()
			return any
		}
		q.done = nil
		q.mu.Unlock()
		for i := range done {
			done[i].r.Done(done[i].r, done[i].err)
			done[i] = finished{}
		}
		q.mu.Lock()
		q.done = done[:0]
		q.mu.Unlock()
	}
}

// complete ends the command that c is about. It reports false if there is none to tell.
func (q *queue) complete(c completion) (finished, bool) {
	if int(c.id) >= len(q.slot) || q.slot[c.id].r == nil {
		q.ring.broken("queue %d: an answer to command %d, which it was not given", q.ring.id, c.id)
		return finished{}, false
	}
	s := &q.slot[c.id]
	err := failure(c.status)
	j := s.job
	if s.bounced && err == nil && j.r.Op == block.Read {
		scatter(j.r, q.bounce.Bytes)
	}
	q.release(c.id)
	if err != nil && again(c.status) && j.tries < retries {
		j.tries++
		q.waiting = append(q.waiting, j)
		return finished{}, false
	}
	if err != nil {
		err = fmt.Errorf("blocks %d to %d: %w", j.r.Start, j.r.Start+max(uint64(j.r.Blocks), 1)-1, err)
	}
	return finished{j.r, err}, true
}

// again reports whether a command that failed may do better another time: neither the
// device nor the kind of failure says otherwise.
func again(s status) bool {
	return s&noRetry == 0 && s.kind() != typeMedia
}

// release makes a slot free.
func (q *queue) release(id uint16) {
	s := &q.slot[id]
	if s.bounced {
		q.bounced = false
	}
	s.job, s.bounced = job{}, false
	q.free = append(q.free, id)
}

// pump gives the device what waits.
func (q *queue) pump() {
	n := 0
	for n < len(q.waiting) && q.give(q.waiting[n]) {
		n++
	}
	if n > 0 {
		q.waiting = q.waiting[:copy(q.waiting, q.waiting[n:])]
	}
}

// open lets requests through to the device.
func (q *queue) open() {
	q.mu.Lock()
	q.live = true
	q.pump()
	q.ring.ring()
	q.mu.Unlock()
}

// withdraw takes back what the device has, for another time; requests that were with it
// too often are returned.
//
// Preconditions: the device is disabled, or cannot write memory.
func (q *queue) withdraw() (lost []finished) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.live = false
	var back []job
	for id := range q.slot {
		j := q.slot[id].job
		if j.r == nil {
			continue
		}
		q.release(uint16(id))
		if j.tries++; j.tries > retries {
			lost = append(lost, finished{j.r, fmt.Errorf("given up after %d resets: %w", retries, block.ErrTimeout)})
		} else {
			back = append(back, j)
		}
	}
	q.waiting = append(back, q.waiting...)
	return lost
}

// stop ends all requests with err, those to come as well.
//
// Preconditions: as of withdraw.
func (q *queue) stop(err error) {
	q.mu.Lock()
	q.live, q.dead = false, err
	var all []*block.Request
	for id := range q.slot {
		if r := q.slot[id].r; r != nil {
			all = append(all, r)
			q.release(uint16(id))
		}
	}
	for _, j := range q.waiting {
		all = append(all, j.r)
	}
	q.waiting = nil
	q.mu.Unlock()
	for _, r := range all {
		r.Done(r, err)
	}
}
