// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package idetest is an IDE channel in memory, seen by its ports, with up to two drives
// and a bus master. It is strict about what drivers must do, and does what devices do
// that fail, or lie.
package idetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"ringo/drivers/ata/atatest"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

var le = binary.LittleEndian

// Base is where the memory that the device sees begins.
const Base = 0x1000_0000

// Lies is how many ways to lie the device has.
const Lies = 3

// Channel is a channel. Its fields are set before it is used.
type Channel struct {
	Drives [2]*atatest.Drive
	NoIRQ  bool
	Far    uint64 // added to where its memory begins: there the bus master does not reach
	Piece  int    // most bytes of an ATAPI drive at a time, if not 0: less than it may give
	// Fate is asked about each command of drive 0 that reads or writes.
	Fate blocktest.Fate

	mu       sync.Mutex
	mem      []byte
	used     int
	handler  func()
	regs     [8]uint8 // as written last
	before   [8]uint8 // as written before that
	control  uint8
	status   uint8
	error    uint8
	bm       uint8 // of the bus master: command
	bmStatus uint8
	table    uint32
	now      *request
	epoch    int
	resets   int
	wrongs   []string
	vanished bool
	stuck    bool
	stopped  bool
}

// request is what a drive works on.
type request struct {
	c      atatest.Command
	drive  *atatest.Drive
	fault  blocktest.Fault
	dma    bool
	write  bool // data comes from the driver
	packet int  // bytes of a packet that have come
	limit  int  // of bytes at a time
	left   int  // of those
	in     []byte
	want   int // bytes to come
	out    []byte
}

// New returns a channel with a disk, which firmware has left working.
func New() *Channel {
	c := &Channel{mem: make([]byte, 16<<20), status: 0x50}
	c.Drives[0] = atatest.NewDisk("SERIAL1", 1<<20)
	return c
}

// Alloc implements [dma.Arena].
func (c *Channel) Alloc(size, align int) (dma.Segment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := (c.used + align - 1) &^ (align - 1)
	if at+size > len(c.mem) {
		return dma.Segment{}, dma.ErrMemory
	}
	c.used = at + size
	return dma.Segment{Addr: Base + c.Far + uint64(at), Bytes: c.mem[at : at+size : at+size]}, nil
}

func (c *Channel) ram(a uint32, n int) []byte {
	if a < Base || int(a-Base)+n > len(c.mem) {
		c.wrong("an access to %#x, %d bytes: no memory", a, n)
		return make([]byte, n)
	}
	return c.mem[a-Base:][:n]
}

func (c *Channel) wrong(format string, a ...any) {
	c.wrongs = append(c.wrongs, fmt.Sprintf(format, a...))
}

// Bind connects the interrupt.
func (c *Channel) Bind(f func()) error {
	if c.NoIRQ {
		return errors.New("no interrupt")
	}
	c.set(func() { c.handler = f })
	return nil
}

// Do calls f in a moment in which no drive is asked for anything.
func (c *Channel) Do(f func()) { c.set(f) }

func (c *Channel) set(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
}

// SetFate says what becomes of commands.
func (c *Channel) SetFate(f blocktest.Fate) { c.Fate = f }

// Vanish takes the controller out.
func (c *Channel) Vanish() { c.set(func() { c.vanished = true }) }

// Stick keeps the bus master from stopping.
func (c *Channel) Stick() { c.set(func() { c.stuck = true }) }

// Die makes the drives stay busy until they are reset.
func (c *Channel) Die() {
	c.set(func() {
		c.now, c.status = nil, 0x80
		c.epoch++
	})
}

// Stop turns bus mastering off.
func (c *Channel) Stop() { c.set(func() { c.stopped = true }) }

// Present reports whether the controller was not taken out.
func (c *Channel) Present() (yes bool) {
	c.set(func() { yes = !c.vanished })
	return yes
}

// Stopped reports whether bus mastering is off.
func (c *Channel) Stopped() (yes bool) {
	c.set(func() { yes = c.stopped })
	return yes
}

// Resets is how often the drives were reset.
func (c *Channel) Resets() (n int) {
	c.set(func() { n = c.resets })
	return n
}

