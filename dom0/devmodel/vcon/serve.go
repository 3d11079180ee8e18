// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcon

import (
	"sync/atomic"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/virtio/ring"
)

// waker wakes a queue, if it is served. It may be called with the device locked, so the
// device is not prompt (vpci.Kind).
type waker struct{ q atomic.Pointer[vpci.Queue] }

func (w *waker) wake() {
	if q := w.q.Load(); q != nil {
		q.Wake()
	}
}

// server serves a queue, and is what its waker wakes.
type server struct {
	q    *vpci.Queue
	do   func(q *vpci.Queue) vpci.Want
	from *waker // nil: only the driver wakes it
}

// open begins to serve a queue.
func (d *Device) open(q *vpci.Queue) vpci.Server {
	s := &server{q: q}
	switch p, receive := d.of(q.Index); {
	case p != nil && receive:
		if q.Features&featPorts == 0 {
			d.mu.Lock()
			p.plain = true
			d.mu.Unlock()
		}
		s.do, s.from = p.give, &p.receive
	case p != nil:
		x := &sender{p: p}
		x.piece = x.write
		s.do, s.from = x.take, &p.send
	case q.Index == queueControl:
		s.do, s.from = d.tell, &d.news
	case q.Index == queueControl+1:
		s.do = d.listen
	default:
		return nil // of a console that there is not
	}
	if s.from != nil {
		s.from.q.Store(q)
	}
	return s
}

// Serve implements [vpci.Server].
func (s *server) Serve() vpci.Want {
	w := s.do(s.q)
	s.q.Tell()
	return w
}

// End implements [vpci.Server].
func (s *server) End() {
	if s.from != nil {
		s.from.q.Store(nil)
	}
}

// give gives the guest what is for it.
func (p *Port) give(q *vpci.Queue) vpci.Want {
	var b [512]byte
	for range batch {
		n, drops := p.peek(b[:])
		if n == 0 {
			return vpci.Woken
		}
		r, ok := q.Next()
		if !ok {
			return vpci.Notified
		}
		data := b[:n]
		for i := range r.Buffers {
			if !r.Buffers[i].Write {
				return vpci.Broken
			}
			if len(data) > 0 {
				q.Bytes(r.Buffers[i], func(to []byte) { data = data[copy(to, data):] })
			}
		}
		n -= len(data)
		p.taken(n, drops)
		q.Done(r, uint32(n))
	}
	return vpci.Again
}

// sender is a queue of what the guest sends. All of it is its goroutine's.
type sender struct {
	p     *Port
	piece func([]byte) // write, made once

	r    ring.Request // that is sent
	held bool         // there is one
	at   uint64       // how much of it was taken

	skip uint64 // of the buffer that is looked at, or of those behind it
	left int    // bytes that may be taken before others run
	full bool   // the sink has no room
}

// take takes what the guest sends.
func (s *sender) take(q *vpci.Queue) vpci.Want {
	s.left, s.full = piece, false
	for range batch {
		if !s.held {
			r, ok := q.Next()
			if !ok {
				return vpci.Notified
			}
			s.r, s.held, s.at = r, true, 0
		}
		size := uint64(0)
		for i := range s.r.Buffers {
			if s.r.Buffers[i].Write {
				return vpci.Broken
			}
			size += uint64(s.r.Buffers[i].Len)
		}
		if s.p.listens() {
			s.pass(q)
		} else {
			s.at = size
		}
		switch {
		case s.at == size:
			s.held = false
			q.Done(s.r, 0)
		case s.full:
			return vpci.Woken
		case s.left == 0:
			return vpci.Again
		}
	}
	return vpci.Again
}

// pass gives the sink what it has room for of the request, from at on.
func (s *sender) pass(q *vpci.Queue) {
	s.skip = s.at
	for i := range s.r.Buffers {
		b := s.r.Buffers[i]
		if s.skip >= uint64(b.Len) {
			s.skip -= uint64(b.Len)
			continue
		}
		if s.left == 0 || s.full {
			return
		}
		b.Addr, b.Len = b.Addr+s.skip, min(b.Len-uint32(s.skip), uint32(s.left))
		s.skip = 0
		q.Bytes(b, s.piece)
	}
}

// write gives the sink a piece of the guest's memory.
func (s *sender) write(b []byte) {
	if s.full {
		return
	}
	n := s.p.sink.Write(b)
	s.at, s.left, s.full = s.at+uint64(n), s.left-n, n < len(b)
}
