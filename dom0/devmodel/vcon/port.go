// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcon

// Messages that are due for a port, a bit for each. They are sent in this order.
const (
	dueAdd = 1 << iota
	dueConsole
	dueName
	dueOpen
)

// Port is a port of a device. It is what is typed on the console's side: console.Input.
type Port struct {
	d       *Device
	sink    Sink
	name    string
	more    chan struct{} // Input has room again
	receive waker         // of the queue for what is for the guest
	send    waker         // and of the other

	// The device's mu guards what follows.
	due      uint8
	ready    bool // the driver knows the port
	attended bool // somebody listens
	open     bool // the driver has opened it
	plain    bool // by a driver that knows one port only, and opens nothing
	refused  bool // Input had no room since more had a value
	drops    int  // how often input was dropped
	head, n  int  // of input
	input    [InputSize]byte
}

func newPort(d *Device, s Sink, name string) *Port {
	return &Port{d: d, sink: s, name: name, more: make(chan struct{}, 1)}
}

// Input takes bytes for the guest, and returns how many there was room for. The rest
// should be offered again after a receive from Room.
func (p *Port) Input(b []byte) int {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	n := 0
	for n < len(b) && p.n < InputSize {
		p.input[(p.head+p.n)%InputSize] = b[n]
		n++
		p.n++
	}
	p.refused = p.refused || n < len(b)
	p.receive.wake()
	return n
}

// Room returns the channel that gets a value when Input, having refused bytes, has room
// again.
func (p *Port) Room() <-chan struct{} { return p.more }

// Attend says whether somebody listens: what the guest sends goes to the sink then, and
// the guest is told. The console is always attended.
func (p *Port) Attend(on bool) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.name == "" || p.attended == on {
		return
	}
	p.attended = on
	if p.ready {
		p.due |= dueOpen
		p.d.news.wake()
	}
	p.send.wake()
}

// Resume says that the sink has room again.
func (p *Port) Resume() { p.send.wake() }

// Opened reports whether somebody in the guest has the port open.
func (p *Port) Opened() bool {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	return p.open
}

// reset forgets what the driver has said. Preconditions: d.mu is held.
func (p *Port) reset() {
	p.due, p.ready, p.plain = 0, false, false
	p.opened(false)
}

// opened says whether the driver has opened the port. What was not read before it closed
// it is not for who opens it next, but for the console. Preconditions: d.mu is held.
func (p *Port) opened(on bool) {
	if p.open && !on && p.name != "" {
		p.drops++
		p.take(p.n)
	}
	p.open = on
}

// peek copies what is for the guest to b, if the guest takes it, and returns how much, and
// how often input was dropped before.
func (p *Port) peek(b []byte) (n, drops int) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if !p.open && !p.plain {
		return 0, 0
	}
	for n < len(b) && n < p.n {
		b[n] = p.input[(p.head+n)%InputSize]
		n++
	}
	return n, p.drops
}

// taken drops n bytes that the guest has got since peek, unless they were dropped.
func (p *Port) taken(n, drops int) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if drops == p.drops {
		p.take(n)
	}
}

// take drops n bytes, which there are. Preconditions: d.mu is held.
func (p *Port) take(n int) {
	p.head, p.n = (p.head+n)%InputSize, p.n-n
	if p.refused && p.n <= InputSize/2 {
		p.refused = false
		select {
		case p.more <- struct{}{}:
		default:
		}
	}
}

// listens reports whether somebody takes what the guest sends.
func (p *Port) listens() bool {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	return p.attended
}
