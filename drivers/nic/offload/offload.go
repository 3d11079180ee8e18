// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package offload does in software what frames ask for, for receivers that cannot: the
// checksum ([nic.Frame.Sum]), and cutting a TCP segment into frames ([nic.Frame.Segment]).
// Headers are copied, since each frame has its own; data stays where it is. Nothing is
// allocated for a frame.
//
// # Threats
//
//	who sends does                        here is done
//	------------------------------------  ---------------------------------------
//	asks for a sum beyond the frame, or   the frame is lost, and counted
//	 behind [MaxHeaders]
//	says that TCP is where it is not,     the same; it is looked at in the copy
//	 or changes headers meanwhile
//	asks for very small pieces            as many frames as it takes, in batches of
//	                                      [Batch]: who takes frames from somebody
//	                                      bounds how small they may be
package offload

import "ringo/drivers/nic"

// Batch is how many frames are handed on at once, at most.
const Batch = 32

// Scratch is the memory in which frames are made. Who uses it has a lock.
type Scratch struct {
	head   [MaxHeaders]byte // of a segment that is cut
	heads  [Batch][MaxHeaders]byte
	frames [Batch]nic.Frame
	n      int // frames that are made, and not handed on
	emit   func([]nic.Frame)
}

// Resolve calls emit with what becomes of frames, in their order, for a receiver that
// takes those with Sum (checksum) and with Segment (segment, and only with checksum). The
// frames, and their bytes, are good until emit returns. It returns how many are lost,
// since what they ask for cannot be done.
func (s *Scratch) Resolve(frames []nic.Frame, checksum, segment bool, emit func([]nic.Frame)) (lost int) {
	s.n, s.emit = 0, emit
	from := 0
	for i := range frames {
		f := &frames[i]
		if !f.Sum && f.Segment == 0 || checksum && (segment || f.Segment == 0) {
			continue
		}
		s.pass(frames[from:i])
		from = i + 1
		if !s.one(f, checksum) {
			lost++
		}
	}
	s.pass(frames[from:])
	s.flush()
	s.emit = nil
	return lost
}

// pass hands frames on that stay as they are.
func (s *Scratch) pass(frames []nic.Frame) {
	if len(frames) > 0 {
		s.flush()
		s.emit(frames)
	}
}

func (s *Scratch) flush() {
	if s.n > 0 {
		s.emit(s.frames[:s.n])
		s.n = 0
	}
}

// next returns a frame to be made, with memory for its headers, which is its first piece.
func (s *Scratch) next(headers int) (f *nic.Frame, head []byte) {
	if s.n == Batch {
		s.flush()
	}
	f, head = &s.frames[s.n], s.heads[s.n][:headers]
	s.n++
	*f = nic.Frame{Pieces: append(f.Pieces[:0], head)}
	return f, head
}

// one does what a frame asks for, and reports whether that can be done.
func (s *Scratch) one(f *nic.Frame, checksum bool) bool {
	if f.Segment > 0 {
		return f.Sum && s.cut(f, checksum)
	}
	at := int(f.SumStart) + int(f.SumOffset)
	if at+2 > MaxHeaders || at+2 > f.Len() {
		return false
	}
	to, head := s.next(at + 2)
	f.CopyTo(head)
	to.Verified = f.Verified
	appendRange(to, f, len(head), f.Len()-len(head))
	var sum summed
	sum.frame(to, int(f.SumStart))
	put(head[at:], sum.sum())
	return true
}

// appendRange adds n bytes of from, which there are, to the pieces of f.
func appendRange(f, from *nic.Frame, at, n int) {
	for _, p := range from.Pieces {
		if at >= len(p) {
			at -= len(p)
			continue
		}
		p = p[at:]
		at = 0
		if p = p[:min(n, len(p))]; len(p) == 0 {
			return
		}
		f.Pieces = append(f.Pieces, p)
		n -= len(p)
	}
}
