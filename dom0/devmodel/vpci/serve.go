// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import (
	"sync"

	"ringo/drivers/virtio/ring"
)

// run is the queues that are served from DRIVER_OK to the next reset.
type run struct {
	queues []*Queue
	work   sync.WaitGroup
}

// end ends all queues; r may be nil. It does not wait.
func (r *run) end() {
	if r != nil {
		for _, q := range r.queues {
			q.stop()
		}
	}
}

// start serves the queues that the driver has enabled.
//
// Preconditions: d.mu is held.
func (d *Device) start() {
	if d.run != nil || d.stopped {
		return
	}
	r := &run{}
	d.run = r
	for i := range d.queues {
		c := &d.queues[i]
		if !c.enabled {
			continue
		}
		q := &Queue{
			Index: i, Features: d.drvFeat, d: d, prompt: d.kind.Prompt, vector: c.vector, wake: make(chan struct{}, 1),
			layout: ring.Layout{Size: c.size, Desc: c.desc, Avail: c.avail, Used: c.used, Features: d.drvFeat},
		}
		r.queues = append(r.queues, q)
		d.live[i].Store(q)
		r.work.Add(1)
		d.work.Go(func() {
			defer r.work.Done()
			defer d.live[i].Store(nil)
			q.serve()
		})
	}
}

// reset ends the queues and then clears the registers, in the background.
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
		d.run, d.resetting = nil, false
		d.clear()
	})
}

// rescue is deferred where a device's own functions are called.
func (d *Device) rescue() {
	if v := recover(); v != nil {
		d.needsReset()
		d.failed(v)
	}
}
