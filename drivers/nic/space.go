// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nic

import "ringo/drivers/dma"

// spaceAlign is what pieces of a Space are aligned to, in bytes: a cache line.
const spaceAlign = 64

// Space is memory from which frames are sent. Pieces are handed out in a circle, each
// contiguous, and may come back in any order. Who uses it has a lock.
type Space struct {
	mem        dma.Segment
	from, to   int     // what is in use, in bytes since the beginning; to-from <= len
	list       []piece // what is in use, in the order of its handing out
	first, end int     // of list, counted since the beginning
}

// piece is a part of a Space that ends at byte end.
type piece struct {
	end  int
	free bool
}

// NewSpace returns a space in mem with at most pieces pieces at a time.
//
// Preconditions: the length of mem is a multiple of 64.
func NewSpace(mem dma.Segment, pieces int) *Space {
	return &Space{mem: mem, list: make([]piece, 2*pieces)} // each may need one to get to the beginning
}

// Get returns n bytes, contiguous, and the ticket to give them back with. ok is false if
// there is no room now.
func (s *Space) Get(n int) (seg dma.Segment, ticket int, ok bool) {
	if s.first == s.end {
		s.Clear() // so that there is room for anything that fits
	}
	size := len(s.mem.Bytes)
	need := (n + spaceAlign - 1) &^ (spaceAlign - 1)
	at, skip := s.to%size, 0
	if at+need > size {
		skip = size - at
		at = 0
	}
	if n <= 0 || s.to+skip+need-s.from > size || s.end+2-s.first > len(s.list) {
		return seg, 0, false
	}
	if skip > 0 {
		s.push(skip)
		s.list[(s.end-1)%len(s.list)].free = true
		s.reclaim()
	}
	s.push(need)
	return s.mem.Slice(at, at+n), s.end - 1, true
}

func (s *Space) push(n int) {
	s.to += n
	s.list[s.end%len(s.list)] = piece{end: s.to}
	s.end++
}

// Put gives back what a ticket stands for.
func (s *Space) Put(ticket int) {
	if ticket < s.first || ticket >= s.end {
		panic("nic: a piece is given back twice")
	}
	s.list[ticket%len(s.list)].free = true
	s.reclaim()
}

func (s *Space) reclaim() {
	for s.first < s.end && s.list[s.first%len(s.list)].free {
		s.from = s.list[s.first%len(s.list)].end
		s.first++
	}
}

// Clear takes everything back.
func (s *Space) Clear() {
	s.from, s.to, s.first, s.end = 0, 0, 0, 0
}
