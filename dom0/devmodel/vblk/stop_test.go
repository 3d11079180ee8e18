// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vblk

import (
	"bytes"
	"errors"
	"testing"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// mend makes a disk's bad block good, or another one bad.
func (d *disk) mend(bad uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bad = bad
}

// What has failed waits until it is tried again, be it read or written, and what has not
// does not wait.
func TestStop(t *testing.T) {
	for name, bounce := range map[string]func() []dma.Segment{"direct": nil, "bounce": bouncePages} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t, 512)
			d.far = bounce != nil
			failed := make(chan error, 100)
			stop := &Stop{Failed: func(err error) { failed <- err }}
			r := newRig(t, Config{Disk: d, Bounce: bounce, Stop: stop})
			r.start(0)
			pattern(r.m.b[dataAt:dataAt+8192], 3)
			want := bytes.Clone(r.m.b[dataAt : dataAt+8192])
			d.mend(100)
			held := []int{r.ask(typeOut, 90, dataAt, 8192)}
			if err := <-failed; !errors.Is(err, block.ErrMedia) {
				t.Error(err)
			}
			held = append(held, r.ask(typeOut, 100, dataAt+10*512, 512))
			if s := r.do(typeIn, 10, 0x20000, 512); s != statusOK {
				t.Errorf("another request: status %d", s)
			}
			for range 3 { // it fails again
				stop.Again()
				r.d.Kick(0)
				<-failed
			}
			if s := r.do(typeFlush, 0, 0, 0); s != statusOK || len(r.done) != 0 || len(failed) != 0 {
				t.Errorf("flush: status %d, %d answers, %d failures", s, len(r.done), len(failed))
			}
			d.mend(0)
			stop.Again()
			r.d.Kick(0)
			for _, n := range held {
				if s := r.wait(n); s != statusOK {
					t.Errorf("status %d", s)
				}
			}
			if s := r.do(typeIn, 90, 0x20000, 8192); s != statusOK || !bytes.Equal(r.m.b[0x20000:0x22000], want) {
				t.Errorf("status %d, other data", s)
			}
		})
	}
}

// A device is reset, and is taken away, while requests wait after an error.
func TestStopReset(t *testing.T) {
	d := newDisk(t, 512)
	failed := make(chan error, 100)
	stop := &Stop{Failed: func(err error) { failed <- err }}
	r := newRig(t, Config{Disk: d, Bounce: func() []dma.Segment { d.far = true; return bouncePages() }, Stop: stop})
	d.mend(100)
	for range 4 { // of a part of the pages at a time
		r.start(0)
		r.ask(typeIn, 100, dataAt, 4096)
		<-failed
		r.reset()
		stop.Again()
	}
	d.mend(0)
	r.start(0)
	if s := r.do(typeIn, 100, dataAt, 64<<10); s != statusOK {
		t.Errorf("status %d", s)
	}
	d.mend(100)
	r.ask(typeIn, 100, dataAt, 512)
	<-failed // the rig stops the device
}

// What the guest should not have asked for is its own error.
func TestStopInvalid(t *testing.T) {
	d := newDisk(t, 512)
	r := newRig(t, Config{Disk: d, Stop: &Stop{Failed: func(err error) { t.Error(err) }}})
	r.start(0)
	d.info.ReadOnly = true // it says so later than the device was made
	if s := r.do(typeOut, 0, dataAt, 512); s != statusIOErr {
		t.Errorf("status %d", s)
	}
}
