// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package virtiotest

import "ringo/drivers/virtio/ring"

// Request is what the driver has put into a queue.
type Request struct {
	Queue   int
	Out     []byte   // what the device reads, as it was when it came
	In      [][]byte // where it writes
	Buffers []ring.Buffer

	d      *Device
	q      *queue
	r      ring.Request
	silent bool
}

// Silent says that Done makes no interrupt.
func (r *Request) Silent(v bool) { r.silent = v }

// Fault is how an answer lies.
type Fault struct {
	WrongID bool   // it is about a request that is not there
	Beyond  bool   // about one that cannot be
	Jump    uint16 // so many answers more
	Silent  bool   // no interrupt
}

// bell is a notification.
func (d *Device) bell(index int) {
	if d.vanished || d.stopped.Load() {
		return
	}
	if d.status&4 == 0 || index >= len(d.queues) || d.queues[index] == nil || !d.queues[index].enabled {
		d.Wrong("a notification of queue %d, status %#x", index, d.status)
		return
	}
	q := d.queues[index]
	for d.status&4 != 0 {
		r, ok := q.dev.Next()
		if !ok {
			if err := q.dev.Broken(); err != nil {
				d.Wrong("queue %d: %v", index, err)
				return
			}
			if q.dev.Sleep() {
				return
			}
			continue
		}
		d.Serve(d.request(index, q, r))
	}
}

func (d *Device) request(index int, q *queue, r ring.Request) *Request {
	all := &Request{Queue: index, Buffers: append([]ring.Buffer(nil), r.Buffers...), d: d, q: q, r: r}
	for _, b := range all.Buffers {
		q.dev.Bytes(b, func(p []byte) {
			if b.Write {
				all.In = append(all.In, p)
			} else {
				all.Out = append(all.Out, p...)
			}
		})
	}
	return all
}

// Write copies b to where the driver wants it, from offset at on, and returns how much
// there was room for.
func (r *Request) Write(at int, b []byte) (n int) {
	for _, p := range r.In {
		if at >= len(p) {
			at -= len(p)
			continue
		}
		k := copy(p[at:], b)
		n, b, at = n+k, b[k:], 0
	}
	return n
}

// Room is how many bytes the device may write.
func (r *Request) Room() (n int) {
	for _, p := range r.In {
		n += len(p)
	}
	return n
}

// Done answers: n bytes were written. It is called within Serve or After.
func (r *Request) Done(n uint32) {
	if r.d.stopped.Load() || r.d.vanished {
		return
	}
	r.q.dev.Done(r.r, n)
	r.q.done++
	if r.q.dev.Interrupt() && !r.silent {
		r.d.interrupt(r.q.vector)
	}
}

// Lie answers in a way that is no answer. Nothing after it is one, until a reset.
func (r *Request) Lie(f Fault, n uint32) {
	if r.d.stopped.Load() || r.d.vanished {
		return
	}
	l := r.q.layout
	used := r.d.RAM(l.Used, uint64(6+8*l.Size))
	id := uint32(0)
	for i, c := range r.d.RAM(l.Avail, 6) { // any number that is not random
		id ^= uint32(c) << i
	}
	switch {
	case f.WrongID:
		id = (id + 1) % uint32(l.Size)
	case f.Beyond:
		id = uint32(l.Size)
	}
	at := 4 + 8*(int(r.q.done)%l.Size)
	le.PutUint32(used[at:], id)
	le.PutUint32(used[at+4:], n)
	r.q.done += 1 + f.Jump
	le.PutUint16(used[2:], r.q.done)
	if !f.Silent {
		r.d.interrupt(r.q.vector)
	}
}
