// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package card is what all drivers of network cards share: the goroutine that takes
// frames, polling under load, and what becomes of a device that lies, hangs or goes.
//
// An interrupt wakes the goroutine, which takes frames until there are none, and only
// then wants interrupts again. Once a second it looks at the device in any case, so that
// a lost interrupt costs a second at most; a card without interrupts is looked at every
// millisecond.
//
// # Threats
//
//	the device does                          its driver does
//	---------------------------------------  ---------------------------------------
//	gives back what it was not given, or     reset; after three in ten minutes it is
//	 lengths that cannot be                   left alone
//	does not send what it was given          reset after two seconds, as above
//	is not there any more                    bus mastering off, the card is dead
//	interrupts all the time                  each interrupt is one look at the rings
//	writes memory that it was not told       nothing: that is the IOMMU's business
package card

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"ringo/drivers/nic"
)

// Hardware is what cards do differently. All but Send, Reap and Promiscuous are called by one
// goroutine; Send, Reap, Sleep, Check, Halt, Start and Promiscuous with a lock held.
type Hardware interface {
	// Receive takes frames that have come, at most len(frames) of them, and returns how
	// many. Their bytes stay until Recycle gives the memory back to the device.
	Receive(frames []nic.Frame) int
	Recycle()
	// Sleep asks for an interrupt with the next frame, and with room also for the next one
	// that was sent. It reports false if there is a frame already.
	Sleep(room bool) bool
	// Send takes frames to send, and returns how many there was room for.
	Send(frames []nic.Frame) int
	// Reap takes back what was sent. It returns how many frames the device still has, and
	// how many were ever taken back, also by Send.
	Reap() (pending int, sent uint64)
	// Promiscuous has frames for all addresses come, from now on and after each Start.
	Promiscuous(on bool)
	// Link asks the device for its link.
	Link() nic.Link
	// Check returns why the device must be reset, "" if it need not be. It is called often;
	// well is true once a second, and the device may be asked.
	Check(well bool) string
	// Halt ends what the device does: when it returns nil no memory is used by it.
	Halt() error
	// Start makes a device that was halted work, with nothing under way.
	Start() error
}

// Config is the rest of what a card is made of.
type Config struct {
	Info nic.Info
	// Polling: there are no interrupts.
	Polling bool
	Present func() bool
	Stop    func() // ends bus mastering
	Log     func(line string)
}

// Times and bounds.
const (
	lookTime    = time.Second
	pollTime    = time.Millisecond
	HangTime    = 2 * time.Second // for what was given to send, with a link
	batch       = 64
	many        = 4 // frames at once, after which the next are awaited without interrupts
	maxResets   = 3
	resetWindow = 10 * time.Minute
)

// Card is a nic.Device.
type Card struct {
	Config
	hw      Hardware
	started bool
	ended   chan struct{}
	// wake is all that the goroutine waits for: to leave a select of several channels takes
	// as long as much of what it does. Who wakes it says why before.
	wake         chan struct{}
	ticked, quit atomic.Bool
	// Relink has the link looked at, also before a second is over.
	Relink  atomic.Bool
	handler nic.Handler
	resets  []time.Time

	// Counters that hardware adds to as well.
	RxErrors, RxDropped, TxErrors atomic.Uint64

	mu       sync.Mutex // guards what follows, and sending
	link     nic.Link
	dead     error
	short    bool // somebody waits for room
	counters nic.Counters
	pending  int // frames that the device had at the last look
	sent     uint64
	moved    time.Time // when that was less, or the device had none
}

// New returns a card of hardware that is started before the card is. Whoever makes it
// calls Wake at each interrupt.
func New(c Config, hw Hardware) *Card {
	return &Card{Config: c, hw: hw, wake: make(chan struct{}, 1), ended: make(chan struct{}), moved: time.Now()}
}

// Wake has the goroutine look at the device. It does not block.
func (c *Card) Wake() {
	select {
	case c.wake <- struct{}{}: // else it has not begun to look
	default:
	}
}

// Info implements [nic.Device].
func (c *Card) Info() nic.Info { return c.Config.Info }

// Link implements [nic.Device].
func (c *Card) Link() nic.Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

// Dead implements [nic.Device].
func (c *Card) Dead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// Counters implements [nic.Device].
func (c *Card) Counters() nic.Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counters
	n.RxErrors, n.RxDropped, n.TxErrors = c.RxErrors.Load(), c.RxDropped.Load(), c.TxErrors.Load()
	return n
}

