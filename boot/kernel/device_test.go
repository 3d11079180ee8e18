// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A bit that is set while the others are taken is not lost, nor is the kick.
func TestNextIRQ(t *testing.T) {
	var c cpu
	raise := func(vec uint64) {
		*wordAt(&c.raised, vec) |= 1 << (vec & 63)
		c.waiting = 1
	}
	raise(0x30)
	raise(0xef)
	var got []uint8
	for v, ok := c.nextIRQ(); ok; v, ok = c.nextIRQ() {
		got = append(got, v)
	}
	if len(got) != 2 || got[0] != 0x30 || got[1] != 0xef || c.waiting != 0 {
		t.Errorf("%#x, waiting %d", got, c.waiting)
	}
	c.raised[2] = 1 // it came after the words were looked at, before waiting was cleared
	c.waiting = 1
	if v, ok := c.nextIRQ(); !ok || v != 128 {
		t.Errorf("%d, %v", v, ok)
	}
	PostIRQ(0x44)
	if !isPosted(0x44) || isPosted(0x45) || isPosted(0x84) {
		t.Error("posted vectors")
	}
	FreeVector(0x44)
	if isPosted(0x44) {
		t.Error("a vector that was given back is posted")
	}
}

// What interrupts while the runner looks is not lost: waiting stays set until the words
// have been looked at after it was cleared.
func TestNextIRQMeanwhile(t *testing.T) {
	var c cpu
	var taken, stop atomic.Uint32
	var runner sync.WaitGroup
	runner.Add(1)
	go func() {
		defer runner.Done()
		for stop.Load() == 0 {
			if atomic.LoadUint32(&c.waiting) == 0 {
				runtime.Gosched()
				continue
			}
			for _, ok := c.nextIRQ(); ok; _, ok = c.nextIRQ() {
				taken.Add(1)
			}
		}
	}()
	for n := uint32(0); n < 60_000; n++ {
		for vec := range uint64(2) {
			atomic.OrUint64(wordAt(&c.raised, vec*64), 1)
			atomic.StoreUint32(&c.waiting, 1)
			for range n % 256 * uint32(1-vec) { // so that the second comes at any moment of nextIRQ
				stop.Load()
			}
		}
		var end time.Time
		for spins := 1; taken.Load() != 2*n+2; spins++ {
			if spins%1000 != 0 {
				continue
			}
			runtime.Gosched()
			if end.IsZero() {
				end = time.Now().Add(time.Minute)
			} else if time.Now().After(end) {
				t.Fatalf("interrupt %d was lost: raised %#x, waiting %d", 2*n+1, c.raised, c.waiting)
			}
		}
	}
	stop.Store(1)
	runner.Wait()
}
