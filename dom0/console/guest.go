// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"sync"
	"sync/atomic"
)

// Input takes what is typed for a guest; a serial port is one.
type Input interface {
	// Input takes bytes and returns how many there was room for.
	Input(p []byte) int
	// Room gets a value when Input, having refused bytes, has room again.
	Room() <-chan struct{}
}

// maxPending is how many typed bytes wait for a guest that does not read.
const maxPending = 64 << 10

// GuestBytes is what a Guest keeps on the heap at most.
const GuestBytes = ringSize + maxPending + 1<<10

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
	lookers int           // who show what the guest writes
	stream  Stream        // nil: it is no stream
	gone    chan struct{}
	// seen is how far a stream was shown to somebody.
	seen atomic.Uint64
}

// Stream is the other end of a stream: a console of which nothing is lost, as the guest
// waits when nobody has seen what it has written, and of which nothing is kept for who
// comes later.
type Stream interface {
	// Attend says whether somebody looks.
	Attend(on bool)
	// Resume says that Write has room again.
	Resume()
	// Opened reports whether somebody in the guest is at its end.
	Opened() bool
}

// Follow makes the console a stream, and s its other end.
func (g *Guest) Follow(s Stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stream = s
	s.Attend(g.lookers > 0)
}

// Write puts what a stream has room for, and returns how much that is.
func (g *Guest) Write(p []byte) int {
	room := uint64(Scrollback) - min(Scrollback, g.End()-min(g.End(), g.seen.Load()))
	p = p[:min(uint64(len(p)), room)]
	for _, b := range p {
		g.Put(b)
	}
	return len(p)
}

// begin says that somebody looks, and returns where.
func (g *Guest) begin() (off uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lookers++
	if g.stream == nil {
		return 0
	}
	if g.lookers == 1 {
		g.seen.Store(g.End())
		g.stream.Attend(true)
	}
	return g.seen.Load()
}

// opened reports whether somebody in the guest is at the other end, as far as it tells.
func (g *Guest) opened() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stream == nil || g.stream.Opened()
}

// shown says that somebody has seen what lies before an offset.
func (g *Guest) shown(off uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stream != nil && off > g.seen.Load() {
		g.seen.Store(off)
		g.stream.Resume()
	}
}

// leave says that somebody looks no more.
func (g *Guest) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lookers--; g.lookers == 0 && g.stream != nil {
		g.stream.Attend(false)
	}
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
