// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package nvmetest is an NVMe controller in memory, seen by its registers. It is strict
// about what drivers must do, and does what devices do that fail, or lie.
package nvmetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/dma"
)

var le = binary.LittleEndian

// BlockSize is the device's, in bytes.
const BlockSize = 512

// Command is a command as the device got it.
type Command struct {
	Queue     uint16
	Op        uint8
	ID        uint16
	Namespace uint32
	PRP1      uint64
	PRP2      uint64
	D10       uint32
	D11       uint32
	D12       uint32
}

// Fault is what the device does with a command instead of carrying it out well.
type Fault struct {
	Status    uint16        // without the phase; the command has no other effect
	Delay     time.Duration // before it is carried out
	Drop      bool          // it is never answered, unless aborted
	Deaf      bool          // not even then
	Twice     bool          // it is answered twice
	WrongID   bool          // the answer is about another command
	WrongFrom bool          // the answer is about another queue
	Silent    bool          // no interrupt
}

// Device is a controller with one namespace, number 1. Its fields are set before it is
// used.
type Device struct {
	Blocks   uint64
	Entries  int // of a queue, at most
	Queues   int // I/O queues
	Messages int // of interrupts
	MDTS     uint8
	// Fault is asked about each command.
	Fault func(c Command) Fault
	// Identify changes what the device says it is: what is the CNS.
	Identify func(what uint32, page []byte)

	mu       sync.Mutex
	mem      []byte
	used     int
	regs     map[uint32]uint32
	asq, acq uint64
	pairs    map[uint16]*pair
	cqs      map[uint16]*cqueue
	handlers map[int]func()
	medium   *blocktest.Medium
	vanished bool
	stuck    bool // RDY stays as it is
	stopped  bool
	left     int // commands that are delayed
	dropped  map[uint32]Command
	wrongs   []string
	resets   int
}

type pair struct {
	base          uint64
	entries, head int
	cq            uint16
}

type cqueue struct {
	base                uint64
	entries, tail, head int
	phase               uint32
	vector              int // -1: none
}

// Base is where the memory that the device sees begins.
const Base = 0x1000_0000

// New returns a device that nobody has used yet, and that firmware left enabled, with
// queues of its own.
func New() *Device {
	return &Device{
		Blocks: 1 << 20, medium: blocktest.NewMedium(1<<20, BlockSize), Entries: 128, Queues: 4, Messages: 5, MDTS: 7,
		mem: make([]byte, 16<<20), regs: map[uint32]uint32{0x14: 1, 0x1c: 1, 0x24: 0x00070007}, pairs: map[uint16]*pair{}, cqs: map[uint16]*cqueue{},
		handlers: map[int]func(){}, dropped: map[uint32]Command{},
	}
}

// Alloc implements [dma.Arena].
func (d *Device) Alloc(size, align int) (dma.Segment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := (d.used + align - 1) &^ (align - 1)
	if at+size > len(d.mem) {
		return dma.Segment{}, dma.ErrMemory
	}
	d.used = at + size
	return dma.Segment{Addr: Base + uint64(at), Bytes: d.mem[at : at+size : at+size]}, nil
}

// ram is n bytes at a bus address.
func (d *Device) ram(a uint64, n int) []byte {
	if a < Base || a-Base+uint64(n) > uint64(len(d.mem)) {
		d.wrong("an access to %#x, %d bytes: no memory", a, n)
		return make([]byte, n)
	}
	return d.mem[a-Base:][:n]
}

func (d *Device) wrong(format string, a ...any) {
	d.wrongs = append(d.wrongs, fmt.Sprintf(format, a...))
}

// Wrongs is what the driver did that it must not.
func (d *Device) Wrongs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.wrongs...)
}

// Resets is how often the device was enabled.
func (d *Device) Resets() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.resets
}

// Bind connects interrupt message n.
func (d *Device) Bind(n int, f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n >= d.Messages {
		return errors.New("no such message")
	}
	d.handlers[n] = f
	return nil
}

// Vanish takes the device out.
func (d *Device) Vanish() { d.set(func() { d.vanished = true }) }

// Stick keeps the device from stopping.
func (d *Device) Stick() { d.set(func() { d.stuck = true }) }

// Die sets the fatal status.
func (d *Device) Die() { d.set(func() { d.regs[0x1c] |= 2 }) }

// Stop turns bus mastering off.
func (d *Device) Stop() { d.set(func() { d.stopped = true }) }

func (d *Device) set(f func()) {
	d.mu.Lock()
	f()
	d.mu.Unlock()
}

// Present reports whether it was not taken out.
func (d *Device) Present() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.vanished
}

// Stopped reports whether bus mastering is off.
func (d *Device) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

// Kept returns a block as it is after a loss of power: what was flushed.
func (d *Device) Kept(block uint64) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.medium.Kept(block)
}

// SetFate puts a script of the conformance test in the place of Fault.
func (d *Device) SetFate(fate blocktest.Fate) {
	d.Fault = func(c Command) (f Fault) {
		if c.Queue == 0 {
			return f
		}
		op := map[uint8]block.Op{0: block.Flush, 1: block.Write, 2: block.Read, 8: block.WriteZeroes, 9: block.Discard}[c.Op]
		b := fate(blocktest.Command{Op: op, Start: uint64(c.D10) | uint64(c.D11)<<32, Blocks: c.D12&0xffff + 1})
		f = Fault{Delay: b.Delay, Deaf: b.Drop, Silent: b.Silent, Twice: b.Lie == 1, WrongID: b.Lie == 2, WrongFrom: b.Lie == 3}
		switch {
		case b.Media:
			f.Status = 2<<8 | 0x81
		case b.Fails:
			f.Status = 6
		}
		return f
	}
}
