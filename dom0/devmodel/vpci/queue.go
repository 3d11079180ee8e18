// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"ringo/drivers/virtio/ring"
)

// Server is what a device does with the requests of a queue, from DRIVER_OK to the next
// reset. Its methods are called one at a time, in turn. None of them waits: what takes
// longer calls [Queue.Wake] when it is done, and holds the guest's RAM by [Queue.Hold]
// while it may touch it.
type Server interface {
	// Serve does what there is to do: it takes requests, gives back what has been done,
	// and tells the driver ([Queue.Tell]). It does a bounded amount of that, and returns
	// what it wants next.
	Serve() Want
	// End is the last call, when the queue is served no more. What is under way then ends
	// by itself, and gives back its holds.
	End()
}

// Want is what a server waits for.
type Want uint8

const (
	// Again says that there may be more to do. Others run before that.
	Again Want = iota
	// Notified says that nothing is left in the ring: the driver is to notify of the next
	// request. Wake counts as well.
	Notified
	// Woken says that only Wake counts, as where there is no room for another request. The
	// ring is left alone.
	Woken
	// Broken says that the driver has broken the rules: it has to reset the device.
	Broken
)

// Queue is a queue of the device from DRIVER_OK to the next reset.
//
// It has one goroutine, which waits for one channel, and whoever has turn serves it: the
// goroutine, or who calls Wake, if the kind is prompt. What is to be known of why the
// goroutine is awake is in atomic words that are written before the channel is: due,
// stopping, over and held. Whoever sets due, which was not set, takes turn, or finds that
// somebody has it who looks at due when he has given it up, or wakes the goroutine.
//
// The end of a queue is the goroutine's alone. It is complete when, in this order, stopping
// or over is set, End has returned, so that no server is called any more, and held is 0:
// from then on nobody touches the guest's RAM for it. Each hold is of a request that is
// somebody else's, who calls Release and wakes the goroutine with the last one.
type Queue struct {
	*ring.Device
	Index    int
	Features uint64 // what the driver has accepted

	d        *Device
	prompt   bool // of the kind
	layout   ring.Layout
	vector   uint16
	wake     chan struct{} // room for one word, which counts for all before it
	due      atomic.Bool   // somebody has called Wake; whoever has turn looks once more
	stopping atomic.Bool
	held     atomic.Int32
	over     atomic.Bool // it is served no more; set in turn

	turn      sync.Mutex // guards what follows, and the server
	s         Server
	listening bool // the driver was asked for a notification
	timer     *time.Timer
}

// turns is how often a prompt server is called in a row by who wakes it.
const turns = 4

// Wake has the server look, now or when it has done what it does. It does not wait, may be
// called from anywhere, and does nothing when the queue has ended. If the kind is prompt the
// server may have looked when it returns.
func (q *Queue) Wake() {
	switch {
	case q.due.Swap(true): // who has set it sees to it
	case q.prompt:
		q.now()
	default:
		q.signal()
	}
}

// later is Wake for who is too deep in something else.
func (q *Queue) later() {
	if !q.due.Swap(true) {
		q.signal()
	}
}

// now serves the queue, unless somebody does, who looks once more then. What is left for
// others to do is the goroutine's.
func (q *Queue) now() {
	for n := 0; q.due.Load(); n++ {
		if n < turns && !q.turn.TryLock() {
			return
		}
		if n == turns || q.take(q.round) {
			q.due.Store(true)
			q.signal()
			return
		}
	}
}

// After is Wake in a while, unless After is called again before.
//
// Preconditions: the server calls it.
func (q *Queue) After(d time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.Wake)
	} else {
		q.timer.Reset(d)
	}
}

// Hold says that something is under way that may touch the guest's RAM, until Release.
//
// Preconditions: the server calls it.
func (q *Queue) Hold() { q.held.Add(1) }

// Release gives up a hold. It may be called from anywhere, and does not wait. Who gives up
// the last one touches nothing of the guest's any more.
func (q *Queue) Release() {
	if q.held.Add(-1) == 0 && q.ended() {
		q.signal()
	}
}

// Tell interrupts the driver, if it wants to know of what was given back.
func (q *Queue) Tell() {
	if q.Interrupt() {
		q.d.interrupt(isrQueue, q.vector)
	}
}

// Changed tells the driver that the device configuration is another one.
func (q *Queue) Changed() { q.d.Changed() }

// signal wakes the goroutine.
func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it has not seen the last one yet
	}
}

// stop ends the queue; its goroutine does.
func (q *Queue) stop() {
	q.stopping.Store(true)
	q.signal()
}

// serve is the goroutine of the queue. When it returns, nothing touches the guest's RAM.
func (q *Queue) serve() {
	if !q.d.mem.Pin() {
		return
	}
	defer q.d.mem.Unpin()
	for more := q.step(q.open); ; {
		switch {
		case q.ended():
			q.step(q.end)
			for q.held.Load() != 0 {
				<-q.wake
			}
			return
		case more:
			runtime.Gosched() // others have a right as well
		case !q.due.Load():
			<-q.wake
			continue
		}
		more = q.step(q.round)
	}
}

func (q *Queue) ended() bool { return q.stopping.Load() || q.over.Load() }

// step does something in turn.
func (q *Queue) step(f func() bool) bool {
	q.turn.Lock()
	return q.take(f)
}

// take does something and gives up turn. A panic ends the queue, which needs a reset then.
func (q *Queue) take(f func() bool) bool {
	defer q.turn.Unlock()
	defer q.rescue()
	return f()
}

// rescue is deferred by who has turn.
func (q *Queue) rescue() {
	if v := recover(); v != nil {
		q.fail()
		q.d.failed(v)
	}
}

// open finds the ring and begins to serve it: the driver may have filled it before.
func (q *Queue) open() (more bool) {
	if q.Device, _ = ring.NewDevice(q.d.mem, q.layout); q.Device == nil {
		q.fail()
		return false
	}
	q.Busy()
	q.s = q.d.kind.Open(q)
	if q.s == nil { // it serves no such queue
		q.over.Store(true)
	}
	return q.s != nil
}

// round has the server do what there is to do, and reports whether there is more.
func (q *Queue) round() (more bool) {
	q.due.Store(false)
	if q.s == nil || q.ended() {
		return false
	}
	if q.listening {
		q.Busy()
		q.listening = false
	}
	switch q.s.Serve() {
	case Again:
		return true
	case Notified:
		if q.Device.Broken() == nil {
			q.listening = true
			return !q.Sleep()
		}
		q.fail()
	case Broken:
		q.fail()
	}
	return false
}

// end ends the server.
func (q *Queue) end() bool {
	q.over.Store(true)
	if q.timer != nil {
		q.timer.Stop()
	}
	if s := q.s; s != nil {
		q.s = nil
		s.End()
	}
	return false
}

// fail ends a queue whose driver has to reset the device; the goroutine does the rest.
func (q *Queue) fail() {
	q.over.Store(true)
	q.d.needsReset()
	q.signal()
}
