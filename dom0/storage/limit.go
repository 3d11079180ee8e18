// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"ringo/dom0/config"
	"ringo/drivers/block"
)

// bucket says when the next of what a rate counts may begin. Time is in ns. Next is when
// all that has begun would have been paid for, one after the other: a bucket that leaks,
// as the generic cell rate algorithm has it (ITU-T I.371).
type bucket struct {
	rate  uint64 // units a second, 0: any number
	burst int64  // how long before next one may begin
	next  int64
}

// set changes the rate, and how many units may begin at once; 0 is a tenth of a second's.
func (b *bucket) set(rate, burst uint64) {
	if rate != b.rate {
		b.next = 0
	}
	if b.rate = rate; rate == 0 {
		return
	}
	b.burst = int64(time.Second / 10)
	if burst != 0 {
		b.burst = cost(burst, rate)
	}
	b.burst = max(b.burst, 1)
}

// wait returns how long it takes until another may begin. What has begun may have been
// more than there was room for, so a large one needs no large burst.
func (b *bucket) wait(now int64) int64 {
	if b.rate == 0 {
		return 0
	}
	return max(b.next-now-b.burst+1, 0)
}

// take takes n units.
func (b *bucket) take(n uint64, now int64) {
	if b.rate != 0 {
		b.next = max(b.next, now) + cost(n, b.rate)
	}
}

// cost is how many ns n units take at a rate, a century at most.
func cost(n, rate uint64) int64 {
	const most = 100 * 365 * 24 * int64(time.Hour)
	hi, lo := bits.Mul64(n, uint64(time.Second))
	if hi >= rate {
		return most
	}
	q, _ := bits.Div64(hi, lo, rate)
	return int64(min(q, uint64(most)))
}

// errDropped ends requests that waited, when nobody waits for them any more.
var errDropped = fmt.Errorf("not begun: %w", block.ErrGone)

// limiter is a disk whose requests wait when there are too many. They wait in lists that
// are made of themselves, one for each queue, which have turns. A timer's goroutine gives
// the disk what has waited long enough.
type limiter struct {
	block.Device
	epoch  time.Time
	failed func(v any) // is told of panics
	on     atomic.Bool // there are limits

	mu    sync.Mutex // guards what follows
	by    config.Disk
	ops   bucket
	bytes bucket
	lines []line
	count int // requests that wait
	turn  int // of lines
	timer *time.Timer
}

// line is requests that wait, linked by their Driver fields, which a driver sets when it
// gets them.
type line struct{ first, last *block.Request }

func newLimiter(d block.Device, c *config.Disk) *limiter {
	l := &limiter{Device: d, epoch: time.Now(), failed: func(any) {}, lines: make([]line, d.Queues())}
	l.timer = time.AfterFunc(time.Hour, l.serve)
	l.timer.Stop()
	l.set(c)
	return l
}

// set makes the limits those of a configuration. Requests that wait do so by the new ones.
func (l *limiter) set(c *config.Disk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by = *c
	l.ops.set(uint64(c.IOPS), uint64(c.IOPSBurst))
	l.bytes.set(c.BPS.Bytes, c.BPSBurst.Bytes)
	l.on.Store(c.IOPS != 0 || c.BPS.Bytes != 0)
	if l.count > 0 {
		l.timer.Reset(0)
	}
}

// Submit implements [block.Device].
func (l *limiter) Submit(queue int, r *block.Request) {
	if l.on.Load() && l.waits(queue, r) {
		return
	}
	l.Device.Submit(queue, r)
}

// waits pays for a request, or has it wait.
func (l *limiter) waits(queue int, r *block.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.epoch).Nanoseconds()
	if l.count == 0 && l.left(now) == 0 {
		l.pay(r, now)
		return false
	}
	q := &l.lines[uint(queue)%uint(len(l.lines))]
	r.Driver = nil
	if q.first == nil {
		q.first = r
	} else {
		q.last.Driver = r
	}
	q.last = r
	if l.count++; l.count == 1 {
		l.timer.Reset(time.Duration(l.left(now)))
	}
	return true
}

// left is how many ns the next request has to wait.
func (l *limiter) left(now int64) int64 { return max(l.ops.wait(now), l.bytes.wait(now)) }

// pay takes what a request needs.
func (l *limiter) pay(r *block.Request, now int64) {
	l.ops.take(1, now)
	if r.Op <= block.Write {
		l.bytes.take(uint64(r.Blocks)*uint64(l.Info().BlockSize), now)
	}
}

// pop returns a request that has waited long enough, and its queue; nil: none has, and
// the timer is set if one waits.
func (l *limiter) pop() (r *block.Request, queue int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 {
		return nil, 0
	}
	now := time.Since(l.epoch).Nanoseconds()
	if n := l.left(now); n > 0 {
		l.timer.Reset(time.Duration(n))
		return nil, 0
	}
	for l.lines[l.turn].first == nil {
		l.turn = (l.turn + 1) % len(l.lines)
	}
	queue, l.turn = l.turn, (l.turn+1)%len(l.lines)
	r = l.lines[queue].shift()
	l.count--
	l.pay(r, now)
	return r, queue
}

// shift takes the first one out.
func (q *line) shift() *block.Request {
	r := q.first
	q.first, _ = r.Driver.(*block.Request)
	r.Driver = nil
	return r
}

// serve gives the disk what has waited long enough.
func (l *limiter) serve() {
	for {
		r, queue := l.pop()
		if r == nil {
			return
		}
		l.give(queue, r)
	}
}

// give gives the disk a request.
func (l *limiter) give(queue int, r *block.Request) {
	defer rescue(r, l.failed)
	l.Device.Submit(queue, r)
}

// drop ends the requests of a queue that wait.
func (l *limiter) drop(queue int) {
	l.mu.Lock()
	q := &l.lines[uint(queue)%uint(len(l.lines))]
	all := *q
	*q = line{}
	for r := all.first; r != nil; r, _ = r.Driver.(*block.Request) {
		l.count--
	}
	l.mu.Unlock()
	for all.first != nil {
		r := all.shift()
		r.Done(r, errDropped)
	}
}

// Limit changes how much of the disk its guest may use, to what a configuration says.
func (d *Disk) Limit(c *config.Disk) { d.limit.set(c) }

// Limits returns the configuration that says how much of the disk its guest may use.
func (d *Disk) Limits() config.Disk {
	d.limit.mu.Lock()
	defer d.limit.mu.Unlock()
	return d.limit.by
}

// Drop ends, with an error, the requests of a queue that wait for their turn.
func (d *Disk) Drop(queue int) { d.limit.drop(queue) }
