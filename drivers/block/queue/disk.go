// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package queue

import (
	"sync/atomic"

	"ringo/drivers/block"
)

// Disk is a [block.Device] on queues.
type Disk struct {
	queues []*Queue
	info   atomic.Pointer[block.Info]
	driver any
	lost   atomic.Pointer[error]
}

var _ block.Device = (*Disk)(nil)

// NewDisk makes a disk. driver is what its requests have in their field Driver.
func NewDisk(i block.Info, driver any, queues []*Queue) *Disk {
	d := &Disk{queues: queues, driver: driver}
	d.info.Store(&i)
	return d
}

// SetInfo changes the description, for requests to come.
func (d *Disk) SetInfo(i block.Info) { d.info.Store(&i) }

// Info implements [block.Device].
func (d *Disk) Info() block.Info { return *d.info.Load() }

// Queues implements [block.Device].
func (d *Disk) Queues() int { return len(d.queues) }

// Submit implements [block.Device].
func (d *Disk) Submit(queue int, r *block.Request) {
	i := d.info.Load()
	if err := block.Check(i, r); err != nil {
		r.Done(r, err)
		return
	}
	if r.Op == block.Flush && !i.Volatile {
		r.Done(r, nil) // what was acknowledged is on the medium
		return
	}
	r.Driver = d.driver
	d.queues[uint(queue)%uint(len(d.queues))].submit(d, job{r: r, through: r.FUA && i.Volatile}, false)
}

// Lose ends one disk of a device that has others: its requests fail with err, those that
// wait and those to come.
//
// Preconditions: the device has none of them; the disk has a driver of its own.
func (d *Disk) Lose(err error) {
	d.lost.CompareAndSwap(nil, &err)
	for _, q := range d.queues {
		q.drop(d)
	}
}

// Lost returns why the disk was lost, or nil.
func (d *Disk) Lost() error {
	if err := d.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// sync puts what the disk has cached on the medium, and waits for that, also where the
// queues are closed.
func (d *Disk) sync() error {
	if !d.Info().Volatile {
		return nil
	}
	done := make(chan error, 1)
	d.queues[0].submit(d, job{r: &block.Request{Op: block.Flush, Driver: d.driver, Done: func(_ *block.Request, err error) { done <- err }}}, true)
	return <-done
}
