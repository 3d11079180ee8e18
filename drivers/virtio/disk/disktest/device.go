// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package disktest is a virtio block device in memory.
package disktest

import (
	"encoding/binary"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
	"ringo/drivers/virtio/virtiotest"
)

var le = binary.LittleEndian

// Lies is how many ways to lie the device has.
const Lies = 5

// Device is a virtio block device.
type Device struct {
	*virtiotest.Device
	Mute   bool          // it never says its serial number
	Late   time.Duration // or so late
	fate   blocktest.Fate
	medium *blocktest.Medium
}

// New returns a device of 1 Mi blocks of 512 bytes, with so many queues of a size.
func New(queues, size int) *Device {
	sizes := make([]int, queues)
	for i := range sizes {
		sizes[i] = size
	}
	d := &Device{medium: blocktest.NewMedium(1<<20, 512)}
	d.Device = virtiotest.New(d.serve, sizes...)
	d.Features |= 1<<2 | 1<<6 | 1<<9 | 1<<11 | 1<<12 | 1<<13 | 1<<14
	d.Settings = make([]byte, 60)
	s := d.Settings
	le.PutUint64(s, 1<<20)
	le.PutUint32(s[12:], 126)
	le.PutUint32(s[20:], 512)
	s[32] = 1
	le.PutUint16(s[34:], uint16(queues))
	le.PutUint32(s[36:], 1<<16)
	le.PutUint32(s[40:], 1)
	le.PutUint32(s[48:], 1<<16)
	le.PutUint32(s[52:], 1)
	return d
}

// SetFate says what becomes of commands.
func (d *Device) SetFate(f blocktest.Fate) { d.fate = f }

// Kept is a block after a loss of power.
func (d *Device) Kept(at uint64) []byte { return d.medium.Kept(at) }

// wrong is an answer to a request that no driver makes.
func (d *Device) wrong(r *virtiotest.Request, format string, a ...any) {
	d.Wrong(format, a...)
	d.answer(r, 2, 0)
}

// answer writes the status behind n bytes of data.
func (d *Device) answer(r *virtiotest.Request, status byte, n int) {
	r.Write(r.Room()-1, []byte{status})
	r.Done(uint32(n + 1))
}

var ops = map[uint32]block.Op{0: block.Read, 1: block.Write, 4: block.Flush, 11: block.Discard, 13: block.WriteZeroes}

// serve takes a request.
func (d *Device) serve(r *virtiotest.Request) {
	if len(r.Out) < 16 || r.Room() < 1 {
		d.wrong(r, "a request of %d and %d bytes", len(r.Out), r.Room())
		return
	}
	kind := le.Uint32(r.Out)
	op, ok := ops[kind]
	if kind == 8 && r.Room() == 21 {
		say := func() { d.answer(r, 0, r.Write(0, []byte("SERIAL1\x00\x1b[1m"))) }
		switch {
		case d.Mute:
		case d.Late > 0:
			d.After(d.Late, say)
		default:
			say()
		}
		return
	}
	if !ok {
		d.wrong(r, "a request of type %d", kind)
		return
	}
	c := blocktest.Command{Op: op, Start: le.Uint64(r.Out[8:]), Blocks: uint32(max(len(r.Out)-16, r.Room()-1) / 512)}
	if op >= block.Discard {
		if len(r.Out) != 32 {
			d.wrong(r, "%d bytes of ranges", len(r.Out)-16)
			return
		}
		c.Start, c.Blocks = le.Uint64(r.Out[16:]), le.Uint32(r.Out[24:])
	}
	var f blocktest.Fault
	if d.fate != nil {
		f = d.fate(c)
	}
	switch {
	case f.Drop:
	case f.Delay > 0:
		d.After(f.Delay, func() { d.finish(r, c, f) })
	default:
		d.finish(r, c, f)
	}
}

// finish carries a request out and answers it.
func (d *Device) finish(r *virtiotest.Request, c blocktest.Command, f blocktest.Fault) {
	if d.Stopped() {
		return
	}
	switch {
	case f.Media:
		d.answer(r, 1, 0)
		return
	case f.Fails:
		r.Done(1) // without a status
		return
	case !d.medium.Has(c.Start, uint64(c.Blocks)):
		d.wrong(r, "blocks %d to %d", c.Start, c.Start+uint64(c.Blocks))
		return
	}
	n := 0
	switch c.Op {
	case block.Read:
		b := make([]byte, c.Blocks*512)
		d.medium.Read(c.Start, b)
		n = r.Write(0, b)
	case block.Write:
		d.medium.Write(c.Start, r.Out[16:], d.Settings[32] == 0)
	case block.Flush:
		d.medium.Flush()
	default:
		d.medium.Zero(c.Start, uint64(c.Blocks))
	}
	r.Write(r.Room()-1, []byte{0})
	r.Silent(f.Silent)
	switch f.Lie {
	case 1:
		r.Lie(virtiotest.Fault{WrongID: true}, uint32(n+1))
	case 2:
		r.Lie(virtiotest.Fault{Beyond: true}, uint32(n+1))
	case 3:
		r.Lie(virtiotest.Fault{Jump: 0x4000}, uint32(n+1))
	case 4:
		r.Lie(virtiotest.Fault{Silent: true, Beyond: true}, uint32(n+1))
	case 5:
		r.Done(1 << 30)
	default:
		r.Done(uint32(n + 1))
	}
}
