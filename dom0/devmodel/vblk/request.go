// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"encoding/binary"
	"errors"

	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/virtio/ring"
)

// Types of requests, and what their status says (VIRTIO 1.2, "Device Operation" of the
// block device).
const (
	typeIn          = 0
	typeOut         = 1
	typeFlush       = 4
	typeGetID       = 8
	typeDiscard     = 11
	typeWriteZeroes = 13

	statusOK          = 0
	statusIOErr       = 1
	statusUnsupported = 2

	headerLen = 16
	rangeLen  = 16 // of a discard
	serialLen = 20
	flagUnmap = 1 // of a range
)

// maxPieces is how many pieces a request is made of: those of data, and one that begins
// in the header's and one that ends in the status's buffer.
const maxPieces = segments + 2

// maxData is the most data of a request, in bytes.
const maxData = 1 << 30

// errRange is a request for what is not on the disk, or not in whole blocks.
var errRange = errors.New("no such range")

// slot is a request under way.
type slot struct {
	s      *server
	req    ring.Request
	r      block.Request
	status []byte        // where its status belongs
	bufs   []ring.Buffer // data that is still to be moved
	data   []dma.Segment // of the part that the disk has
	pages  []dma.Segment // where that passes through, if it does
	pass   []dma.Segment // as much of them as it needs
	next   uint64        // first block that is still to be done
	left   uint64        // how many
	size   uint32        // of data that the guest is given
	err    error
	link   *slot // in a list
}

// parse takes a request of the guest apart. It reports false if there is no header, or
// no room for a status; size is what there is of data, out or in.
func (x *slot) parse(q *ring.Device, req ring.Request) (h [headerLen]byte, size uint64, ok bool) {
	x.req, x.bufs, x.status, x.err, x.size = req, x.bufs[:0], nil, nil, 0
	x.left = 0
	got := 0
	var in uint64
	for _, b := range req.Buffers {
		if !b.Write && got < headerLen {
			part := b
			part.Len = min(b.Len, uint32(headerLen-got))
			q.Bytes(part, func(p []byte) { got += copy(h[got:], p) })
			b.Addr, b.Len = b.Addr+uint64(part.Len), b.Len-part.Len
		}
		if b.Write {
			in += uint64(b.Len)
		} else {
			size += uint64(b.Len)
		}
		if b.Len > 0 {
			x.bufs = append(x.bufs, b)
		}
	}
	n := len(x.bufs) - 1
	if got < headerLen || in == 0 {
		return h, 0, false
	}
	last := &x.bufs[n]
	last.Len--
	x.status = x.s.d.Memory.Segment(last.Addr+uint64(last.Len), 1).Bytes
	if in--; size == 0 {
		size = in
	}
	if last.Len == 0 {
		x.bufs = x.bufs[:n]
	}
	return h, size, len(x.status) == 1
}

// begin makes a request of the disk of one of the guest. What it returns is the status,
// where there is nothing for the disk to do.
func (x *slot) begin(h *[headerLen]byte, size uint64) (status byte, done bool) {
	le := binary.LittleEndian
	d := x.s.d
	kind, at := le.Uint32(h[:]), le.Uint64(h[8:])
	x.r.FUA = false
	switch kind {
	case typeIn, typeOut:
		write := kind == typeOut
		if len(x.bufs) > maxPieces || size == 0 || size > maxData || x.mixed(write) || !x.covers(at, size/sector) || size%sector != 0 {
			return statusIOErr, true
		}
		x.r.Op = block.Read
		if write {
			x.r.Op, x.r.FUA = block.Write, x.s.through()
		} else {
			x.size = uint32(size)
		}
	case typeFlush:
		x.r.Op, x.left = block.Flush, 0
	case typeGetID:
		x.id()
		return statusOK, true
	case typeDiscard, typeWriteZeroes:
		return x.empty(kind == typeWriteZeroes, size)
	default:
		return statusUnsupported, true
	}
	if x.r.Op != block.Read && x.r.Op != block.Flush && d.info.ReadOnly {
		return statusIOErr, true
	}
	return 0, false
}

// mixed reports whether there is data of the other direction.
func (x *slot) mixed(write bool) bool {
	for i := range x.bufs {
		if x.bufs[i].Write == write {
			return true
		}
	}
	return false
}

// covers reports whether so many sectors from one on are blocks of the disk, and sets
// them to be done.
func (x *slot) covers(at, n uint64) bool {
	d := x.s.d
	blocks := d.blocks.Load()
	x.next, x.left = at/d.unit, n/d.unit
	return at%d.unit == 0 && n%d.unit == 0 && n != 0 && x.next < blocks && x.left <= blocks-x.next
}

