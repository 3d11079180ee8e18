// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package virtiotest

import "ringo/drivers/virtio/ring"

// Where the structures are in base address 4.
const (
	commonAt = 0x0000
	isrAt    = 0x1000
	deviceAt = 0x2000
	notifyAt = 0x3000
	barSize  = 0x4000
)

// config is the configuration space: a list of capabilities.
func (d *Device) config(off uint16) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vanished {
		return ^uint32(0)
	}
	if v, ok := d.Patch[off]; ok {
		return v
	}
	capability := func(next, length, kind uint32, rest ...uint32) []uint32 {
		return append([]uint32{9 | next<<8 | length<<16 | kind<<24}, rest...)
	}
	for at, c := range map[uint16][]uint32{
		0x00: {0x1042_1af4, 0x0010_0006},
		0x34: {0x40},
		0x40: capability(0x50, 16, 3, 4, isrAt, 1),
		0x50: capability(0x60, 16, 4, 4, deviceAt, uint32(len(d.Settings))),
		0x60: capability(0x74, 20, 2, 4, notifyAt, 0x1000, 4),
		0x74: capability(0x88, 20, 5, 0, 0, 0, 0),
		0x88: capability(d.msix(), 16, 1, 4, commonAt, 56),
		0x98: {0x11 | uint32(max(d.Messages, 1)-1)<<16, 1, 0x801},
	} {
		if off >= at && int(off-at) < 4*len(c) {
			return c[(off-at)/4]
		}
	}
	return 0
}

// msix is where the capability of MSI-X is, 0: there is none.
func (d *Device) msix() uint32 {
	if d.Messages == 0 {
		return 0
	}
	return 0x98
}

// window is base address 4.
type window struct{ d *Device }

func (w window) Size() uint32                 { return barSize }
func (w window) Read8(off uint32) uint8       { return uint8(w.d.read(off, 1)) }
func (w window) Read16(off uint32) uint16     { return uint16(w.d.read(off, 2)) }
func (w window) Read32(off uint32) uint32     { return w.d.read(off, 4) }
func (w window) Read64(uint32) uint64         { panic("virtiotest: access of eight bytes") }
func (w window) Write64(uint32, uint64)       { panic("virtiotest: access of eight bytes") }
func (w window) Write8(off uint32, v uint8)   { w.d.write(off, 1, uint32(v)) }
func (w window) Write16(off uint32, v uint16) { w.d.write(off, 2, uint32(v)) }
func (w window) Write32(off uint32, v uint32) { w.d.write(off, 4, v) }

func (d *Device) read(off uint32, n int) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.vanished:
		return 0 // as QEMU's devices do that are gone
	case off >= deviceAt && off < deviceAt+uint32(len(d.Settings)):
		if n != 1 {
			d.Wrong("settings are read by %d bytes", n)
		}
		return uint32(d.Settings[off-deviceAt])
	case off >= 0x38:
		d.Wrong("register %#x is read", off)
		return 0
	}
	v := d.common(off)
	if d.Read != nil {
		v = d.Read(off, v)
	}
	return v
}

// size of the selected queue, 0: there is none.
func (d *Device) size() int {
	if int(d.selected) >= len(d.Sizes) {
		return 0
	}
	return d.Sizes[d.selected]
}

func (d *Device) queue() *queue {
	if d.size() == 0 {
		return &queue{}
	}
	if d.queues[d.selected] == nil {
		d.queues[d.selected] = &queue{layout: ring.Layout{Size: d.size()}, vector: 0xffff}
	}
	return d.queues[d.selected]
}

func (d *Device) common(off uint32) uint32 {
	switch off {
	case 0x04:
		return half(d.Features, d.selectDev)
	case 0x10:
		return uint32(d.change)
	case 0x12:
		return uint32(len(d.Sizes))
	case 0x14:
		return uint32(d.status)
	case 0x15:
		return uint32(d.gen)
	case 0x18:
		return uint32(d.queue().layout.Size)
	case 0x1a:
		return uint32(d.queue().vector)
	case 0x1e:
		return uint32(d.selected)
	}
	d.Wrong("common register %#x is read", off)
	return 0
}

func half(v uint64, i uint32) uint32 {
	if i > 1 {
		return 0
	}
	return uint32(v >> (32 * i))
}

func (d *Device) write(off uint32, n int, v uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.vanished:
	case off >= notifyAt:
		if n != 2 || (off-notifyAt)/4 != v {
			d.Wrong("a notification of %d at %#x", v, off-notifyAt)
		}
		d.bell(int(v))
	case off == 0x14:
		d.setStatus(uint8(v))
	case off < 0x38:
		d.set32(off, n, v)
	default:
		d.Wrong("register %#x is written", off)
	}
}

// setStatus is a step of the driver's way to a device that works.
func (d *Device) setStatus(v uint8) {
	switch {
	case v == 0:
		if d.stuck {
			return
		}
		d.status, d.accepted, d.change = 0, 0, 0xffff
		clear(d.queues)
		if d.OnReset != nil {
			d.OnReset()
		}
	case v&0x80 != 0:
		d.status |= 0x80
	case v&^d.status == 8 && d.accepted&(1<<32) == 0, v&8 != 0 && d.accepted&^d.Features != 0:
		d.status = v &^ 8
	case v&4 != 0 && v != 15, v&^0x40 != v&^0x40|d.status&^0x40:
		d.Wrong("status %#x after %#x", v, d.status)
	default:
		d.status = v | d.status&0x40
		if v&4 != 0 {
			d.resets++
		}
	}
}

func (d *Device) set32(off uint32, n int, v uint32) {
	q := d.queue()
	if off >= 0x18 && (d.status&12 != 8 || q.enabled) {
		d.Wrong("register %#x of a queue is written, status %#x, enabled %v", off, d.status, q.enabled)
	}
	put := func(to *uint64) {
		if off%8 == 0 {
			*to = *to&^0xffffffff | uint64(v)
		} else {
			*to = *to&0xffffffff | uint64(v)<<32
		}
	}
	want := 2
	switch off {
	case 0x00:
		d.selectDev, want = v, 4
	case 0x08:
		d.selectDrv, want = v, 4
	case 0x0c:
		want = 4
		if d.status&8 != 0 {
			d.Wrong("features after FEATURES_OK")
		}
		d.accepted = d.accepted&^(0xffffffff<<(32*d.selectDrv)) | uint64(v)<<(32*d.selectDrv)
	case 0x10:
		d.change = d.vector(v)
	case 0x16:
		d.selected = uint16(v)
	case 0x18:
		q.layout.Size = int(v)
	case 0x1a:
		q.vector = d.vector(v)
	case 0x1c:
		d.enable(q)
	case 0x20, 0x24:
		put(&q.layout.Desc)
		want = 4
	case 0x28, 0x2c:
		put(&q.layout.Avail)
		want = 4
	case 0x30, 0x34:
		put(&q.layout.Used)
		want = 4
	default:
		d.Wrong("common register %#x is written", off)
		return
	}
	if n != want {
		d.Wrong("common register %#x is written by %d bytes", off, n)
	}
}

func (d *Device) vector(v uint32) uint16 {
	if int(v) >= d.Messages {
		return 0xffff
	}
	return uint16(v)
}

func (d *Device) enable(q *queue) {
	q.layout.Features = d.accepted
	dev, err := ring.NewDevice(d, q.layout)
	if err != nil || q.layout.Size > d.size() {
		d.Wrong("queue %d: %+v: %v", d.selected, q.layout, err)
		return
	}
	q.dev, q.enabled, q.done = dev, true, 0
}
