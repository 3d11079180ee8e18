// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// framePieces is how many pieces a frame that is sent may have.
const framePieces = 64

// sender is a send queue, and its server.
type sender struct {
	d    *Device
	q    *vpci.Queue
	pair int
	mark func([]byte) // collect, made once

	frames   [batch]nic.Frame
	heads    [batch][HeadLen]byte
	requests [batch]ring.Request
	pieces   [maxPieces][]byte
	n        int // of pieces that are in use

	// Of the frame that is collected.
	header [headerLen]byte
	head   []byte // what is to be filled of its beginning
	got    int    // bytes of its header
	size   int    // bytes of the frame
	end    int    // of pieces that it may have
	long   bool   // it has more of them
}

func (x *sender) init(d *Device, pair int) {
	x.d, x.pair = d, pair
	x.mark = x.collect
}

func (x *sender) open(q *vpci.Queue) vpci.Server {
	x.q = q
	return x
}

// Serve implements [vpci.Server].
func (x *sender) Serve() vpci.Want {
	for total := 0; total < batch; {
		n := x.pass(x.q)
		if n == 0 {
			return vpci.Notified
		}
		total += n
	}
	return vpci.Again
}

// End implements [vpci.Server].
func (x *sender) End() {}

// pass sends what is in the queue, a batch at most, gives it back, and returns how much
// there was.
func (x *sender) pass(q *vpci.Queue) (n int) {
	x.n = 0
	good, bytes := 0, 0
	pairs := x.active()
	for n < batch && x.n+framePieces <= maxPieces {
		r, ok := q.Next()
		if !ok {
			break
		}
		x.requests[n] = r
		n++
		f := &x.frames[good]
		if !x.take(q, r, f, good) {
			continue
		}
		if pairs > 1 {
			x.d.flows.sent(f.Pieces[0], x.pair)
		}
		good++
		bytes += x.size
	}
	if n == 0 {
		return 0
	}
	c := &x.d.counters
	count(&c.txErrors, n-good)
	switch {
	case good == 0:
	case x.d.down.Load():
		c.txDropped.Add(uint64(good))
	default:
		c.txFrames.Add(uint64(good))
		c.txBytes.Add(uint64(bytes))
		x.d.Send(x.frames[:good])
	}
	for i := range x.requests[:n] {
		q.Later(x.requests[i], 0)
	}
	q.Publish()
	q.Tell()
	return n
}

// active is how many pairs the driver receives on.
func (x *sender) active() int {
	if x.d.Pairs == 1 {
		return 1
	}
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.d.pairs
}

// take makes frame number i of a request, or reports false where it is none.
func (x *sender) take(q *vpci.Queue, r ring.Request, f *nic.Frame, i int) bool {
	first := x.n
	x.head, x.got, x.size, x.long = x.heads[i][:], 0, 0, false
	x.end = first + framePieces
	x.n++ // the first piece is the head
	ok := true
	for j := range r.Buffers {
		if r.Buffers[j].Write {
			ok = false
			break
		}
		q.Bytes(r.Buffers[j], x.mark)
	}
	head := x.heads[i][:HeadLen-len(x.head)]
	x.pieces[first] = head
	*f = nic.Frame{Pieces: x.pieces[first:x.n:x.n]}
	if ok = ok && !x.long && x.got == headerLen && x.d.parse(&x.header, q.Features, head, x.size, f); !ok {
		x.n = first
	}
	return ok
}

// collect takes a piece of a frame with its header: the beginning is copied, and looked at
// in the copy only.
func (x *sender) collect(p []byte) {
	if x.got < headerLen {
		n := copy(x.header[x.got:], p)
		x.got, p = x.got+n, p[n:]
	}
	x.size += len(p)
	n := copy(x.head, p)
	x.head, p = x.head[n:], p[n:]
	switch {
	case len(p) == 0:
	case x.n == x.end:
		x.long = true
	default:
		x.pieces[x.n] = p
		x.n++
	}
}
