// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"ringo/drivers/virtio/ring"
)

// A server that panics is reported, once; its pin is given up, and Stop returns.
func TestFailed(t *testing.T) {
	for _, prompt := range []bool{false, true} {
		failed(t, prompt)
	}
}

func failed(t *testing.T, prompt bool) {
	r := newRig(t)
	r.d.kind.Prompt = prompt
	r.ready(good, 0)
	r.bad.Store(true)
	r.d.Kick(0)
	if v := <-r.failed; v != "server" || r.r(regStatus, 1) != 15|statusNeedsReset {
		t.Errorf("failed: %v, status %#x", v, r.r(regStatus, 1))
	}
	r.m.pins.Wait()
	r.d.Kick(0)
	r.reset()
	r.d.Stop()
	if len(r.failed) != 0 {
		t.Error("failed twice")
	}
}

// calls is a server that does what it is told to.
type calls struct {
	serve func() Want
	end   func()
}

func (c *calls) Serve() Want { return c.serve() }
func (c *calls) End()        { c.end() }

// What a device has may be a configuration, and no server for a queue. A panic as a queue
// begins or ends is one like all others.
func TestKind(t *testing.T) {
	r := &rig{t: t}
	resets, mode := 0, ""
	opened, ended := make(chan *Queue, 10), make(chan bool, 10)
	conf := []byte{1, 2, 3, 4, 5, 6}
	r.make(Kind{
		ID: 2, Queues: []int{8, 8}, Features: 1 << 5,
		Open: func(q *Queue) Server {
			opened <- q
			switch mode {
			case "none":
				return nil
			case "open":
				panic(mode)
			}
			return &calls{func() Want { return Woken }, func() {
				if ended <- true; mode == "end" {
					panic(mode)
				}
			}}
		},
		Config:    func() []byte { return conf },
		SetConfig: func(off uint64, _ uint8, val uint64) { conf[off] = byte(val) },
		Reset:     func() { resets++ },
	})
	r.ready(good, 1<<5)
	if q := <-opened; q.Index != 0 || q.Features != featureVersion1|1<<5 {
		t.Errorf("queue %d, features %#x", q.Index, q.Features)
	}
	if v := r.r(offDevice+4, 4); v != 0x0605 {
		t.Errorf("configuration %#x", v)
	}
	if r.w(offDevice+1, 9, 1); conf[1] != 9 {
		t.Error("configuration not written")
	}
	if r.reset(); resets != 3 || len(ended) != 1 { // the first, that of ready, this one
		t.Errorf("%d resets, %d ended", resets, len(ended))
	}
	<-ended
	r.m.pins.Wait()
	l := good
	l.Desc = 1 << 40
	if r.ready(l, 0); !<-r.p.line {
		t.Error("no interrupt")
	}
	r.reset()
	for _, mode = range []string{"none", "open", "end"} {
		r.ready(good, 0)
		<-opened
		if mode == "end" {
			r.w(regStatus, 0, 1)
		}
		if mode != "none" {
			if v := <-r.failed; v != mode {
				t.Errorf("failed: %v", v)
			}
		}
		r.m.pins.Wait()
		if r.reset(); len(ended) > 0 != (mode == "end") {
			t.Errorf("%s: %d ended", mode, len(ended))
		}
	}
	mode = ""
}

// The end of a queue waits for what is under way, and for nothing else: neither for a
// server that has more to do, nor for one that waits.
func TestHolds(t *testing.T) {
	r := &rig{t: t}
	var want atomic.Int32
	opened := make(chan *Queue, 1)
	r.make(Kind{ID: 2, Queues: []int{8}, Open: func(q *Queue) Server {
		opened <- q
		return &calls{func() Want { return Want(want.Load()) }, func() {}}
	}})
	for _, w := range []Want{Again, Notified, Woken, Again, Notified, Woken} {
		want.Store(int32(w))
		r.d.kind.Prompt = !r.d.kind.Prompt
		r.ready(good, 0)
		q := <-opened
		q.Hold()
		q.Hold()
		q.Release()
		r.w(regStatus, 0, 1)
		r.w(regQueueSelect, 1, 2) // ignored
		for end := time.Now().Add(time.Second / 50); time.Now().Before(end); runtime.Gosched() {
			if q.Wake(); r.r(regStatus, 1) == 0 {
				t.Fatalf("%d: reset while something is under way", w)
			}
		}
		q.Release()
		r.reset()
		r.m.pins.Wait()
		q.Wake() // nobody's
		if r.r(regQueueEnable, 2) != 0 || r.r(regQueueDesc, 4) != 0 || r.r(regQueueSelect, 2) != 0 {
			t.Error("registers after reset")
		}
	}
	r.ready(good, 0)
	q := <-opened
	q.Hold()
	time.AfterFunc(time.Millisecond, q.Release)
	r.d.Stop()
	if q.held.Load() != 0 {
		t.Error("stopped while something is under way")
	}
	r.m.pins.Wait()
	r.d.Kick(0)
	r.w(regStatus, 0, 1)
	if r.r(regStatus, 1) == 0 {
		t.Error("reset after Stop")
	}
}

// Each request is seen, however the driver's notifications fall between the server's looks.
func TestSleep(t *testing.T) {
	for i, features := range []uint64{0, ring.FeatureEventIndex, 0, ring.FeatureEventIndex} {
		r := &rig{t: t}
		var served atomic.Int32
		r.make(Kind{ID: 2, Queues: []int{8}, Prompt: i > 1, Open: func(q *Queue) Server {
			return &calls{func() Want {
				req, ok := q.Next()
				if !ok {
					return Notified
				}
				q.Done(req, 0)
				served.Add(1)
				return Again
			}, func() {}}
		}})
		l := good
		l.Features = features
		r.ready(l, features)
		drv, err := ring.NewDriver(r.m, l)
		if err != nil {
			t.Fatal(err)
		}
		for n := range int32(20000) {
			if drv.Add([]ring.Buffer{{Addr: 0x4000, Len: 6}}, nil); drv.Notify() {
				r.d.Kick(0)
			}
			for end := time.Now().Add(20 * time.Second); served.Load() <= n; runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("request %d was overlooked", n)
				}
			}
			if _, _, ok := drv.Next(); !ok {
				t.Fatal("not given back")
			}
		}
	}
}

// After wakes the server once, and not when the queue has ended.
func TestAfter(t *testing.T) {
	r := &rig{t: t}
	looks := make(chan bool, 100)
	var q *Queue
	r.make(Kind{ID: 2, Queues: []int{8}, Open: func(x *Queue) Server {
		q = x
		return &calls{func() Want {
			if looks <- true; len(looks) < 3 {
				q.After(time.Hour)
				q.After(time.Millisecond)
			}
			return Woken
		}, func() {}}
	}})
	r.ready(good, 0)
	for end := time.Now().Add(20 * time.Second); len(looks) < 3; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d looks", len(looks))
		}
	}
	r.d.Stop()
	if q.timer.Stop() {
		t.Error("a timer is left")
	}
}
