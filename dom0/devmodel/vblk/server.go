// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"sync"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// server serves a queue. Its fields are its goroutine's, but for what mu guards.
type server struct {
	d      *device
	q      *vpci.Queue
	free   []*slot
	made   int           // slots
	busy   int           // requests that the disk has
	starve []*slot       // that wait for memory to pass through
	pages  []dma.Segment // that nobody has
	wake   chan struct{}

	mu   sync.Mutex
	done *slot // the disk is done with them, the last first
}

// serve is the goroutine of a queue.
func (d *device) serve(q *vpci.Queue) {
	s := &server{d: d, q: q, pages: append([]dma.Segment(nil), d.bounce[q.Index]...), wake: make(chan struct{}, 1)}
	defer s.settle()
	q.Busy()
	for {
		select {
		case <-q.Stop:
			return
		default:
		}
		again := s.finish()
		for _, x := range s.hungry() {
			s.submit(x)
		}
		more, ok := s.take()
		if !ok {
			return
		}
		if again || more {
			continue
		}
		q.Tell()
		// With all slots in use nobody looks for more, whatever the driver says.
		if s.vacant() && !q.Sleep() {
			q.Busy()
			continue
		}
		select {
		case <-q.Stop:
			return
		case <-q.Kicked:
			q.Busy()
		case <-s.wake:
		}
	}
}

// settle waits until the disk has nothing of the queue any more.
func (s *server) settle() {
	if s.busy > 0 && s.d.Drop != nil {
		s.d.Drop(s.q.Index % s.d.Disk.Queues())
	}
	for s.busy > 0 {
		for x := s.ended(); x != nil; x = x.link {
			s.busy--
		}
		if s.busy > 0 {
			<-s.wake
		}
	}
}

// vacant reports whether another request can be taken.
func (s *server) vacant() bool { return len(s.free) > 0 || s.made < slots }

// take takes requests as long as there are some, and slots for them. It reports whether
// there was one, and whether the queue is sound.
func (s *server) take() (any, ok bool) {
	for s.vacant() {
		req, ok := s.q.Next()
		if !ok {
			return any, s.q.Broken() == nil
		}
		any = true
		x := s.slot()
		h, size, ok := x.parse(s.q.Device, req)
		if !ok {
			s.q.Fail()
			return any, false
		}
		if status, done := x.begin(&h, size); done {
			s.answer(x, status)
		} else {
			s.submit(x)
		}
	}
	return any, true
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
	s.d.Disk.Submit(s.q.Index%s.d.Disk.Queues(), &x.r)
	s.busy++ // a disk that panics has not taken it
}

// ended is what the disk calls, on a goroutine of its own.
func (x *slot) ended(_ *block.Request, err error) {
	s := x.s
	s.mu.Lock()
	x.err = err
	x.link, s.done = s.done, x
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
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

// finish gives back what the disk is done with, or goes on with it. It reports whether
// there was anything.
func (s *server) finish() (any bool) {
	for x := s.ended(); x != nil; {
		next := x.link
		any = true
		s.busy--
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
	return any
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