// Wrongs is what the driver did that it must not.
func (c *Channel) Wrongs() (all []string) {
	c.set(func() { all = append(all, c.wrongs...) })
	return all
}

// Kept is a block of drive 0 after a loss of power.
func (c *Channel) Kept(at uint64) (b []byte) {
	c.set(func() { b = c.Drives[0].Medium.Kept(at) })
	return b
}

// Command, Control and Master are the channel's ports.
func (c *Channel) Command() reg.Window { return ports{c, c.readCommand, c.writeCommand, 8} }

// Control is the port of the device control.
func (c *Channel) Control() reg.Window { return ports{c, c.readControl, c.writeControl, 1} }

// Master is the ports of the bus master.
func (c *Channel) Master() reg.Window { return ports{c, c.readMaster, c.writeMaster, 8} }

// ports is a window of ports.
type ports struct {
	c     *Channel
	read  func(off uint32, n int) uint32
	write func(off uint32, n int, v uint32)
	size  uint32
}

func (p ports) get(off uint32, n int) uint32 {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.c.vanished {
		return ^uint32(0)
	}
	return p.read(off, n)
}

func (p ports) put(off uint32, n int, v uint32) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if !p.c.vanished {
		p.write(off, n, v)
	}
}

func (p ports) Size() uint32                 { return p.size }
func (p ports) Read8(off uint32) uint8       { return uint8(p.get(off, 1)) }
func (p ports) Read16(off uint32) uint16     { return uint16(p.get(off, 2)) }
func (p ports) Read32(off uint32) uint32     { return p.get(off, 4) }
func (p ports) Read64(uint32) uint64         { panic("idetest: access of eight bytes") }
func (p ports) Write64(uint32, uint64)       { panic("idetest: access of eight bytes") }
func (p ports) Write8(off uint32, v uint8)   { p.put(off, 1, uint32(v)) }
func (p ports) Write16(off uint32, v uint16) { p.put(off, 2, uint32(v)) }
func (p ports) Write32(off uint32, v uint32) { p.put(off, 4, v) }

// drive is the one that is selected, nil if it is not there.
func (c *Channel) drive() *atatest.Drive { return c.Drives[c.regs[6]>>4&1] }

func (c *Channel) readControl(uint32, int) uint32 {
	switch d := c.drive(); {
	case d == nil:
		return 0
	case d.Unready:
		return 0x80
	}
	return uint32(c.status)
}

func (c *Channel) writeControl(_ uint32, _ int, v uint32) {
	if c.control&4 != 0 && v&4 == 0 {
		c.resets++
		c.status, c.error = 0x50, 1
		c.regs = [8]uint8{2: 1, 3: 1}
	}
	if v&4 != 0 {
		c.epoch++
		c.now = nil
		c.status = 0x80
	}
	c.control = uint8(v)
}

func (c *Channel) readMaster(off uint32, n int) uint32 {
	switch off {
	case 0:
		return uint32(c.bm)
	case 2:
		return uint32(c.bmStatus)
	}
	c.wrong("bus master register %d is read", off)
	return 0
}

func (c *Channel) writeMaster(off uint32, n int, v uint32) {
	switch off {
	case 0:
		was := c.bm
		c.bm = uint8(v)
		if v&1 == 0 && !c.stuck {
			c.bmStatus &^= 1
		}
		if was&1 == 0 && v&1 != 0 {
			c.bmStatus |= 1
			c.run()
		}
	case 2:
		c.bmStatus = c.bmStatus&^uint8(v&6) | uint8(v)&0x60
	case 4:
		if n != 4 || v%4 != 0 || c.bm&1 != 0 {
			c.wrong("table %#x", v)
		}
		c.table = v
	default:
		c.wrong("bus master register %d is written", off)
	}
}

// after calls f later, unless the channel is reset before.
func (c *Channel) after(delay time.Duration, f func()) {
	epoch := c.epoch
	time.AfterFunc(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.epoch == epoch {
			f()
		}
	})
}

// irq is the drive's interrupt.
func (c *Channel) irq(silent bool) {
	c.bmStatus |= 4
	if c.handler != nil && c.control&2 == 0 && !silent {
		go c.handler()
	}
}
