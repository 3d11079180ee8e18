// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import "sync"

// Input takes what is typed for a guest; a serial port is one.
type Input interface {
	// Input takes bytes and returns how many there was room for.
	Input(p []byte) int
	// Room gets a value when Input, having refused bytes, has room again.
	Room() <-chan struct{}
}

// maxPending is how many typed bytes wait for a guest that does not read.
const maxPending = 64 << 10

// Guest is the console of a guest: its scrollback and the way to its input. It
// may outlive a device, as when the guest restarts.
type Guest struct {
	Ring

	mu      sync.Mutex // a leaf but for Input.Input; guards what follows
	in      Input
	pending []byte
	flush   bool          // a goroutine moves pending to in
	stop    chan struct{} // closed when in is replaced
	writer  any           // who types; nil: nobody
	gone    chan struct{}
}

// NewGuest returns a console without input.
func NewGuest() *Guest { return &Guest{gone: make(chan struct{})} }

// Connect makes in the guest's input. What was typed before and not read is
// dropped.
func (g *Guest) Connect(in Input) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in != nil {
		close(g.stop)
	}
	g.in, g.pending, g.flush, g.stop = in, nil, false, make(chan struct{})
}

// Close says that the guest is gone for good: who is attached is released.
func (g *Guest) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.gone:
	default:
		close(g.gone)
	}
}

// Gone is closed when the guest is gone for good.
func (g *Guest) Gone() <-chan struct{} { return g.gone }

// Take makes who the one that types, if nobody is or force is set, and reports whether
// who is it. Any number may read.
func (g *Guest) Take(who any, force bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writer == nil || force {
		g.writer = who
	}
	return g.writer == who
}

// Leave says that who types no longer.
func (g *Guest) Leave(who any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writer == who {
		g.writer = nil
	}
}

// Send types p and returns how many bytes of it were taken: a guest that does not
// read loses what is beyond maxPending. Send does not block.
func (g *Guest) Send(p []byte) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in == nil {
		return 0
	}
	took := 0
	if len(g.pending) == 0 {
		took = g.in.Input(p)
		p = p[took:]
	}
	n := min(len(p), maxPending-len(g.pending))
	g.pending = append(g.pending, p[:n]...)
	if len(g.pending) > 0 && !g.flush {
		g.flush = true
		go g.drain(g.in, g.stop)
	}
	return took + n
}

// drain moves pending bytes to in as it has room, until stop.
func (g *Guest) drain(in Input, stop <-chan struct{}) {
	for {
		select {
		case <-in.Room():
		case <-stop:
			return
		case <-g.gone:
			return
		}
		g.mu.Lock()
		if g.stop != stop {
			g.mu.Unlock()
			return
		}
		g.pending = g.pending[in.Input(g.pending):]
		if len(g.pending) == 0 {
			g.pending, g.flush = nil, false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}
