// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"fmt"
	"time"

	"ringo/drivers/block"
)

// watch looks after the device until Close.
func (d *Controller) watch() {
	defer close(d.ended)
	period := Timeout / 10
	if d.polling {
		period = time.Millisecond
	}
	for {
		select {
		case <-d.quit:
			return
		case <-time.After(period):
			d.look()
		}
		if d.Dead() != nil {
			return
		}
	}
}

// look takes what was overlooked, and acts on what takes too long.
func (d *Controller) look() {
	s := d.Regs.Read32(regCSTS)
	if s == ^uint32(0) || s&cstsReady == 0 {
		if !d.Present() {
			d.gone()
			return
		}
	}
	if s&cstsFatal != 0 || s&cstsReady == 0 {
		d.reset("it says that it has failed")
		return
	}
	for _, q := range d.queues {
		if why := d.lookAt(q); why != "" {
			d.reset(why)
			return
		}
	}
}

// lookAt returns why a queue's device must be reset, "" if it need not be.
func (d *Controller) lookAt(q *queue) string {
	if d.polling {
		q.service()
	}
	late, protocol := q.late()
	if len(late) == 0 || protocol != "" {
		return protocol
	}
	if q.service() && !d.polling {
		d.Log(fmt.Sprintf("queue %d: an interrupt was lost", q.ring.id))
	}
	late, protocol = q.late()
	for _, l := range late {
		switch {
		case protocol != "":
			return protocol
		case l.again:
			return fmt.Sprintf("queue %d: a command is not finished after %v, nor was it aborted", q.ring.id, 2*Timeout)
		case !q.abort(l.id):
			continue
		}
		d.Log(fmt.Sprintf("queue %d: a command is not finished after %v, aborting it", q.ring.id, Timeout))
		if _, err := d.do(command{op: adminAbort, d10: uint32(l.id)<<16 | uint32(q.ring.id)}); err != nil {
			return "it does not abort commands: " + err.Error()
		}
	}
	return protocol
}

// overdue is a command that takes too long; again: it was to be aborted, long ago.
type overdue struct {
	id    uint16
	again bool
}

// late returns the commands that take too long, but for those that have just been
// aborted, and what the device did that it must not.
func (q *queue) late() (all []overdue, protocol string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for id := range q.slot {
		s := &q.slot[id]
		if age := now.Sub(s.since); s.r != nil && (age >= Timeout && !s.aborted || age >= 2*Timeout) {
			all = append(all, overdue{uint16(id), s.aborted})
		}
	}
	return all, q.ring.protocol
}

// abort notes that a command is to be aborted, if it is still there.
func (q *queue) abort(id uint16) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &q.slot[id]
	if s.r == nil || time.Since(s.since) < Timeout {
		return false
	}
	s.aborted = true
	return true
}

// reset takes the device back to its start, and gives it again what it had.
func (d *Controller) reset(why string) {
	now := time.Now()
	d.mu.Lock()
	for len(d.resets) > 0 && now.Sub(d.resets[0]) > resetWindow {
		d.resets = d.resets[1:]
	}
	d.resets = append(d.resets, now)
	often := len(d.resets) > maxResets
	d.mu.Unlock()
	if often {
		d.Log(fmt.Sprintf("%s; it was reset %d times in %v: it is left alone", why, maxResets, resetWindow))
		d.halt()
		d.fail(fmt.Errorf("%s, again and again: %w", why, block.ErrDevice))
		return
	}
	d.Log(why + ": resetting it")
	if err := d.disable(); err != nil {
		d.Stop()
		if !d.Present() {
			d.gone()
			return
		}
		d.Log("it cannot be reset: " + err.Error())
		d.fail(fmt.Errorf("it cannot be reset, %v: %w", err, block.ErrDevice))
		return
	}
	var lost []finished
	for _, q := range d.queues {
		lost = append(lost, q.withdraw()...)
	}
	for _, f := range lost {
		f.r.Done(f.r, f.err)
	}
	if err := d.start(); err != nil {
		d.Log("it does not start again: " + err.Error())
		d.halt()
		d.fail(fmt.Errorf("it does not start again, %v: %w", err, block.ErrDevice))
	}
}

// gone ends a device that was taken out.
func (d *Controller) gone() {
	d.Stop()
	d.Log("it is gone")
	d.fail(errGone)
}

// fail ends all requests, those to come as well.
//
// Preconditions: the device does not write memory.
func (d *Controller) fail(err error) {
	d.mu.Lock()
	if d.dead == nil {
		d.dead = err
	}
	err = d.dead
	d.mu.Unlock()
	for _, q := range d.queues {
		q.stop(err)
	}
}

// Dead returns why the device does nothing any more, or nil.
func (d *Controller) Dead() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// drain waits until a queue has nothing to do.
func (q *queue) drain(most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(time.Millisecond) {
		q.service()
		q.mu.Lock()
		busy := len(q.waiting) > 0 || len(q.free) < len(q.slot)
		q.mu.Unlock()
		if !busy {
			return
		}
	}
}

// Disk is a namespace. It is a block.Device.
type Disk struct {
	d     *Controller
	id    uint32
	shift uint8 // of the block size
	info  block.Info
}

var _ block.Device = (*Disk)(nil)

// ID is the namespace's number, from 1 on.
func (n *Disk) ID() uint32 { return n.id }

// Info implements [block.Device].
func (n *Disk) Info() block.Info { return n.info }

// Queues implements [block.Device].
func (n *Disk) Queues() int { return len(n.d.queues) }

// Submit implements [block.Device].
func (n *Disk) Submit(queue int, r *block.Request) {
	if err := block.Check(&n.info, r); err != nil {
		r.Done(r, err)
		return
	}
	if r.Op == block.Flush && !n.info.Volatile {
		r.Done(r, nil) // what was acknowledged is on the medium
		return
	}
	n.d.queues[queue%len(n.d.queues)].submit(job{r: r, n: n})
}
