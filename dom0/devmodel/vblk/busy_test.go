// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/virtio/ring"
)

// A header may be in pieces, and the status may follow data in its buffer.
func TestFraming(t *testing.T) {
	r := newRig(t, Config{Disk: newDisk(t, 512)})
	r.start(0)
	pattern(r.m.b[dataAt:dataAt+512], 9)
	want := bytes.Clone(r.m.b[dataAt : dataAt+512])
	r.do(typeOut, 0, dataAt, 512)
	clear(r.m.b[0x4000:0x4010])
	clear(r.m.b[dataAt : dataAt+512])
	r.m.b[dataAt+512] = 0xee
	r.drv.Add([]ring.Buffer{{Addr: 0x4000, Len: 5}, {Addr: 0x4005, Len: 11}, {Addr: dataAt, Len: 100, Write: true}, {Addr: dataAt + 100, Len: 413, Write: true}}, 0)
	r.d.Kick(0)
	_, n, ok := r.drv.Next()
	for ; !ok; _, n, ok = r.drv.Next() {
		<-r.told // it may be of the request before
	}
	if n != 513 || r.m.b[dataAt+512] != statusOK || !bytes.Equal(r.m.b[dataAt:dataAt+512], want) {
		t.Errorf("%v, %d bytes, status %d", ok, n, r.m.b[dataAt+512])
	}
}

// The reset waits for the disk, and more requests than there are slots are done in turn.
func TestBusy(t *testing.T) {
	d := newDisk(t, 512)
	d.hold = make(chan struct{})
	r := newRig(t, Config{Disk: d, Queues: 1, Bounce: func() []dma.Segment { d.far = true; return bouncePages() }})
	r.start(ring.FeatureEventIndex)
	r.ask(typeIn, 0, dataAt, 512)
	for end := time.Now().Add(time.Second / 50); time.Now().Before(end); {
		if r.w(20, 1, 0); r.rd(20, 1) == 0 {
			// It may not have been taken yet.
			r.start(ring.FeatureEventIndex)
			r.ask(typeIn, 0, dataAt, 512)
		}
	}
	close(d.hold)
	r.start(ring.FeatureEventIndex)
	r.n = 0
	var all []int
	for range 42 { // descriptors for three each
		all = append(all, r.ask(typeIn, 0, dataAt, 512))
	}
	for _, n := range all {
		if s := r.wait(n); s != statusOK {
			t.Errorf("status %d", s)
		}
	}
	if n := len(r.told); n > 42 {
		t.Errorf("%d interrupts", n)
	}
}

// A panic of the disk is reported, and the queue ends when the disk has said of what it was
// given that it has ended: it may have taken it. After a reset all works again.
func TestPanic(t *testing.T) {
	d := newDisk(t, 512)
	r := newRig(t, Config{Disk: d})
	r.start(0)
	d.bad = 1 << 40
	r.ask(typeIn, 0, dataAt, 512)
	if v := <-r.failed; fmt.Sprint(v) != "a mistake" {
		t.Error(v)
	}
	if s := r.rd(20, 1); s != 15|64 {
		t.Errorf("status %#x", s)
	}
	d.bad = 0
	r.w(20, 1, 0)
	for end := time.Now().Add(time.Second / 50); time.Now().Before(end); {
		if r.rd(20, 1) == 0 {
			t.Fatal("reset while the disk may have a request")
		}
	}
	d.taken.Done(d.taken, block.ErrDevice)
	r.start(0)
	if s := r.do(typeIn, 0, dataAt, 512); s != statusOK {
		t.Errorf("status %d", s)
	}
}

// waiter is a disk whose requests wait.
type waiter struct {
	*disk
	all chan *block.Request
}

func (w waiter) Submit(_ int, r *block.Request) { w.all <- r }

// A reset does not wait for what the disk has wait: it is dropped, and it alone.
func TestDrop(t *testing.T) {
	w := waiter{newDisk(t, 512), make(chan *block.Request, 10)}
	r := newRig(t, Config{Disk: w, Drop: func(queue int) {
		if queue != 0 {
			t.Errorf("queue %d is dropped", queue)
		}
		for len(w.all) > 0 {
			q := <-w.all
			q.Done(q, block.ErrGone)
		}
	}})
	r.start(0)
	for range 3 {
		r.ask(typeIn, 0, dataAt, 512)
		q := <-w.all
		w.all <- q
		r.reset()
		r.start(0)
	}
	n := r.ask(typeIn, 0, dataAt, 512)
	q := <-w.all
	q.Done(q, nil)
	if s := r.wait(n); s != statusOK {
		t.Errorf("status %d", s)
	}
}
