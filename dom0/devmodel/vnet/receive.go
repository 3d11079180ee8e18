// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"sync"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// receiver is a receive queue.
type receiver struct {
	d     *Device
	pair  uint8
	piece func([]byte) // collect, made once

	// mu comes before vpci's lock. It is held while frames are copied, never longer.
	mu      sync.Mutex
	q       *vpci.Queue // nil: nothing is received, and the guest's RAM out of reach
	served  *vpci.Queue // the same, also when the driver has broken the rules
	changed bool        // the settings have; the driver is to be told
	fault   any         // what a panic said
	pieces  [maxPieces][]byte
	n       int // of pieces that are in use
	room    int // bytes in them
	looked  int // buffers that were looked at for a frame, empty ones as well
}

func (x *receiver) init(d *Device, pair int) {
	x.d, x.pair = d, uint8(pair)
	x.piece = x.collect
}

// open begins to serve it. What the driver notifies is of no interest: buffers are looked
// for when there is a frame.
func (x *receiver) open(q *vpci.Queue) vpci.Server {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.q, x.served, x.fault = q, q, nil
	return x
}

// Serve implements [vpci.Server]: it tells the driver of changes. A panic of whoever has
// delivered is one of this queue.
func (x *receiver) Serve() vpci.Want {
	x.mu.Lock()
	q, changed, fault, sound := x.served, x.changed, x.fault, x.q != nil
	x.changed = false
	x.mu.Unlock()
	if fault != nil {
		panic(fault)
	}
	if changed {
		q.Changed()
	}
	if !sound {
		return vpci.Broken
	}
	return vpci.Woken
}

// End implements [vpci.Server]. It waits for who is delivering, which does not take long.
func (x *receiver) End() {
	x.mu.Lock()
	x.q, x.served = nil, nil
	x.mu.Unlock()
}

// change has the queue's server tell the driver that the settings are other ones.
func (x *receiver) change() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.changed = x.q != nil
	x.rouse()
}

// rouse has the server look.
//
// Preconditions: x.mu is held.
func (x *receiver) rouse() {
	if x.served != nil {
		x.served.Wake()
	}
}

// nowhere says that a frame is not for the guest.
const nowhere = MaxPairs

// Deliver gives the guest frames that have Sum or Segment only as [Device.Accepts] says:
// others are lost, as a driver that resets its device may have come between. What the
// guest has no room for, or no wish, is lost too. It does not block.
func (d *Device) Deliver(frames []nic.Frame) {
	for len(frames) > batch {
		d.deliver(frames[:batch])
		frames = frames[batch:]
	}
	d.deliver(frames)
}

func (d *Device) deliver(frames []nic.Frame) {
	if d.down.Load() {
		count(&d.counters.rxDropped, len(frames))
		return
	}
	var to [batch]uint8
	used, dropped := d.sort(frames, &to)
	count(&d.counters.rxDropped, dropped)
	for i := range d.receive {
		if used>>i&1 != 0 {
			d.receive[i].deliver(frames, &to)
		}
	}
}

// sort finds the queue of each frame. It returns a bit for each that is in use, and how
// many are lost: all, while the guest does not receive.
func (d *Device) sort(frames []nic.Frame, to *[batch]uint8) (used, dropped int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.serving {
		return 0, len(frames)
	}
	for i := range frames {
		to[i] = nowhere
		p := frames[i].Pieces
		if len(p) == 0 || len(p[0]) < nic.HeaderLen {
			dropped++
			continue
		}
		if !d.filter.pass(p[0]) {
			continue
		}
		pair := 0
		if d.pairs > 1 {
			pair = d.flows.receiver(p[0], d.pairs)
		}
		to[i] = uint8(pair)
		used |= 1 << pair
	}
	return used, dropped
}

// deliver copies the frames of this queue into the guest's buffers, and interrupts it once.
func (x *receiver) deliver(frames []nic.Frame, to *[batch]uint8) {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer x.rescue()
	q, taken := x.q, x.d.taken.Load()
	var bytes, got, errs, dropped int
	for i := range frames {
		if to[i] != x.pair {
			continue
		}
		var h [headerLen]byte
		f := &frames[i]
		size := f.Len()
		switch {
		case size > maxFrame || !header(&h, f, taken):
			errs++
		case x.q == nil || !x.put(f, &h, size):
			dropped++
		default:
			got++
			bytes += size
		}
	}
	if got > 0 {
		q.Tell()
		x.d.counters.rxFrames.Add(uint64(got))
		x.d.counters.rxBytes.Add(uint64(bytes))
	}
	count(&x.d.counters.rxErrors, errs)
	count(&x.d.counters.rxDropped, dropped)
	if x.q != nil && x.q.Broken() != nil {
		x.q = nil
		x.rouse()
	}
}

// rescue is deferred: who delivers is not who has made the mistake.
func (x *receiver) rescue() {
	if v := recover(); v != nil {
		x.q, x.fault = nil, v
		x.rouse()
	}
}

// put gives the guest a frame, in several buffers where they are merged, or reports false
// where there is no room. The buffers of a frame are used at once.
func (x *receiver) put(f *nic.Frame, h *[headerLen]byte, size int) bool {
	q := x.q
	merge := q.Features&featMerge != 0
	x.n, x.room, x.looked = 0, 0, 0
	buffers := 0
	for left := headerLen + size; left > 0; {
		r, ok := q.Next()
		if !ok {
			q.Undo(0)
			return false
		}
		before := x.room
		if !x.gather(r) || !merge && x.room < left || buffers == 0 && x.room < headerLen {
			q.Undo(1)
			return false
		}
		n := min(x.room-before, left)
		q.Later(r, uint32(n))
		left -= n
		buffers++
	}
	le.PutUint16(h[hdrBuffers:], uint16(buffers))
	x.copy(f, h)
	q.Publish()
	return true
}

// gather collects where a buffer is, and reports whether it can be used.
func (x *receiver) gather(r ring.Request) bool {
	if x.looked += len(r.Buffers); x.looked > maxPieces {
		return false
	}
	for i := range r.Buffers {
		b := &r.Buffers[i]
		if !b.Write {
			x.q = nil
			x.rouse()
			return false
		}
		x.q.Bytes(*b, x.piece)
	}
	return x.n < maxPieces
}

func (x *receiver) collect(p []byte) {
	if x.n < maxPieces {
		x.pieces[x.n] = p
		x.n++
		x.room += len(p)
	}
}

// copy writes a header and its frame into the pieces, which have room.
func (x *receiver) copy(f *nic.Frame, h *[headerLen]byte) {
	i, at := 0, x.pieces[0]
	put := func(b []byte) {
		for len(b) > 0 {
			for len(at) == 0 {
				i++
				at = x.pieces[i]
			}
			n := copy(at, b)
			at, b = at[n:], b[n:]
		}
	}
	put(h[:])
	for _, p := range f.Pieces {
		put(p)
	}
}
