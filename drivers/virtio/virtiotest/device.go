// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package virtiotest is a virtio device on PCI in memory, seen by its registers. It is
// strict about what drivers must do, and does what devices do that fail, or lie. What
// kind of device it is, says who serves its requests.
package virtiotest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ringo/drivers/dma"
	"ringo/drivers/reg"
	"ringo/drivers/virtio"
	"ringo/drivers/virtio/ring"
)

var le = binary.LittleEndian

// Device is a virtio device. Its fields are set before it is used.
type Device struct {
	Features uint64
	Settings []byte // device-specific registers
	Sizes    []int  // of its queues
	Messages int    // of interrupts
	// Serve is called for each request, and must not wait. It ends with
	// [Request.Done], now or in [Device.After].
	Serve func(r *Request)
	// OnReset, if not nil, is called when the device is reset: no request is any more.
	OnReset func()
	// Patch changes what the configuration space says, by register.
	Patch map[uint16]uint32
	// Read changes what a register of the common configuration says.
	Read func(off uint32, v uint32) uint32

	mu        sync.Mutex
	mem       []byte
	used      int
	status    uint8
	selectDev uint32
	selectDrv uint32
	accepted  uint64
	change    uint16
	gen       uint8
	selected  uint16
	queues    []*queue
	handlers  map[int]func()
	vanished  bool
	stuck     bool
	stopped   atomic.Bool
	resets    int
	wrongs    []string
}

type queue struct {
	layout  ring.Layout
	vector  uint16
	enabled bool
	dev     *ring.Device
	done    uint16 // of answers, also of those that lie
}

// Base is where the memory that the device sees begins.
const Base = 0x1000_0000

// New returns a device with queues of the given sizes that firmware has left working.
func New(serve func(r *Request), sizes ...int) *Device {
	return &Device{
		Features: 1<<32 | ring.FeatureIndirect | ring.FeatureEventIndex, Sizes: sizes, Messages: 1 + len(sizes), Serve: serve,
		mem: make([]byte, 16<<20), status: 15, change: 0xffff, handlers: map[int]func(){}, queues: make([]*queue, len(sizes)),
	}
}

// Function is what a driver needs of the device.
func (d *Device) Function(log func(string)) virtio.Function {
	return virtio.Function{
		Config: d.config, BAR: d.bar, Arena: d, Bind: d.bind, Present: d.Present, Log: log,
		Master: func() error { d.stopped.Store(false); return nil }, Stop: func() { d.stopped.Store(true) },
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

// RAM implements [ring.Memory].
func (d *Device) RAM(a, n uint64) []byte {
	if a < Base || a-Base >= uint64(len(d.mem)) {
		return nil
	}
	return d.mem[a-Base:][:min(n, uint64(len(d.mem))-(a-Base))]
}

func (d *Device) bar(n int) (reg.Window, error) {
	if n != 4 {
		return nil, errors.New("no such base address")
	}
	return window{d}, nil
}

func (d *Device) bind(n int, f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n >= d.Messages {
		return errors.New("no such message")
	}
	d.handlers[n] = f
	return nil
}

// Wrong notes what the driver did that it must not. It is called within Serve.
func (d *Device) Wrong(format string, a ...any) {
	d.wrongs = append(d.wrongs, fmt.Sprintf(format, a...))
}

// Wrongs is what the driver did that it must not.
func (d *Device) Wrongs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.wrongs...)
}

// Resets is how often the device was made ready.
func (d *Device) Resets() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.resets
}

// Vanish takes the device out.
func (d *Device) Vanish() { d.set(func() { d.vanished = true }) }

// Stick keeps the device from being reset.
func (d *Device) Stick() { d.set(func() { d.stuck = true }) }

// Die makes the device need a reset.
func (d *Device) Die() {
	d.set(func() {
		d.status |= 0x40
		d.interrupt(d.change)
	})
}

// Change changes the settings.
func (d *Device) Change(f func(settings []byte)) {
	d.set(func() {
		f(d.Settings)
		d.gen++
		d.interrupt(d.change)
	})
}

// Do calls f in a moment in which requests may be answered, if the device is there.
func (d *Device) Do(f func()) {
	d.set(func() {
		if !d.vanished && d.status&4 != 0 {
			f()
		}
	})
}

func (d *Device) set(f func()) {
	d.mu.Lock()
	f()
	d.mu.Unlock()
}

// Present reports whether the device was not taken out.
func (d *Device) Present() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.vanished
}

// Stopped reports whether bus mastering is off.
func (d *Device) Stopped() bool { return d.stopped.Load() }

// After calls f later, unless the device is reset before.
func (d *Device) After(delay time.Duration, f func()) {
	epoch := d.resets
	time.AfterFunc(delay, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.resets == epoch && d.status&4 != 0 {
			f()
		}
	})
}

func (d *Device) interrupt(vector uint16) {
	if h := d.handlers[int(vector)]; h != nil {
		go h()
	}
}
