// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ether

import (
	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
)

// sender is the queue of frames to send.
type sender struct {
	q      *virtio.Queue
	space  *nic.Space
	slots  []slot
	free   []*slot
	frames int // that the device has
	done   uint64
}

// slot is a frame that the device has.
type slot struct {
	ticket int // of its memory
	one    [1]ring.Buffer
}

// memory gets what frames are copied to.
func (x *sender) memory(a dma.Arena) error {
	all, err := a.Alloc(spaceLen, dma.Page)
	if err != nil {
		return err
	}
	x.space = nic.NewSpace(all, x.q.Size())
	x.slots = make([]slot, x.q.Size())
	x.free = make([]*slot, 0, len(x.slots))
	return nil
}

// clear forgets all frames.
func (x *sender) clear() {
	x.space.Clear()
	x.frames, x.free = 0, x.free[:0]
	for i := range x.slots {
		x.free = append(x.free, &x.slots[i])
	}
}

// Send implements card.Hardware.
func (d *device) Send(frames []nic.Frame) (n int) {
	d.Reap()
	for n < len(frames) && d.put(&frames[n]) {
		n++
	}
	if n > 0 {
		d.tx.q.Kick()
	}
	return n
}

// put gives a frame to the queue, if there is room for it.
func (d *device) put(f *nic.Frame) bool {
	x := &d.tx
	size := f.Len()
	if !d.sane(f, size) {
		d.card.TxErrors.Add(1)
		return true // it is lost: no card could send it
	}
	if len(x.free) == 0 {
		return false
	}
	seg, ticket, ok := x.space.Get(headerLen + size)
	if !ok {
		return false
	}
	d.header(seg.Bytes[:headerLen], f)
	f.CopyTo(seg.Bytes[headerLen:])
	s := x.free[len(x.free)-1]
	s.ticket = ticket
	s.one[0] = ring.Buffer{Addr: seg.Addr, Len: uint32(len(seg.Bytes))}
	if !x.q.Add(s.one[:], s) {
		x.space.Put(ticket) // the ring is broken: Check says so
		return false
	}
	x.free = x.free[:len(x.free)-1]
	x.frames++
	return true
}

// sane reports whether what a frame asks for can be done with it.
func (d *device) sane(f *nic.Frame, size int) bool {
	switch {
	case size < nic.HeaderLen, size > maxSegmented, f.Segment == 0 && size > nic.MaxFrame:
		return false
	case !f.Sum:
		return f.Segment == 0
	case !d.info.Checksum, int(f.SumStart)+int(f.SumOffset)+2 > size:
		return false
	}
	return f.Segment == 0 || d.info.Segment && int(f.Headers) < size && f.Headers >= f.SumStart+f.SumOffset+2
}

// header says what the device has to do with a frame.
func (d *device) header(h []byte, f *nic.Frame) {
	clear(h)
	if !f.Sum {
		return
	}
	h[0] = needsSum
	le.PutUint16(h[6:], f.SumStart)
	le.PutUint16(h[8:], f.SumOffset)
	if f.Segment > 0 {
		h[1] = gsoTCP4
		if f.V6 {
			h[1] = gsoTCP6
		}
		le.PutUint16(h[2:], f.Headers)
		le.PutUint16(h[4:], f.Segment)
	}
}

// Reap implements card.Hardware.
func (d *device) Reap() (int, uint64) {
	x := &d.tx
	for {
		token, _, ok := x.q.Next()
		if !ok {
			return x.frames, x.done
		}
		s := token.(*slot)
		x.space.Put(s.ticket)
		x.free = append(x.free, s)
		x.frames--
		x.done++
	}
}
