// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package nictest is network cards without hardware: two that are joined by a wire.
package nictest

import (
	"sync"

	"ringo/drivers/nic"
)

// Queue is how many frames a card of a wire has room for.
const Queue = 256

// Card is an end of a wire. It is a nic.Device.
type Card struct {
	info nic.Info
	peer *Card
	in   chan []byte
	quit chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	handler  nic.Handler
	down     bool
	dead     error
	full     bool // the peer took less than it was given
	counters nic.Counters
	// tap sees each frame that is sent, and may change or lose it: nil.
	tap func(frame []byte) []byte
}

// Wire returns two cards that are joined; they have what info says, and MACs that end in
// 1 and 2.
func Wire(info nic.Info) (a, b *Card) {
	if info.MTU == 0 {
		info.MTU = nic.MTU
	}
	make1 := func(last byte) *Card {
		c := &Card{info: info, in: make(chan []byte, Queue), quit: make(chan struct{})}
		c.info.MAC = nic.MAC{0x52, 0x54, 0, 0, 0, last}
		return c
	}
	a, b = make1(1), make1(2)
	a.peer, b.peer = b, a
	return a, b
}

// Tap has f see each frame that c sends from now on; what it returns is sent instead.
func (c *Card) Tap(f func(frame []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tap = f
}

// SetLink takes the wire out, or puts it in again, at this end.
func (c *Card) SetLink(up bool) {
	c.mu.Lock()
	c.down = !up
	c.counters.LinkChanges++
	h := c.handler
	c.mu.Unlock()
	if h.Changed != nil {
		h.Changed()
	}
}

// Kill has the device end with err.
func (c *Card) Kill(err error) {
	c.mu.Lock()
	c.dead = err
	h := c.handler
	c.mu.Unlock()
	if h.Changed != nil {
		h.Changed()
	}
}

// Info implements [nic.Device].
func (c *Card) Info() nic.Info { return c.info }

// Link implements [nic.Device].
func (c *Card) Link() nic.Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return nic.Link{Up: !c.down && c.dead == nil, Mbps: 1000, Full: true}
}

// Counters implements [nic.Device].
func (c *Card) Counters() nic.Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counters
}

// Dead implements [nic.Device].
func (c *Card) Dead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// Start implements [nic.Device].
func (c *Card) Start(h nic.Handler) {
	c.mu.Lock()
	c.handler = h
	c.mu.Unlock()
	c.done.Add(1)
	go c.serve(h)
}

// Inject has the card receive a frame that nobody sent. It waits for room.
func (c *Card) Inject(frame []byte) {
	select {
	case c.in <- append([]byte(nil), frame...):
	case <-c.quit:
	}
}

// serve hands frames to the handler, several at once where several have come.
func (c *Card) serve(h nic.Handler) {
	defer c.done.Done()
	for {
		var batch []nic.Frame
		select {
		case <-c.quit:
			return
		case f := <-c.in:
			batch = append(batch, nic.Frame{Pieces: [][]byte{f}, Verified: c.info.Verifies})
		}
		for len(batch) < 32 && len(c.in) > 0 {
			batch = append(batch, nic.Frame{Pieces: [][]byte{<-c.in}, Verified: c.info.Verifies})
		}
		c.mu.Lock()
		for i := range batch {
			c.counters.RxFrames++
			c.counters.RxBytes += uint64(batch[i].Len())
		}
		c.mu.Unlock()
		h.Receive(batch)
		c.peer.room()
	}
}

// room tells who sends to c's peer that there is room.
func (c *Card) room() {
	c.mu.Lock()
	tell := c.full && c.handler.Room != nil
	c.full = false
	h := c.handler
	c.mu.Unlock()
	if tell {
		h.Room()
	}
}

// Send implements [nic.Device].
func (c *Card) Send(frames []nic.Frame) int {
	for n := range frames {
		f := make([]byte, frames[n].Len())
		frames[n].CopyTo(f)
		c.mu.Lock()
		gone := c.down || c.dead != nil
		tap := c.tap
		c.mu.Unlock()
		if gone || !c.peer.Link().Up {
			continue
		}
		if tap != nil {
			if f = tap(f); f == nil {
				continue
			}
		}
		for _, part := range Finish(f, &frames[n]) {
			if !c.put(part) {
				return n
			}
		}
	}
	return len(frames)
}

// put gives a frame to the peer; false if it has no room.
func (c *Card) put(f []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.peer.in <- f:
		c.counters.TxFrames++
		c.counters.TxBytes += uint64(len(f))
		return true
	default:
		c.full = true
		return false
	}
}

// Promiscuous implements [nic.Device]: it always is.
func (c *Card) Promiscuous(bool) {}

// Close implements [nic.Device].
func (c *Card) Close() {
	close(c.quit)
	c.done.Wait()
}
