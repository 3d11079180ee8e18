// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"encoding/binary"

	"ringo/drivers/nic"
	"ringo/drivers/nic/offload"
)

var be = binary.BigEndian

// headLen is how much of a frame is copied, in bytes without a tag: Ethernet's header,
// that of IP with options, and that of TCP with options or the options of a neighbour
// solicitation.
const headLen = 160

// item is a frame that is passed on. Its tag is taken off, and put on again by shape.
type item struct {
	frame  nic.Frame
	vlan   uint16
	tag    uint16 // priority and eligibility, as they stand in a tag
	flood  uint8
	passed bool // somebody gets it
	tagged bool // frame has a tag now
	to     *Port
	kind   int // of packet; -1: nobody has looked
	packet packet

	// head is the beginning of the frame without a tag: the sender's bytes, or in buf,
	// where it begins at byte at.
	head []byte
	at   int // 0: the sender's
	buf  [2*nic.VLANLen + headLen]byte
}

// Where frames go.
const (
	toAll     = 1 + iota // a group
	toUnknown            // an address that is not known
)

func (it *item) destination() uint64 { return be.Uint64(it.head) >> 16 }
func (it *item) source() uint64      { return be.Uint64(it.head[4:]) & macMask }

// open makes an item of a frame. It returns the counter of what is wrong with it, or 0.
func (w *work) open(it *item, f *nic.Frame) int {
	p := w.from
	size := f.Len()
	if size < nic.HeaderLen || size > frameMost {
		return malformed
	}
	it.frame, it.kind, it.head, it.flood, it.to, it.passed, it.tagged, it.at, it.tag = *f, -1, nil, 0, nil, false, false, 0, 0
	if p.o.Uplink || p.o.own {
		it.head = f.Pieces[0]
	}
	// A first piece is not shorter than what is looked at, or it is copied.
	if n := min(size, headLen); len(it.head) < n {
		w.copyHead(it, f)
	} else {
		it.head = it.head[:n]
	}
	kind := be.Uint16(it.head[12:])
	it.vlan = p.tags.plain
	if isTag(kind) {
		if kind != typeTag || size < nic.HeaderLen+nic.VLANLen {
			return untagged
		}
		if !w.untag(it, f) {
			return untagged
		}
	}
	if it.vlan == noVLAN {
		return untagged
	}
	if it.source()>>40&1 != 0 || it.source() == 0 || f.Sum && !it.sane() || f.Segment > 0 && !f.Sum {
		return malformed
	}
	return 0
}

// piecesMost is how many frames a segment may become.
const piecesMost = 512

// sane reports whether what a frame asks for can be done: whoever receives it, a device of
// the machine perhaps, need not ask.
func (it *item) sane() bool {
	f, size := &it.frame, it.frame.Len()
	if f.SumStart < nic.HeaderLen || int(f.SumStart)+int(f.SumOffset)+2 > size {
		return false
	}
	if f.Segment == 0 {
		return true
	}
	_, n, ok := offload.Headers(it.head, int(f.SumStart), f.V6)
	return ok && n == int(f.Headers) && n < size && (size-n)/int(f.Segment) < piecesMost
}

// copyHead copies the beginning of a frame, and makes its pieces of that and the rest.
func (w *work) copyHead(it *item, f *nic.Frame) {
	const at = nic.VLANLen
	first := len(w.pieces)
	w.pieces = append(w.pieces, nil)
	n := 0
	for _, b := range f.Pieces {
		if n < headLen {
			k := copy(it.buf[at+n:at+headLen], b)
			n, b = n+k, b[k:]
		}
		if len(b) > 0 {
			w.pieces = append(w.pieces, b)
		}
	}
	it.at, it.head = at, it.buf[at:at+n]
	it.frame.Pieces = w.pieces[first:len(w.pieces):len(w.pieces)]
	it.frame.Pieces[0] = it.head
}

// untag takes the tag off, and reports whether the port allows it.
func (w *work) untag(it *item, f *nic.Frame) bool {
	if it.at == 0 {
		w.copyHead(it, f)
	}
	tci := be.Uint16(it.head[14:])
	if be.Uint16(it.head[12:]) != typeTag || isTag(be.Uint16(it.head[16:])) {
		return false // two tags are a way into the VLAN of the second
	}
	if v := tci & vlanMask; v != 0 { // 0 has a priority only
		if !w.from.tags.tagged(v) {
			return false
		}
		it.vlan = v
	}
	it.tag = tci &^ vlanMask
	copy(it.head[nic.VLANLen:], it.head[:12])
	it.at += nic.VLANLen
	it.head = it.head[nic.VLANLen:]
	it.frame.Pieces[0] = it.head
	move(&it.frame, -nic.VLANLen)
	return true
}

// shape makes the frame as it is with or without a tag.
func (w *work) shape(it *item, tagged bool) {
	if it.tagged == tagged {
		return
	}
	it.tagged = tagged
	if !tagged {
		copy(it.head, it.buf[it.at-nic.VLANLen:][:12])
		it.frame.Pieces[0] = it.head
		move(&it.frame, -nic.VLANLen)
		return
	}
	if it.at == 0 {
		f := it.frame
		w.copyHead(it, &f)
	}
	b := it.buf[it.at-nic.VLANLen : it.at+len(it.head)]
	copy(b, it.head[:12])
	be.PutUint16(b[12:], typeTag)
	be.PutUint16(b[14:], it.tag|it.vlan)
	it.frame.Pieces[0] = b
	move(&it.frame, nic.VLANLen)
}

// move adds to the places that a frame's offloads speak of. Those that were not behind
// the tag are beyond the frame then.
func move(f *nic.Frame, by int) {
	if f.Sum {
		f.SumStart += uint16(by)
	}
	if f.Segment > 0 {
		f.Headers += uint16(by)
	}
}
