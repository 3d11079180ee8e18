// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"fmt"
	"sync"
	"sync/atomic"

	"ringo/drivers/nic"
)

// Bounds of what waits for a card, while it is busy with something else.
const (
	waitFrames = 256
	waitBytes  = 256 << 10
	waitRounds = 4
)

// card is a port as a card: it is a [Receiver] for the switch, and a [nic.Device] for
// dom0's stack.
//
// The stack wants one goroutine at a time. So who delivers calls it, if nobody is inside;
// else the frames are copied and wait, and who is inside takes them before he leaves: no
// other goroutine has to be woken.
type card struct {
	info nic.Info
	port *Port // nil: it could not join
	err  error
	dead atomic.Bool

	handler atomic.Pointer[nic.Handler]

	mu     sync.Mutex // guards what follows
	busy   bool       // somebody is inside
	queue  *waiting   // what has come since
	spare  *waiting   // what is inside, or nothing
	lost   uint64
	closed bool
	idle   sync.Cond // nobody is inside
}

// waiting is frames that wait. Its memory is made when it is needed first.
type waiting struct {
	frames []nic.Frame
	pieces [][1][]byte
	bytes  []byte
}

// NewCard joins a switch with a card of an address, for dom0's own use: what it sends is
// not filtered. A card that could not join is dead from the beginning.
func NewCard(s *Switch, name string, mac nic.MAC) nic.Device {
	c := &card{queue: new(waiting), spare: new(waiting), info: nic.Info{
		Model: "switch " + s.name, MAC: mac, MTU: nic.MTU, Checksum: true, Segment: true, MaxSegmented: frameMost, Verifies: true,
	}}
	c.idle.L = &c.mu
	c.port, c.err = s.Join(c, Options{Name: name, MAC: mac, Unfiltered: true, own: true})
	return c
}

// Info implements [nic.Device].
func (c *card) Info() nic.Info { return c.info }

// Link implements [nic.Device].
func (c *card) Link() nic.Link { return nic.Link{Up: c.Dead() == nil, Full: true} }

// Dead implements [nic.Device].
func (c *card) Dead() error {
	if c.dead.Load() {
		return fmt.Errorf("it is taken out of the switch: %w", nic.ErrGone)
	}
	return c.err
}

// Counters implements [nic.Device].
func (c *card) Counters() nic.Counters {
	if c.port == nil {
		return nic.Counters{}
	}
	n := c.port.Counters()
	c.mu.Lock()
	defer c.mu.Unlock()
	return nic.Counters{
		RxFrames: n.OutFrames, RxBytes: n.OutBytes, RxErrors: n.Faults + n.Offload, RxDropped: c.lost,
		TxFrames: n.InFrames, TxBytes: n.InBytes, TxErrors: n.Malformed + n.Untagged,
	}
}

// Start implements [nic.Device].
func (c *card) Start(h nic.Handler) { c.handler.Store(&h) }

// Send implements [nic.Device].
func (c *card) Send(frames []nic.Frame) int {
	if c.port != nil {
		c.port.Send(frames)
	}
	return len(frames)
}

// Promiscuous implements [nic.Device]: what is for other addresses the switch keeps to
// those who have them.
func (c *card) Promiscuous(bool) {}

// Close implements [nic.Device].
func (c *card) Close() {
	if c.port == nil || c.dead.Swap(true) {
		return
	}
	c.port.Leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.busy {
		c.idle.Wait()
	}
}

// Accepts implements [Receiver]: what has not left the machine needs no checksum.
func (c *card) Accepts() (checksum, segment bool) { return true, true }

// Deliver implements [Receiver].
func (c *card) Deliver(frames []nic.Frame) {
	h := c.handler.Load()
	if h == nil || h.Receive == nil {
		return
	}
	c.mu.Lock()
	if c.busy {
		c.keep(frames)
		c.mu.Unlock()
		return
	}
	c.busy = true
	c.mu.Unlock()
	for i := range frames {
		frames[i].Verified = frames[i].Verified || frames[i].Sum
	}
	c.inside(h, frames)
}

// inside calls the handler with frames, and with those that come meanwhile: for so long,
// and then in a goroutine of its own, since who has delivered has other things to do.
func (c *card) inside(h *nic.Handler, frames []nic.Frame) {
	for range waitRounds {
		c.call(h, frames)
		if frames = c.next(); frames == nil {
			return
		}
	}
	go c.inside(h, frames)
}

// call calls the handler. If that panics, the frames are lost, and that is all.
func (c *card) call(h *nic.Handler, frames []nic.Frame) {
	defer func() {
		if recover() != nil {
			c.mu.Lock()
			c.lost += uint64(len(frames))
			c.mu.Unlock()
		}
	}()
	h.Receive(frames)
}

// next returns what has come meanwhile. If that is nothing, nobody is inside any more.
func (c *card) next() []nic.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.queue.frames) == 0 {
		c.busy = false
		c.idle.Broadcast()
		return nil
	}
	c.queue, c.spare = c.spare, c.queue
	c.queue.frames, c.queue.bytes = c.queue.frames[:0], c.queue.bytes[:0]
	return c.spare.frames
}

// keep copies frames to the queue, as far as there is room.
//
// Preconditions: c.mu is held.
func (c *card) keep(frames []nic.Frame) {
	q := c.queue
	if q.bytes == nil {
		q.bytes = make([]byte, 0, waitBytes)
		q.frames = make([]nic.Frame, 0, waitFrames)
		q.pieces = make([][1][]byte, waitFrames)
	}
	for i := range frames {
		f := frames[i]
		at, n := len(q.bytes), f.Len()
		if len(q.frames) == waitFrames || at+n > waitBytes {
			c.lost++
			continue
		}
		q.bytes = q.bytes[:at+n]
		f.CopyTo(q.bytes[at:])
		p := &q.pieces[len(q.frames)]
		p[0] = q.bytes[at : at+n : at+n]
		f.Pieces, f.Verified = p[:], f.Verified || f.Sum
		q.frames = append(q.frames, f)
	}
}
