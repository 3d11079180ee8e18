// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package disk

import (
	"fmt"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
)

// Types of requests, and what a device says about one ("Device Operation").
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
	statusNone        = 0xff // not written yet
)

// Where a slot's memory has what: the header, the range of a request without data, and
// the status.
const (
	slotHeader = 0
	slotRange  = 16
	slotStatus = 32
	slotSize   = 64

	rangeLen = 16
	idLen    = 20
)

// requests is a queue: what is special about it for package queue.
type requests struct {
	*virtio.Queue
	q        *queue.Queue
	per      uint64 // sectors of a block
	transfer int
	segments int
	slots    dma.Segment
	buffers  []ring.Buffer // of one request, reused
}

func newRequests(d *Disk, i int) (*requests, error) {
	v, err := d.d.NewQueue(i, maxSlots, d.settings.segments+2)
	if err != nil {
		return nil, err
	}
	q := &requests{Queue: v, per: uint64(d.settings.blockSize / sector), transfer: d.settings.transfer}
	// No chain is longer than the queue.
	if q.segments = min(d.settings.segments, v.Size()-2); q.segments < 1 {
		return nil, fmt.Errorf("queue %d has %d entries", i, v.Size())
	}
	q.buffers = make([]ring.Buffer, 0, q.segments+2)
	if q.slots, err = d.d.Arena.Alloc(v.Size()*slotSize, slotSize); err != nil {
		return nil, err
	}
	bounce, err := d.d.Arena.Alloc(maxTransfer, dma.Page)
	q.q = queue.New(fmt.Sprintf("queue %d", i), q, v.Size(), bounce)
	q.q.FlushAfter = d.settings.volatile
	return q, err
}

// Fits implements [queue.Commands], as do the methods below.
func (q *requests) Fits(data []dma.Segment) bool {
	if len(data) > q.segments {
		return false
	}
	for _, s := range data {
		if len(s.Bytes) == 0 || len(s.Bytes) > q.transfer {
			return false
		}
	}
	return true
}

// Give puts a request into the ring.
func (q *requests) Give(slot int, r *block.Request, data []dma.Segment) bool {
	m := q.slot(slot)
	kind, at := uint32(0), uint64(0)
	b := q.begin(m)
	switch r.Op {
	case block.Read, block.Write:
		kind, at = [...]uint32{block.Read: typeIn, block.Write: typeOut}[r.Op], r.Start*q.per
		for _, s := range data {
			b = append(b, ring.Buffer{Addr: s.Addr, Len: uint32(len(s.Bytes)), Write: r.Op == block.Read})
		}
	case block.Flush:
		kind = typeFlush
	default:
		kind = [...]uint32{block.Discard: typeDiscard, block.WriteZeroes: typeWriteZeroes}[r.Op]
		le.PutUint64(m.Bytes[slotRange:], r.Start*q.per)
		le.PutUint32(m.Bytes[slotRange+8:], r.Blocks*uint32(q.per))
		le.PutUint32(m.Bytes[slotRange+12:], 0)
		b = append(b, ring.Buffer{Addr: m.Addr + slotRange, Len: rangeLen})
	}
	return q.add(slot, m, kind, at, b)
}

func (q *requests) slot(i int) dma.Segment { return q.slots.Slice(i*slotSize, (i+1)*slotSize) }

// begin is the buffers of a request, the header first.
func (q *requests) begin(m dma.Segment) []ring.Buffer {
	return append(q.buffers[:0], ring.Buffer{Addr: m.Addr + slotHeader, Len: 16})
}

// add completes the buffers of a request and puts them into the ring.
func (q *requests) add(slot int, m dma.Segment, kind uint32, at uint64, b []ring.Buffer) bool {
	le.PutUint32(m.Bytes[slotHeader:], kind)
	le.PutUint32(m.Bytes[slotHeader+4:], 0)
	le.PutUint64(m.Bytes[slotHeader+8:], at)
	m.Bytes[slotStatus] = statusNone
	return q.Add(append(b, ring.Buffer{Addr: m.Addr + slotStatus, Len: 1, Write: true}), slot)
}

// Ring notifies the device.
func (q *requests) Ring() { q.Kick() }

// Next takes an answer. Where there is none, the device is to interrupt when there is.
func (q *requests) Next() (a queue.Answer, ok bool) {
	for {
		token, _, ok := q.Queue.Next()
		if ok {
			a.Slot = token.(int)
			a.Err, a.Again = failure(q.slot(a.Slot).Bytes[slotStatus])
			return a, true
		}
		if q.Sleep() {
			return a, false
		}
	}
}

// Broken implements [queue.Commands].
func (q *requests) Broken() string {
	if err := q.Queue.Broken(); err != nil {
		return err.Error()
	}
	return ""
}

// failure is the error of a status, nil if it is success. An I/O error is final: the
// host has tried.
func failure(status uint8) (err error, again bool) {
	switch status {
	case statusOK:
		return nil, false
	case statusIOErr:
		return fmt.Errorf("status %d: %w", status, block.ErrMedia), false
	case statusUnsupported:
		return fmt.Errorf("status %d: %w", status, block.ErrInvalid), false
	}
	return fmt.Errorf("status %d: %w", status, block.ErrDevice), true
}

// identifyTime is how long the device may take to say its serial number, which it need
// not have.
const identifyTime = time.Second

// identify asks the device for its serial number. ok is false if it has not answered: it
// still has the question.
func (d *Disk) identify() (serial string, ok bool) {
	q := d.queues[0]
	m, err := d.d.Arena.Alloc(slotSize+idLen, slotSize)
	if err != nil {
		return "", true
	}
	id := m.Slice(slotSize, slotSize+idLen)
	if !q.add(0, m.Slice(0, slotSize), typeGetID, 0, append(q.begin(m), ring.Buffer{Addr: id.Addr, Len: idLen, Write: true})) {
		return "", true
	}
	q.Kick()
	for end := time.Now().Add(identifyTime); ; time.Sleep(100 * time.Microsecond) {
		if _, _, ok := q.Queue.Next(); ok {
			break
		}
		if time.Now().After(end) || q.Queue.Broken() != nil {
			return "", false
		}
	}
	if m.Bytes[slotStatus] != statusOK {
		return "", true
	}
	return text(id.Bytes), true
}
