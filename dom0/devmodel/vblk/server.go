// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"sync"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// server serves a queue, in turn, but for what mu guards. The queue has a hold for each
// request that the disk has.
type server struct {
	d      *device
	q      *vpci.Queue
	free   []*slot
	made   int           // slots
	starve []*slot       // that wait for memory to pass through
	pages  []dma.Segment // that nobody has
	held   *slot         // that the disk has failed, and is to try again
	round  uint64        // of device.Stop, when it last tried

	mu    sync.Mutex
	done  *slot // the disk is done with them, the last first
	looks bool  // Serve will look for them
}

func (d *device) open(q *vpci.Queue) vpci.Server {
	return &server{d: d, q: q, pages: append([]dma.Segment(nil), d.bounce[q.Index]...)}
}

// Serve implements [vpci.Server].
func (s *server) Serve() vpci.Want {
	s.begin()
	for range rounds {
		s.finish()
		s.again()
		for _, x := range s.hungry() {
			s.submit(x)
		}
		if !s.take() {
			return vpci.Broken
		}
		if !s.idle() {
			continue // the disk is fast
		}
		s.q.Tell()
		if !s.vacant() { // nobody looks for more, whatever the driver says
			return vpci.Woken
		}
		return vpci.Notified
	}
	s.q.Tell()
	return vpci.Again
}

// begin says that Serve looks for what has ended by itself, until idle.
func (s *server) begin() {
	s.mu.Lock()
	s.looks = true
	s.mu.Unlock()
}

// idle reports whether nothing has ended since finish.
func (s *server) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks = s.done != nil
	return !s.looks
}

// End implements [vpci.Server]. What the disk has ends as ever, and is not looked at; what
// it has wait is dropped.
func (s *server) End() {
	if s.d.Drop != nil {
		s.d.Drop(s.q.Index % s.d.Disk.Queues())
	}
}

// vacant reports whether another request can be taken.
func (s *server) vacant() bool { return len(s.free) > 0 || s.made < slots }

// take takes requests as long as there are some, and slots for them, but not for ever. It
// reports whether the queue is sound.
func (s *server) take() bool {
	for n := 0; n < slots && s.vacant(); n++ {
		req, ok := s.q.Next()
		if !ok {
			return s.q.Broken() == nil
		}
		x := s.slot()
		h, size, ok := x.parse(s.q.Device, req)
		if !ok {
			return false
		}
		if status, done := x.begin(&h, size); done {
			s.answer(x, status)
		} else {
			s.submit(x)
		}
	}
	return true
}

// slot returns a free slot, of which there is one.
func (s *server) slot() *slot {
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		return x
	}
	s.made++
	x := &slot{s: s}
	x.r.Done = x.ended
	return x
}

// through says that the driver does without a cache.
func (s *server) through() bool {
	return s.q.Features&featFlush == 0 || s.q.Features&featConfigWCE != 0 && !s.d.cached.Load()
}

// submit gives the disk the next part of a request.
func (s *server) submit(x *slot) {
	if !x.part() {
		s.starve = append(s.starve, x)
		return
	}
	if x.err != nil {
		s.answer(x, statusIOErr)
		return
	}
	s.give(x)
}

// give gives the disk a request.
func (s *server) give(x *slot) {
	s.q.Hold() // until the disk says that it has ended, also if it panics now
	s.d.Disk.Submit(s.q.Index%s.d.Disk.Queues(), &x.r)
}

// ended is what the disk calls, on a goroutine of its own, or before Submit returns.
func (x *slot) ended(_ *block.Request, err error) {
	s := x.s
	s.mu.Lock()
	x.err = err
	x.link, s.done = s.done, x
	looks := s.looks
	s.mu.Unlock()
	s.q.Release()
	if !looks {
		s.q.Wake()
	}
}

// ended returns what the disk is done with.
func (s *server) ended() *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.done
	s.done = nil
	return x
}

// finish gives back what the disk is done with, or goes on with it.
func (s *server) finish() {
	for x := s.ended(); x != nil; {
		next := x.link
		if x.err != nil && s.holds(x) {
			x = next
			continue
		}
		if len(x.pages) > 0 {
			if x.r.Op == block.Read && x.err == nil {
				copySegments(x.data, x.pass)
			}
			s.pages = append(s.pages, x.pages...)
		}
		x.next, x.left = x.next+uint64(x.r.Blocks), x.left-min(x.left, uint64(x.r.Blocks))
		switch {
		case x.err != nil:
			s.answer(x, statusIOErr)
		case x.left > 0:
			s.submit(x)
		default:
			s.answer(x, statusOK)
		}
		x = next
	}
}

// answer gives a request back.
func (s *server) answer(x *slot, status byte) {
	n := uint32(1)
	if status == statusOK {
		n += x.size
	}
	x.status[0] = status
	s.q.Done(x.req, n)
	s.free = append(s.free, x)
}

// hungry returns those that waited for memory, if there is some.
func (s *server) hungry() []*slot {
	if len(s.starve) == 0 || len(s.pages) == 0 {
		return nil
	}
	h := s.starve
	s.starve = nil
	return h
}

// room is how many bytes there are to pass through.
func (s *server) room() int { return len(s.pages) * dma.Page }

// borrow takes memory for size bytes, which there is.
func (s *server) borrow(to []dma.Segment, size uint64) []dma.Segment {
	at := len(s.pages) - int((size+dma.Page-1)/dma.Page)
	to = append(to, s.pages[at:]...)
	s.pages = s.pages[:at]
	return to
}
