// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ahcitest is an AHCI controller in memory, seen by its registers, with disks and
// an ATAPI drive. It is strict about what drivers must do, and does what devices do that
// fail, or lie.
package ahcitest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"ringo/drivers/ata/atatest"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/dma"
)

var le = binary.LittleEndian

// Base is where the memory that the device sees begins.
const Base = 0x1000_0000

// Lies is how many ways to lie the device has.
const Lies = 4

// Device is a controller with six ports, of which 0 has a disk. Its fields are set before
// it is used.
type Device struct {
	CAP      uint32
	Messages int
	Drives   [6]*atatest.Drive // nil: nothing is plugged in
	// Fate is asked about each command of port 0 that reads or writes.
	Fate blocktest.Fate
	// ClearsFailed makes the bit in CI of a command that failed go away, as QEMU's does.
	ClearsFailed bool

	mu       sync.Mutex
	mem      []byte
	used     int
	ghc, is  uint32
	bohc     uint32
	ports    [6]port
	handlers map[int]func()
	vanished bool
	stuck    bool
	stopped  bool
	wrongs   []string
	resets   int
}

// port is a port's registers.
type port struct {
	n                           int
	clb, fb                     uint64
	is, ie, cmd, tfd, sig, sctl uint32
	serr, sact, ci              uint32
	down                        bool // no link
	halted                      bool // by an error
	epoch                       int
}

// New returns a device that firmware has left working.
func New() *Device {
	d := &Device{
		CAP: 1<<31 | 1<<30 | 31<<8 | 5, Messages: 1, mem: make([]byte, 24<<20), ghc: 1 << 31, handlers: map[int]func(){},
	}
	for i := range d.ports {
		d.ports[i] = port{n: i, cmd: 0xc017, tfd: 0x50, sig: 0xffff0101}
	}
	d.Drives[0] = atatest.NewDisk("SERIAL1", 1<<20)
	return d
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

// Do calls f in a moment in which no drive is asked for anything.
func (d *Device) Do(f func()) { d.set(f) }

func (d *Device) set(f func()) {
	d.mu.Lock()
	f()
	d.mu.Unlock()
}

// SetFate says what becomes of commands.
func (d *Device) SetFate(f blocktest.Fate) { d.Fate = f }

// Vanish takes the controller out.
func (d *Device) Vanish() { d.set(func() { d.vanished = true }) }

// Stick keeps ports from stopping.
func (d *Device) Stick() { d.set(func() { d.stuck = true }) }

// Die makes the disk at port 0 stay busy until it is reset.
func (d *Device) Die() {
	d.set(func() {
		p := &d.ports[0]
		p.halted, p.tfd = true, 0x80
		p.epoch++
		d.raise(p, 1<<27, false)
	})
}

// Stop turns bus mastering off.
func (d *Device) Stop() { d.set(func() { d.stopped = true }) }

// Unplug takes out what is at a port.
func (d *Device) Unplug(n int) {
	d.set(func() {
		p := &d.ports[n]
		p.down, p.halted, p.tfd = true, true, 0x7f
		p.epoch++
		d.raise(p, 1<<22, false)
	})
}

// Plug plugs something in.
func (d *Device) Plug(n int, v *atatest.Drive) {
	d.set(func() {
		p := &d.ports[n]
		d.Drives[n], p.down = v, false
		p.halted = true // until a reset
		p.serr |= 1 << 26
		d.raise(p, 1<<6, false)
	})
}

// Reset resets the controller, as somebody else than the driver may: firmware, or a fault.
func (d *Device) Reset() { d.set(d.resetAll) }

func (d *Device) resetAll() {
	d.ghc = 1 << 31
	for i := range d.ports {
		d.ports[i] = port{n: i, tfd: 0x7f, sig: ^uint32(0), epoch: d.ports[i].epoch + 1, down: d.ports[i].down}
	}
}

// Stray makes port 0 report an error that no command has.
func (d *Device) Stray() { d.set(func() { d.raise(&d.ports[0], 1<<30, false) }) }

// Present reports whether the controller was not taken out.
func (d *Device) Present() (yes bool) {
	d.set(func() { yes = !d.vanished })
	return yes
}

// Stopped reports whether bus mastering is off.
func (d *Device) Stopped() (yes bool) {
	d.set(func() { yes = d.stopped })
	return yes
}

// Resets is how often the disk at port 0 was reset.
func (d *Device) Resets() (n int) {
	d.set(func() { n = d.resets })
	return n
}

// Wrongs is what the driver did that it must not.
func (d *Device) Wrongs() (all []string) {
	d.set(func() { all = append(all, d.wrongs...) })
	return all
}

// Kept is a block of port 0 after a loss of power.
func (d *Device) Kept(at uint64) (b []byte) {
	d.set(func() { b = d.Drives[0].Medium.Kept(at) })
	return b
}

// raise sets bits of a port's interrupt status.
func (d *Device) raise(p *port, bits uint32, silent bool) {
	p.is |= bits
	if p.is&p.ie == 0 {
		return
	}
	d.is |= 1 << p.n
	if h := d.handlers[0]; h != nil && d.ghc&2 != 0 && !silent {
		go h()
	}
}