// empty begins a request whose data is a range.
func (x *slot) empty(zeroes bool, size uint64) (status byte, done bool) {
	d := x.s.d
	if zeroes && !d.info.WriteZeroes || !zeroes && !d.info.Discard {
		return statusUnsupported, true
	}
	var b [rangeLen]byte
	n := 0
	for _, p := range x.bufs {
		if !p.Write {
			x.s.q.Bytes(p, func(m []byte) { n += copy(b[n:], m) })
		}
	}
	le := binary.LittleEndian
	flags := le.Uint32(b[12:])
	switch {
	case size != rangeLen || n != rangeLen:
		return statusUnsupported, true
	case flags&^flagUnmap != 0 || !zeroes && flags != 0:
		return statusUnsupported, true
	case d.info.ReadOnly || !x.covers(le.Uint64(b[:]), uint64(le.Uint32(b[8:]))):
		return statusIOErr, true
	}
	x.bufs = x.bufs[:0]
	if x.r.Op = block.Discard; zeroes {
		x.r.Op, x.r.FUA = block.WriteZeroes, x.s.through()
	}
	return 0, false
}

// id writes the serial number.
func (x *slot) id() {
	var b [serialLen]byte
	copy(b[:], x.s.d.Serial)
	n := 0
	for _, p := range x.bufs {
		if p.Write {
			x.s.q.Bytes(p, func(m []byte) { n += copy(m, b[n:]) })
		}
	}
	x.size = uint32(n)
}

// part prepares what the disk is to do next: as much as it takes, and as there is memory
// to pass through. It reports false when there is none now.
func (x *slot) part() bool {
	d := x.s.d
	x.data, x.pages = x.data[:0], x.pages[:0]
	x.r.Start, x.r.Blocks = x.next, 0
	switch {
	case x.r.Op == block.Flush:
		x.r.Start, x.r.Data = 0, nil
		return true
	case x.r.Op > block.Write:
		x.r.Blocks, x.r.Data = uint32(min(x.left, uint64(d.info.MaxEmpty))), nil
		return true
	}
	most := min(x.left, uint64(d.info.MaxBlocks)) * uint64(d.info.BlockSize)
	if d.Config.Bounce != nil {
		most = min(most, uint64(x.s.room())) &^ uint64(d.info.BlockSize-1)
		if most == 0 {
			return false
		}
	}
	size := x.gather(most)
	if size -= size % uint64(d.info.BlockSize); size == 0 {
		x.err = errRange // pieces that are too small
		return true
	}
	x.data = trim(x.data, size)
	x.take(size)
	x.r.Blocks, x.r.Data = uint32(size/uint64(d.info.BlockSize)), x.data
	if d.Config.Bounce != nil {
		x.pages = x.s.borrow(x.pages, size)
		x.pass = trim(append(x.pass[:0], x.pages...), size)
		x.r.Data = x.pass
		if x.r.Op == block.Write {
			copySegments(x.pass, x.data)
		}
	}
	return true
}

// gather collects most bytes of data at most, and returns how many there are.
func (x *slot) gather(most uint64) (size uint64) {
	for _, b := range x.bufs {
		for a, n := b.Addr, uint64(b.Len); n > 0 && size < most && len(x.data) < maxPieces; {
			s := x.s.d.Memory.Segment(a, min(n, most-size))
			k := uint64(len(s.Bytes))
			if k == 0 {
				return size
			}
			x.data = append(x.data, s)
			a, n, size = a+k, n-k, size+k
		}
	}
	return size
}

// take drops size bytes, which the disk is given, from what is still to be moved.
func (x *slot) take(size uint64) {
	i := 0
	for size > 0 {
		b := &x.bufs[i]
		k := min(size, uint64(b.Len))
		b.Addr, b.Len, size = b.Addr+k, b.Len-uint32(k), size-k
		if b.Len == 0 {
			i++
		}
	}
	x.bufs = x.bufs[:copy(x.bufs, x.bufs[i:])]
}

// trim returns the first size bytes of s.
func trim(s []dma.Segment, size uint64) []dma.Segment {
	for i := range s {
		n := uint64(len(s[i].Bytes))
		if size <= n {
			s[i] = s[i].Slice(0, int(size))
			return s[:i+1]
		}
		size -= n
	}
	return s
}

// copySegments copies what is in from.
func copySegments(to, from []dma.Segment) {
	var dst []byte
	i := 0
	for _, f := range from {
		for src := f.Bytes; len(src) > 0; {
			if len(dst) == 0 {
				dst = to[i].Bytes
				i++
			}
			n := copy(dst, src)
			dst, src = dst[n:], src[n:]
		}
	}
}
