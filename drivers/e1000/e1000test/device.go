// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package e1000test is an Intel gigabit controller in memory, seen by its registers. It is
// strict about what drivers must do, and does what devices do that fail, or lie.
package e1000test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
)

var le = binary.LittleEndian

// Base is where the memory that the device sees begins.
const Base = 0x2000_0000

// Device is a controller. Its fields are set before it is used, but for the functions,
// which are called with a lock held.
type Device struct {
	New       bool // an 82574L
	MAC       nic.MAC
	NoAddress bool // the registers have no address after a reset: it is in the EEPROM
	NoIRQ     bool
	Filter    bool // frames for other addresses do not come, unless RCTL says so
	// Sent gets each frame that leaves.
	Sent func(b []byte)
	// Written changes what is written of a received frame: length, status, errors.
	Written func(length uint16, status, errs uint8) (uint16, uint8, uint8)
	// Silent loses interrupts while it returns true.
	Silent func() bool

	mu       sync.Mutex
	mem      []byte
	used     int
	regs     map[uint32]uint32
	handler  func()
	link     bool
	hang     bool // nothing is sent any more, until a reset
	stuck    bool // resets do not end
	vanished bool
	stopped  bool
	context  [16]byte
	pieces   []byte
	wrongs   []string
	resets   int
	dropped  int
}

// New returns a device that firmware has left receiving.
func New(newer bool) *Device {
	d := &Device{New: newer, MAC: nic.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}, mem: make([]byte, 4<<20), regs: map[uint32]uint32{}, link: true}
	d.reset()
	d.regs[0x100], d.regs[0xd0] = 2, 0x84
	d.resets = 0
	return d
}

// Alloc implements dma.Arena.
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

// Resets is how often the device was reset.
func (d *Device) Resets() int { return get(d, func() int { return d.resets }) }

// Dropped is how many frames had no room.
func (d *Device) Dropped() int { return get(d, func() int { return d.dropped }) }

// Present reports whether it was not taken out.
func (d *Device) Present() bool { return get(d, func() bool { return !d.vanished }) }

// Stopped reports whether bus mastering is off.
func (d *Device) Stopped() bool { return get(d, func() bool { return d.stopped }) }

func get[T any](d *Device, f func() T) T {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f()
}

func (d *Device) set(f func()) {
	d.mu.Lock()
	f()
	d.mu.Unlock()
}

// Vanish takes the device out.
func (d *Device) Vanish() { d.set(func() { d.vanished = true }) }

// Hang keeps it from sending until it is reset.
func (d *Device) Hang() { d.set(func() { d.hang = true }) }

// Stick keeps it from being reset.
func (d *Device) Stick() { d.set(func() { d.stuck = true }) }

// Master turns bus mastering on.
func (d *Device) Master() error { d.set(func() { d.stopped = false }); return nil }

// Stop turns bus mastering off.
func (d *Device) Stop() { d.set(func() { d.stopped = true }) }

// Bind connects the interrupt.
func (d *Device) Bind(f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.NoIRQ {
		return errors.New("no interrupt")
	}
	d.handler = f
	return nil
}

// SetLink puts the cable in, or takes it out.
func (d *Device) SetLink(up bool) {
	d.set(func() { d.link = up })
	d.cause(1 << 2)
}

// cause sets a bit of ICR, and interrupts.
func (d *Device) cause(bits uint32) {
	d.mu.Lock()
	if d.New {
		for from, to := range map[uint32]uint32{1<<7 | 1<<4 | 1<<6: 1 << 20, 1: 1 << 22, 1 << 2: 1 << 24} {
			if bits&from != 0 {
				bits |= to
			}
		}
	}
	d.regs[0xc0] |= bits
	f := d.handler
	if d.regs[0xc0]&d.regs[0xd0] == 0 || d.vanished || d.Silent != nil && d.Silent() {
		f = nil
	}
	d.mu.Unlock()
	if f != nil {
		f()
	}
}
