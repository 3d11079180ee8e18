// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package e1000test

import (
	"sync/atomic"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// Size implements reg.Window.
func (d *Device) Size() uint32 { return 128 << 10 }

// Read8 is not what the device can do.
func (d *Device) Read8(uint32) uint8 { panic("e1000test: access of one byte") }

// Read16 is not what the device can do.
func (d *Device) Read16(uint32) uint16 { panic("e1000test: access of two bytes") }

// Read64 is not what the device can do.
func (d *Device) Read64(uint32) uint64 { panic("e1000test: access of eight bytes") }

// Write8 is not what the device can do.
func (d *Device) Write8(uint32, uint8) { panic("e1000test: access of one byte") }

// Write16 is not what the device can do.
func (d *Device) Write16(uint32, uint16) { panic("e1000test: access of two bytes") }

// Write64 is not what the device can do.
func (d *Device) Write64(uint32, uint64) { panic("e1000test: access of eight bytes") }

// Read32 implements reg.Window.
func (d *Device) Read32(off uint32) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vanished {
		return ^uint32(0)
	}
	switch off {
	case 0x08:
		v := uint32(0x80)
		if d.link {
			v |= 3
		}
		if d.regs[0]&(1<<2) == 0 && d.New {
			v |= 1 << 19
		}
		return v
	case 0xc0:
		v := d.regs[0xc0]
		// With messages it is cleared by reading while nothing is enabled.
		if !d.New || d.regs[0xd0] == 0 {
			d.regs[0xc0] = 0
		}
		return v
	case 0xd8:
		d.wrong("IMC is read")
	}
	return d.regs[off]
}

// Write32 implements reg.Window.
func (d *Device) Write32(off uint32, v uint32) {
	d.mu.Lock()
	if d.vanished {
		d.mu.Unlock()
		return
	}
	again := false
	switch off {
	case 0x00:
		if v&(1<<26) != 0 {
			d.reset()
			if d.stuck {
				d.regs[0] |= 1 << 26
			}
			break
		}
		d.regs[0] = v
	case 0x14:
		d.regs[0x14] = d.eeprom(v)
	case 0xd0:
		d.regs[0xd0] |= v
		again = d.regs[0xc0]&d.regs[0xd0] != 0
	case 0xd8:
		d.regs[0xd0] &^= v
	case 0x2800, 0x2808, 0x2810:
		if d.regs[0x100]&2 != 0 {
			d.wrong("register %#x is written while receiving", off)
		}
		d.regs[off] = v
	case 0x3800, 0x3808, 0x3810:
		if d.regs[0x400]&2 != 0 {
			d.wrong("register %#x is written while sending", off)
		}
		d.regs[off] = v
	case 0x3818:
		d.regs[off] = v
		again = d.send()
	default:
		d.regs[off] = v
	}
	d.mu.Unlock()
	if again {
		d.cause(0)
	}
}

// reset is that of CTRL.
func (d *Device) reset() {
	clear(d.regs)
	if !d.NoAddress {
		d.regs[0x5400] = uint32(d.MAC[0]) | uint32(d.MAC[1])<<8 | uint32(d.MAC[2])<<16 | uint32(d.MAC[3])<<24
		d.regs[0x5404] = uint32(d.MAC[4]) | uint32(d.MAC[5])<<8 | 1<<31
	}
	d.hang, d.pieces = false, nil
	d.resets++
}

// eeprom answers a write to EERD.
func (d *Device) eeprom(v uint32) uint32 {
	shift, done := 8, uint32(1<<4)
	if d.New {
		shift, done = 2, 1<<1
	}
	if v&1 == 0 || v>>shift > 2 {
		return done
	}
	w := 2 * (v >> shift)
	return done | uint32(d.MAC[w])<<16 | uint32(d.MAC[w+1])<<24
}

// ring returns where one is, and how many entries it has.
func (d *Device) ring(at uint32) (base uint64, n uint32) {
	base = uint64(d.regs[at]) | uint64(d.regs[at+4])<<32
	n = d.regs[at+8] / 16
	if base%16 != 0 || d.regs[at+8]%128 != 0 || n == 0 || d.regs[at+0x10] >= n || d.regs[at+0x18] >= n {
		d.wrong("ring at %#x: %#x, %d entries, head %d, tail %d", at, base, n, d.regs[at+0x10], d.regs[at+0x18])
		return 0, 0
	}
	return base, n
}

