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
			d.serve(r, i, l, q.vector)
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
		d.failed(v)
	}
}

// serve is the goroutine of queue i.
func (d *Device) serve(r *run, i int, l ring.Layout, vector uint16) {
	var dev *ring.Device
	for {
		select {
		case <-r.stop:
			return
		case <-d.queues[i].kick:
		}
		if !d.mem.Pin() {
			return
		}
		if !d.pass(r, i, &dev, l, vector) {
			d.needsReset()
			return
		}
	}
}

// pass makes the queue's ring if there is none yet, serves what is in it and gives up
// the pin. It reports whether the queue is sound.
func (d *Device) pass(r *run, i int, dev **ring.Device, l ring.Layout, vector uint16) bool {
	defer d.mem.Unpin()
	if *dev == nil {
		made, err := ring.NewDevice(d.mem, l)
		if err != nil {
			return false
		}
		*dev = made
	}
	return d.drain(r, i, *dev, vector)
}

// drain serves requests until there are none, and reports whether the queue is
// sound.
func (d *Device) drain(r *run, i int, dev *ring.Device, vector uint16) bool {
	dev.Busy()
	for {
		select {
		case <-r.stop:
			return true
		default:
		}
		req, ok := dev.Next()
		if !ok {
			if dev.Broken() != nil || dev.Sleep() {
				return dev.Broken() == nil
			}
			continue
		}
		n := d.kind.Handle(i, dev, req, r.stop)
		dev.Done(req, n)
		if dev.Interrupt() {
			d.interrupt(isrQueue, vector)
		}
	}
}
