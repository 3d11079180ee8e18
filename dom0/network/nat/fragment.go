// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

// Of a packet in pieces only the first one has ports. Where it goes is kept for the others
// for a while; those that come before it are lost.

const (
	pieceSets  = 64
	pieceWays  = 4
	pieceShare = 2 // of a set, a guest's at most
	// pieceTime is how long the others may take, in seconds: as long as common systems
	// wait for them.
	pieceTime = 30
)

// piece is where the pieces of a packet go.
type piece struct {
	src, dst uint32 // as they come
	id       uint16
	proto    uint8
	used     bool
	end      side // that is rewritten
	addr     uint32
	guest    uint32
	last     int32
}

func (t *Table) pieceSet(h *header) *[pieceWays]piece {
	return &t.pieces[t.hash(uint64(h.src)<<32|uint64(h.dst), uint64(h.id)<<8|uint64(h.proto))%pieceSets]
}

func (p *piece) is(h *header, end side) bool {
	return p.used && p.src == h.src && p.dst == h.dst && p.id == h.id && p.proto == h.proto && p.end == end
}

// remember keeps where a first piece goes: in the place of the same packet, or a free one,
// or the oldest one of a guest that has its share, or of all.
func (t *Table) remember(h *header, end side, addr, guest uint32) {
	set := t.pieceSet(h)
	best, mine, oldest := -1, 0, -1
	for i := range set {
		p := &set[i]
		if p.is(h, end) {
			*p = piece{h.src, h.dst, h.id, h.proto, true, end, addr, guest, t.now}
			return
		}
		if !p.used || t.now-p.last >= pieceTime {
			best = i
			continue
		}
		if p.guest == guest {
			if mine++; oldest < 0 || p.last < set[oldest].last {
				oldest = i
			}
		}
	}
	if mine >= pieceShare {
		best = oldest
	}
	if best < 0 {
		best = 0
		for i := range set {
			if set[i].last < set[best].last {
				best = i
			}
		}
	}
	set[best] = piece{h.src, h.dst, h.id, h.proto, true, end, addr, guest, t.now}
}

// pass translates a piece that is not the first. From outside those that nobody knows may
// be dom0's own.
func (t *Table) pass(b []byte, h *header, end side) Verdict {
	set := t.pieceSet(h)
	for i := range set {
		p := &set[i]
		if !p.is(h, end) || t.now-p.last >= pieceTime {
			continue
		}
		// A piece may not lie over the flags that the first one has (RFC 1858).
		if h.proto == tcp && be.Uint16(b[6:])&0x1fff == 1 || b[8] <= 1 {
			break
		}
		readdress(b, end, p.addr)
		return Pass
	}
	if end == destination {
		return Local
	}
	t.count.Fragments++
	return Drop
}