// send sends all up to the tail. It reports whether that is worth an interrupt.
func (d *Device) send() bool {
	base, n := d.ring(0x3800)
	if n == 0 || d.regs[0x400]&2 == 0 || d.hang || d.stopped {
		return false
	}
	for d.regs[0x3810] != d.regs[0x3818] {
		at := base + 16*uint64(d.regs[0x3810])
		b := d.ram(at, 16)
		third := le.Uint32(b[8:])
		switch {
		case third&(1<<29) == 0:
			d.wrong("a descriptor of the legacy form")
		case third>>20&15 == 0:
			copy(d.context[:], b)
		default:
			d.pieces = append(d.pieces, d.ram(le.Uint64(b), int(third&0xfffff))...)
			if third&(1<<24) != 0 {
				d.finish(third, le.Uint32(b[12:]))
				d.pieces = nil
			}
			if third&(1<<27) != 0 {
				last := dma.Segment{Addr: at, Bytes: b}.Word32(12)
				atomic.StoreUint32(last, atomic.LoadUint32(last)|1)
				d.regs[0xc0] |= 1
				if d.New {
					d.regs[0xc0] |= 1 << 22
				}
			}
		}
		d.regs[0x3810] = (d.regs[0x3810] + 1) % n
	}
	return true
}

// finish sends a frame, with what its descriptors ask for.
func (d *Device) finish(third, fourth uint32) {
	f := nic.Frame{}
	if fourth&(2<<8) != 0 {
		c := d.context
		f.Sum, f.SumStart, f.SumOffset = true, uint16(c[4]), uint16(c[5]-c[4])
		if third&(1<<26) != 0 {
			f.Segment, f.Headers, f.V6 = le.Uint16(c[14:]), uint16(c[13]), le.Uint32(c[8:])&(1<<25) == 0
			if le.Uint32(c[8:])&0xfffff != uint32(len(d.pieces))-uint32(c[13]) {
				d.wrong("a context for %d bytes, of %d", le.Uint32(c[8:])&0xfffff, len(d.pieces)-int(c[13]))
			}
		}
		if !d.New {
			d.wrong("checksums of an 82540EM")
		}
	}
	for _, b := range nictest.Finish(d.pieces, &f) {
		if len(b) > nic.MaxFrame {
			d.wrong("a frame of %d bytes", len(b))
		}
		if d.Sent != nil {
			d.Sent(b)
		}
	}
}

// Receive has a frame come. It reports false if there was no room.
func (d *Device) Receive(frame []byte) bool {
	d.mu.Lock()
	base, n := d.ring(0x2800)
	if n == 0 || d.regs[0x100]&2 == 0 || d.regs[0x2810] == d.regs[0x2818] || d.stopped {
		d.dropped++
		d.mu.Unlock()
		return false
	}
	if d.Filter && frame[0]&1 == 0 && nic.MAC(frame) != d.MAC && d.regs[0x100]&8 == 0 {
		d.mu.Unlock()
		return true
	}
	at := base + 16*uint64(d.regs[0x2810])
	b := d.ram(at, 16)
	last := dma.Segment{Addr: at, Bytes: b}.Word32(12)
	if v := atomic.LoadUint32(last); v != 0 {
		d.wrong("descriptor %d is given with status %#x", d.regs[0x2810], v)
	}
	copy(d.ram(le.Uint64(b), 2048), frame)
	length, status, errs := uint16(len(frame)), uint8(3|1<<5), uint8(0)
	if d.Written != nil {
		length, status, errs = d.Written(length, status, errs)
	}
	le.PutUint16(b[8:], length)
	atomic.StoreUint32(last, uint32(errs)<<8|uint32(status))
	d.regs[0x2810] = (d.regs[0x2810] + 1) % n
	d.mu.Unlock()
	d.cause(1 << 7)
	return true
}
