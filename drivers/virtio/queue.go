// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package virtio

import (
	"fmt"

	"ringo/drivers/dma"
	"ringo/drivers/virtio/ring"
)

// Queue is one of a device's queues. Its ring is for one goroutine at a time.
type Queue struct {
	*ring.Driver
	d      *Device
	index  uint16
	size   int
	at     dma.Segment
	layout ring.Layout
	vector uint16
	bell   uint32 // where its notifications go
}

// memory is a segment as package ring sees it.
type memory dma.Segment

// RAM implements [ring.Memory].
func (m memory) RAM(a, n uint64) []byte {
	off := a - m.Addr
	if off >= uint64(len(m.Bytes)) {
		return nil
	}
	return m.Bytes[off:min(off+n, uint64(len(m.Bytes)))]
}

// NewQueue makes queue number index with at most most descriptors, a power of two. If
// buffers is more than 1, requests of up to so many take one descriptor each where the
// device can do that. The device has the queue after [Queue.Enable].
//
// Preconditions: Negotiate has returned, Ready was not called since.
func (d *Device) NewQueue(index, most, buffers int) (*Queue, error) {
	d.common.Write16(regQueue, uint16(index))
	size := int(d.common.Read16(regQueueSize))
	if index >= d.Queues() || size == 0 {
		return nil, fmt.Errorf("it has no queue %d", index)
	}
	if size&(size-1) != 0 || size > ring.MaxSize {
		return nil, fmt.Errorf("queue %d has %d entries", index, size)
	}
	q := &Queue{d: d, index: uint16(index), size: min(size, most), vector: noVector}
	bell := uint64(d.common.Read16(regQueueNotify)) * uint64(d.multiplier)
	if bell+2 > uint64(d.notify.Size()) || bell%2 != 0 {
		return nil, fmt.Errorf("queue %d has its notifications at %#x", index, bell)
	}
	q.bell = uint32(bell)
	avail := q.size * 16
	used := (avail + 6 + 2*q.size + 3) &^ 3
	var err error
	if q.at, err = d.Arena.Alloc(used+6+8*q.size, dma.Page); err != nil {
		return nil, err
	}
	q.layout = ring.Layout{Size: q.size, Desc: q.at.Addr, Avail: q.at.Addr + uint64(avail), Used: q.at.Addr + uint64(used), Features: d.features}
	if q.Driver, err = ring.NewDriver(memory(q.at), q.layout); err != nil {
		return nil, err
	}
	if d.features&ring.FeatureIndirect != 0 && buffers > 1 {
		s, err := d.Arena.Alloc(ring.TablesSize(q.size, buffers), 16)
		if err != nil {
			return nil, err
		}
		q.UseTables(s.Addr, s.Bytes, buffers)
	}
	return q, nil
}

// Size is how many descriptors the queue has.
func (q *Queue) Size() int { return q.size }

// Enable gives the queue, with nothing in it, to a device that was reset. It fails if
// Negotiate has returned other features than when the queue was made.
//
// Preconditions: Ready was not called since Negotiate.
func (q *Queue) Enable() error {
	if q.d.features != q.layout.Features {
		return fmt.Errorf("its features were %#x, and are %#x", q.layout.Features, q.d.features)
	}
	q.Reset()
	c := q.d.common
	c.Write16(regQueue, q.index)
	if most := c.Read16(regQueueSize); int(most) < q.size {
		return fmt.Errorf("queue %d has %d entries, and had %d", q.index, most, q.size)
	}
	c.Write16(regQueueSize, uint16(q.size))
	for _, r := range []struct {
		off uint32
		at  uint64
	}{{regQueueDesc, q.layout.Desc}, {regQueueAvail, q.layout.Avail}, {regQueueUsed, q.layout.Used}} {
		c.Write32(r.off, uint32(r.at))
		c.Write32(r.off+4, uint32(r.at>>32))
	}
	if q.vector != noVector {
		if err := q.d.setVector(regQueueVector, q.vector); err != nil {
			return err
		}
	}
	c.Write16(regQueueEnable, 1)
	return nil
}

// Bind lets interrupt message n call f when something comes back.
//
// Preconditions: called once, before Enable.
func (q *Queue) Bind(n int, f func()) error {
	if err := q.d.bind(n, f); err != nil {
		return err
	}
	q.vector = uint16(n)
	return nil
}

// Kick tells the device what was added, if it wants to hear of it.
func (q *Queue) Kick() {
	if q.Notify() {
		q.d.notify.Write16(q.bell, q.index)
	}
}

// Nudge tells the device that there is something, whether it wants to hear of it or not.
// It is for requests that it seems to have overlooked.
func (q *Queue) Nudge() { q.d.notify.Write16(q.bell, q.index) }
