// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
	"ringo/drivers/nic/offload"
)

// headMost is how much of a frame is copied, since it is rewritten: what a packet's
// headers may be, or where segments are to be cut, a little more.
const headMost = header.EthernetMinimumSize + nat.HeadLen

// batch is frames that leave by cards. Their first piece is a copy.
type batch struct {
	sender
	frames []nic.Frame // of room for batchMost
	cards  [batchMost]*Interface
	heads  [batchMost][headMost]byte
}

// sender gives frames to cards, and does what a card cannot.
type sender struct {
	mu      sync.Mutex
	scratch offload.Scratch
	dev     nic.Device
	lost    int
	emit    func(frames []nic.Frame)
}

// send gives frames to a card. What it has no room for is lost: nobody waits here.
func (g *Gateway) send(s *sender, card *Interface, frames []nic.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := &card.link.info
	segment, simple := info.Segment && info.Checksum, true
	for i := range frames {
		f := &frames[i]
		if f.Segment != 0 && f.Len() > info.MaxSegmented {
			segment = false
		}
		simple = simple && (!f.Sum || info.Checksum) && (f.Segment == 0 || segment)
	}
	if simple {
		g.counts.lost.Add(uint64(len(frames) - card.dev.Send(frames)))
		return
	}
	if s.emit == nil {
		s.emit = func(frames []nic.Frame) { s.lost += len(frames) - s.dev.Send(frames) }
	}
	s.dev, s.lost = card.dev, 0
	bad := s.scratch.Resolve(frames, info.Checksum, segment, s.emit)
	g.counts.malformed.Add(uint64(bad))
	g.counts.lost.Add(uint64(s.lost))
}

// copied begins the next frame of a batch: f with a copy of its beginning, which is
// returned. The frame counts when it is kept.
func (b *batch) copied(f *nic.Frame) (out *nic.Frame, head []byte) {
	n := len(b.frames)
	out = &b.frames[:n+1][n]
	pieces := out.Pieces[:0]
	*out = *f
	head = b.heads[n][:0]
	pieces = append(pieces, nil)
	for _, p := range f.Pieces {
		k := min(len(p), headMost-len(head))
		if head = append(head, p[:k]...); k < len(p) {
			pieces = append(pieces, p[k:])
		}
	}
	pieces[0] = head
	out.Pieces = pieces
	return out, head
}

// keep lets the frame that copied has made be sent to a card with the others.
func (g *Gateway) keep(b *batch, card *Interface) {
	n := len(b.frames)
	b.frames, b.cards[n] = b.frames[:n+1], card
	if n+1 == batchMost {
		g.flush(b)
	}
}

// flush sends a batch, those together that leave by the same card.
func (g *Gateway) flush(b *batch) {
	for from := 0; from < len(b.frames); {
		to := from + 1
		for to < len(b.frames) && b.cards[to] == b.cards[from] {
			to++
		}
		g.send(&b.sender, b.cards[from], b.frames[from:to])
		from = to
	}
	for i := range b.frames {
		clear(b.frames[i].Pieces) // they are somebody else's
	}
	b.frames = b.frames[:0]
}

// outward and inward are what each direction works with. Who has mu is the only one.
type outward struct {
	mu sync.Mutex
	batch
	second  time.Duration
	answers int
	// An answer, and its frame.
	reply    [header.EthernetMinimumSize + 576]byte
	one      [1][]byte
	answered [1]nic.Frame
}

type inward struct {
	mu sync.Mutex
	batch
}
