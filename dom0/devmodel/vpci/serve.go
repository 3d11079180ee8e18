// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import (
	"sync"

	"ringo/drivers/virtio/ring"
)

// run is the goroutines of the queues from DRIVER_OK to the next reset.
type run struct {
	stop chan struct{}
	once sync.Once
	work sync.WaitGroup
}

func (r *run) end() { r.once.Do(func() { close(r.stop) }) }

// start serves the queues that the driver has enabled.
//
// Preconditions: d.mu is held.
func (d *Device) start() {
	if d.run != nil || d.stopped {
		return
	}
	r := &run{stop: make(chan struct{})}
	d.run = r
	for i := range d.queues {
		q := &d.queues[i]
		if !q.enabled {
			continue
		}
		l := ring.Layout{Size: q.size, Desc: q.desc, Avail: q.avail, Used: q.used, Features: d.drvFeat}
		r.work.Add(1)
		d.work.Go(func() {
			defer r.work.Done()
			defer d.rescue()
			if q := d.queue(r, i, l, q.vector); d.kind.Serve != nil {
				d.serveAll(q)
			} else {
				d.serve(q)
			}
		})
		d.Kick(i) // what was made available before
	}
}

// reset ends the goroutines and then clears the registers, in the background.
//
// Preconditions: d.mu is held.
func (d *Device) reset() {
	if d.resetting || d.stopped {
		return
	}
	if d.run == nil {
		d.clear()
		return
	}
	d.resetting = true
	r := d.run
	r.end()
	d.work.Go(func() {
		defer d.rescue()
		r.work.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.clear()
		d.run, d.resetting = nil, false
	})
}

// rescue is deferred by the device's goroutines.
func (d *Device) rescue() {
	if v := recover(); v != nil {
		d.needsReset()
		d.failed(v)
	}
}

// queue is queue i, whose ring is not looked for yet.
func (d *Device) queue(r *run, i int, l ring.Layout, vector uint16) *Queue {
	return &Queue{nil, i, l.Features, d.queues[i].kick, r.stop, d, l, vector}
}

// open finds the ring, and reports whether it is in memory.
//
// Preconditions: the RAM is pinned.
func (q *Queue) open() (ok bool) {
	if q.Device == nil {
		q.Device, _ = ring.NewDevice(q.d.mem, q.layout)
	}
	return q.Device != nil
}

// serveAll serves a queue of a device that does so by itself.
func (d *Device) serveAll(q *Queue) {
	if !d.mem.Pin() {
		return
	}
	defer d.mem.Unpin()
	if q.open() {
		d.kind.Serve(q)
	}
	if q.Device == nil || q.Broken() != nil {
		q.Fail()
	}
}

// serve serves a queue of a device that handles requests one by one.
func (d *Device) serve(q *Queue) {
	for {
		select {
		case <-q.Stop:
			return
		case <-q.Kicked:
		}
		if !d.mem.Pin() {
			return
		}
		if !d.pass(q) {
			q.Fail()
			return
		}
	}
}

// pass serves what is in a queue and gives up the pin. It reports whether the queue is
// sound.
func (d *Device) pass(q *Queue) bool {
	defer d.mem.Unpin()
	return q.open() && d.drain(q)
}

// drain serves requests until there are none, and reports whether the queue is
// sound.
func (d *Device) drain(q *Queue) bool {
	q.Busy()
	for {
		select {
		case <-q.Stop:
			return true
		default:
		}
		req, ok := q.Next()
		if !ok {
			if q.Broken() != nil || q.Sleep() {
				return q.Broken() == nil
			}
			continue
		}
		n := d.kind.Handle(q.Index, q.Device, req, q.Stop)
		q.Done(req, n)
		q.Tell()
	}
}
