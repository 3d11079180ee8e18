// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ether

import (
	"fmt"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
)

// maxParts is how many buffers a frame has at most: all but the last are full, and IP has
// packets of 64 KiB.
const maxParts = (nic.HeaderLen+nic.VLANLen+headerLen+64<<10)/bufferLen + 1

// receiver is the queue of frames that come.
type receiver struct {
	q       *virtio.Queue
	buffers []*buffer // all there are
	part    []*buffer // of a frame that is not whole
	pieces  [][]byte  // what is in them
	missing int       // buffers of it
	sure    bool      // its sums were looked at
	held    []*buffer // of whole frames, the driver's until Recycle
	wrong   string
}

// buffer is one that the device fills.
type buffer struct {
	seg dma.Segment
	one [1]ring.Buffer // what the ring is told of it
}

// memory gets the buffers.
func (x *receiver) memory(a dma.Arena) error {
	all, err := a.Alloc(x.q.Size()*bufferLen, dma.Page)
	if err != nil {
		return err
	}
	for i := range x.q.Size() {
		seg := all.Slice(i*bufferLen, (i+1)*bufferLen)
		x.buffers = append(x.buffers, &buffer{seg: seg, one: [1]ring.Buffer{{Addr: seg.Addr, Len: bufferLen, Write: true}}})
	}
	x.held = make([]*buffer, 0, len(x.buffers))
	return nil
}

// fill gives the queue, which is empty, all buffers.
func (x *receiver) fill() {
	x.held, x.part, x.pieces, x.missing, x.wrong = x.held[:0], x.part[:0], x.pieces[:0], 0, ""
	for _, b := range x.buffers {
		x.q.Add(b.one[:], b)
	}
}

// Receive implements card.Hardware.
func (d *device) Receive(frames []nic.Frame) (n int) {
	x := &d.rx
	merge := d.has(featureMerge)
	// Half of the buffers stay with the device, but for those of a frame that has begun.
	for n < len(frames) && (x.missing > 0 || 2*len(x.held) < len(x.buffers)) && x.wrong == "" {
		token, size, ok := x.q.Next()
		if !ok {
			break
		}
		if !x.take(token.(*buffer), int(size), merge) {
			continue
		}
		frames[n].Pieces = append(frames[n].Pieces[:0], x.pieces...)
		if frames[n].Verified = x.sure; frames[n].Len() >= nic.HeaderLen {
			n++
		} else {
			d.card.RxErrors.Add(1)
		}
	}
	if n == 0 {
		d.Recycle()
	}
	return n
}

// take adds a buffer with size bytes to the frame, and reports whether it is whole.
func (x *receiver) take(b *buffer, size int, merge bool) bool {
	h := b.seg.Bytes[:size]
	if x.missing == 0 {
		if size < headerLen {
			x.wrong = fmt.Sprintf("a frame of %d bytes with its header", size)
			return false
		}
		x.missing, x.part, x.pieces = 1, x.part[:0], x.pieces[:0]
		if merge {
			x.missing = int(le.Uint16(h[10:]))
		}
		if x.missing < 1 || x.missing > min(maxParts, len(x.buffers)) {
			x.wrong = fmt.Sprintf("a frame in %d buffers", x.missing)
			return false
		}
		x.sure = h[0]&(needsSum|sumValid) != 0
		h = h[headerLen:]
	}
	x.part, x.pieces = append(x.part, b), append(x.pieces, h)
	if x.missing--; x.missing > 0 {
		return false
	}
	x.held = append(x.held, x.part...)
	x.part = x.part[:0]
	return true
}

// Recycle implements card.Hardware.
func (d *device) Recycle() {
	x := &d.rx
	if len(x.held) == 0 {
		return
	}
	for _, b := range x.held {
		x.q.Add(b.one[:], b)
	}
	x.held = x.held[:0]
	x.q.Kick()
}
