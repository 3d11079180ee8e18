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
	return vpci.Kind{ID: id, Class: classOther, Queues: []int{64}, Handle: e.serve}
}

// entropy is used by the goroutine of the one queue.
type entropy struct {
	src  io.Reader
	now  func() int64
	left int64 // bytes that may be given now
	seen int64 // when left was right
	// buf is where src writes: it may be a system call, which knows the program's
	// own memory only.
	buf [MaxRequest]byte
}

// serve fills the writable buffers of a request.
func (e *entropy) serve(_ int, d *ring.Device, r ring.Request, stop <-chan struct{}) uint32 {
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
	e.pay(int64(n), stop)
	return uint32(n)
}

// pay waits until n bytes may be given.
func (e *entropy) pay(n int64, stop <-chan struct{}) {
	now := e.now()
	passed := min(now-e.seen, int64(time.Second))
	e.left = min(BytesPerSecond, e.left+passed*BytesPerSecond/int64(time.Second)) - n
	e.seen = now
	if e.left >= 0 {
		return
	}
	t := time.NewTimer(time.Duration(-e.left) * time.Second / BytesPerSecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop:
	}
}
