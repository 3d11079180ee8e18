// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vrng is the virtio entropy device (VIRTIO 1.2, "Entropy Device"): it
// fills the driver's buffers with random bytes.
//
// # Threats
//
//	guest does                            model does
//	------------------------------------  ---------------------------------------
//	asks for a huge buffer                MaxRequest bytes are written: the driver
//	                                      is told how many
//	asks without end                      BytesPerSecond, with one second's worth
//	                                      saved up: dom0's CPU time is not the
//	                                      guest's to spend
//	gives a buffer to be read             it is not looked at
package vrng

import (
	"io"
	"time"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/virtio/ring"
)

// Bounds on what a guest gets.
const (
	MaxRequest     = 4096
	BytesPerSecond = 256 << 10

	batch = 16 // requests before others have their turn
)

// Device IDs (VIRTIO 1.2, "Device Types") and the PCI class for what has none.
const (
	id         = 4
	classOther = 0xff0000
)

// Kind returns the device: src is where random bytes come from, and now the time
// in ns of any clock that does not go back.
func Kind(src io.Reader, now func() int64) vpci.Kind {
	e := &entropy{src: src, now: now, left: BytesPerSecond, seen: now()}
	return vpci.Kind{ID: id, Class: classOther, Queues: []int{64}, Open: func(q *vpci.Queue) vpci.Server {
		e.q = q
		return e
	}}
}

// entropy is the server of the one queue.
type entropy struct {
	q    *vpci.Queue
	src  io.Reader
	now  func() int64
	left int64 // bytes that may be given now
	seen int64 // when left was right
	// buf is where src writes: it may be a system call, which knows the program's
	// own memory only.
	buf [MaxRequest]byte
}

// Serve implements [vpci.Server].
func (e *entropy) Serve() vpci.Want {
	for range batch {
		if wait := e.owes(); wait > 0 {
			e.q.After(wait)
			return vpci.Woken
		}
		r, ok := e.q.Next()
		if !ok {
			return vpci.Notified
		}
		e.q.Done(r, e.fill(e.q.Device, r))
		e.q.Tell()
	}
	return vpci.Again
}

// End implements [vpci.Server].
func (*entropy) End() {}

// fill fills the writable buffers of a request, and returns how much it has written.
func (e *entropy) fill(d *ring.Device, r ring.Request) uint32 {
	want := 0
	for _, b := range r.Buffers {
		if b.Write {
			want = int(min(uint64(want)+uint64(b.Len), MaxRequest))
		}
	}
	random, n := e.buf[:want], 0
	if _, err := io.ReadFull(e.src, random); err != nil {
		return 0
	}
	for _, b := range r.Buffers {
		if b.Write {
			d.Bytes(b, func(p []byte) { n += copy(p, random[n:]) })
		}
	}
	clear(random)
	e.left -= int64(n)
	return uint32(n)
}

// owes returns how long it takes until bytes may be given again.
func (e *entropy) owes() time.Duration {
	now := e.now()
	if n := min(now-e.seen, int64(time.Second)) * BytesPerSecond / int64(time.Second); n > 0 {
		e.left, e.seen = min(BytesPerSecond, e.left+n), now
	}
	if e.left >= 0 {
		return 0
	}
	return time.Duration(-e.left)*time.Second/BytesPerSecond + 1
}