// Send implements [nic.Device].
func (c *Card) Send(frames []nic.Frame) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil || !c.link.Up {
		c.counters.TxDropped += uint64(len(frames))
		return len(frames)
	}
	n := c.hw.Send(frames)
	for i := range frames[:n] {
		c.counters.TxFrames++
		c.counters.TxBytes += uint64(frames[i].Len())
	}
	if n < len(frames) && !c.short {
		c.short = true
		c.Wake() // to ask for an interrupt
	}
	return n
}

// Promiscuous implements [nic.Device].
func (c *Card) Promiscuous(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead == nil {
		c.hw.Promiscuous(on)
	}
}

// Start implements [nic.Device].
func (c *Card) Start(h nic.Handler) {
	c.handler, c.started = h, true
	c.Relink.Store(true)
	c.Wake()
	go c.run()
}

// Close implements [nic.Device].
func (c *Card) Close() {
	c.quit.Store(true)
	c.Wake()
	if c.started {
		<-c.ended
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead == nil {
		c.dead = errClosed
		c.halt()
	}
}

var errClosed = fmt.Errorf("it is shut down: %w", nic.ErrGone)

// halt ends what the device does, one way or the other.
func (c *Card) halt() {
	if c.hw.Halt() != nil {
		c.Stop()
	}
}

// run serves the device until Close, or its end.
func (c *Card) run() {
	defer close(c.ended)
	period := lookTime
	if c.Polling {
		period = pollTime
	}
	timer := time.AfterFunc(period, func() {
		c.ticked.Store(true)
		c.Wake()
	})
	defer timer.Stop()
	frames := make([]nic.Frame, batch)
	looked := time.Now()
	for {
		<-c.wake
		switch {
		case c.quit.Load():
			return
		case c.ticked.Swap(false):
			timer.Reset(period)
		default:
			c.mu.Lock()
			c.counters.Interrupts++
			c.mu.Unlock()
		}
		c.serve(frames)
		if now := time.Now(); now.Sub(looked) >= lookTime {
			looked = now
			c.look()
		}
		if c.Dead() != nil {
			return
		}
	}
}

// serve takes all frames that there are, and makes room.
func (c *Card) serve(frames []nic.Frame) {
	for {
		came := 0
		for {
			n := c.hw.Receive(frames)
			if n == 0 {
				break
			}
			came += n
			c.mu.Lock()
			for i := range frames[:n] {
				c.counters.RxFrames++
				c.counters.RxBytes += uint64(frames[i].Len())
			}
			c.mu.Unlock()
			c.handler.Receive(frames[:n])
			c.hw.Recycle()
			if c.quit.Load() {
				return
			}
			c.room()
		}
		if c.Relink.Swap(false) {
			c.refresh()
		}
		if came >= many {
			// More of them may come while others do what these have given them to do: that
			// spares an interrupt, and the next ones are taken together.
			runtime.Gosched()
			continue
		}
		waits := c.room()
		c.mu.Lock()
		sleeps := c.hw.Sleep(waits)
		c.mu.Unlock()
		if sleeps {
			break
		}
	}
	c.mu.Lock()
	why := c.hw.Check(false)
	c.mu.Unlock()
	if why != "" {
		c.trouble(why)
	}
}

// room takes back what was sent, and tells who waits for that. It reports whether
// somebody waits still.
func (c *Card) room() bool {
	c.mu.Lock()
	before := c.sent
	c.reap()
	tell := c.short && c.sent != before
	if tell {
		c.short = false
	}
	waits := c.short
	c.mu.Unlock()
	if tell && c.handler.Room != nil {
		c.handler.Room()
	}
	return waits
}

// reap notes what the device still has.
//
// Preconditions: c.mu is held.
func (c *Card) reap() {
	n, sent := c.hw.Reap()
	if sent != c.sent || n == 0 {
		c.moved = time.Now()
	}
	c.pending, c.sent = n, sent
}

// refresh looks at the link.
func (c *Card) refresh() {
	l := c.hw.Link()
	c.mu.Lock()
	changed := l != c.link
	if changed {
		c.link = l
		c.counters.LinkChanges++
		c.moved = time.Now()
	}
	c.mu.Unlock()
	if changed && c.handler.Changed != nil {
		c.handler.Changed()
	}
}
