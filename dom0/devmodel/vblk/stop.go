// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"errors"
	"sync/atomic"

	"ringo/drivers/block"
)

// Stop has requests that the disk has failed wait, and the guest learns nothing of them,
// until the disk is asked for them again. Failed is told why, once for each time; it must not
// block.
type Stop struct {
	Failed func(err error)

	round atomic.Uint64 // counts calls of Again
	told  atomic.Uint64 // one more than the round that Failed was last called in
}

// Again gives the disk what it has failed once more, when the queues are kicked.
func (s *Stop) Again() { s.round.Add(1) }

// holds keeps a request that the disk has failed, if it is to wait. What the guest should
// not have asked for is its own fault.
func (s *server) holds(x *slot) bool {
	stop := s.d.Stop
	if stop == nil || errors.Is(x.err, block.ErrInvalid) || errors.Is(x.err, block.ErrReadOnly) {
		return false
	}
	now := stop.round.Load()
	if s.held == nil {
		s.round = now
	}
	x.link, s.held = s.held, x
	if stop.told.Swap(now+1) != now+1 {
		stop.Failed(x.err)
	}
	return true
}

// again gives the disk what it has failed, if it is to try again.
func (s *server) again() {
	if s.held == nil {
		return
	}
	now := s.d.Stop.round.Load()
	if now == s.round {
		return
	}
	s.round = now
	all := s.held
	s.held = nil
	for x := all; x != nil; {
		next := x.link
		x.err = nil
		if x.r.Op != block.Flush {
			x.r.Start = x.next // what lies below has changed it
		}
		s.give(x)
		x = next
	}
}
