// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package sched is a first-come queue until the real scheduler lands; whoever
// lands it deletes this file and adapts hv/internal/part and hv/internal/run.
package sched

import "sync"

// Entity is something to run.
type Entity struct {
	Owner  any
	queued bool
	next   *Entity
}

// Scheduler is a queue.
type Scheduler struct {
	mu    sync.Mutex
	head  *Entity
	slice uint64
	idle  [64]bool
	n     int
}

// New makes a queue for n CPUs.
func New(n int, hz uint64) *Scheduler { return &Scheduler{slice: hz / 100, n: n} }

// Init prepares e.
func Init(e *Entity, owner any, aff uint64) { e.Owner = owner }

// Pick takes the first.
func (s *Scheduler) Pick(cpu int, now uint64) (*Entity, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.head
	if e == nil {
		s.idle[cpu] = true
		return nil, ^uint64(0)
	}
	s.idle[cpu] = false
	s.head = e.next
	e.next, e.queued = nil, false
	return e, now + s.slice
}
func (s *Scheduler) push(e *Entity) int {
	if e.queued {
		return -1
	}
	e.queued = true
	p := &s.head
	for *p != nil {
		p = &(*p).next
	}
	*p = e
	for i := range s.idle {
		if s.idle[i] {
			s.idle[i] = false
			return i
		}
	}
	return -1
}

// Put gives back.
func (s *Scheduler) Put(cpu int, e *Entity, now uint64, runnable bool) {
	if runnable {
		s.mu.Lock()
		s.push(e)
		s.mu.Unlock()
	}
}

// Wake queues e.
func (s *Scheduler) Wake(e *Entity, now uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.push(e)
}

// Remove forgets e.
func (s *Scheduler) Remove(e *Entity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := &s.head; *p != nil; p = &(*p).next {
		if *p == e {
			*p = e.next
			e.next, e.queued = nil, false
			return
		}
	}
}

// SetWeight does nothing yet.
func (s *Scheduler) SetWeight(e *Entity, w uint32) {}

// SetCap does nothing yet.
func (s *Scheduler) SetCap(e *Entity, c uint32) {}
