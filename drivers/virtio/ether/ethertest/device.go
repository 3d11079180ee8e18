// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package ethertest is a virtio network device in memory.
package ethertest

import (
	"encoding/binary"

	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
	"ringo/drivers/virtio/virtiotest"
)

var le = binary.LittleEndian

const headerLen = 12

// Lie is how a received frame is not as it must be.
type Lie struct {
	Parts uint16 // in so many buffers, says its header; 0: as many as there are
	Short bool   // the header itself is not whole
	Fault *virtiotest.Fault
}

// Device is a virtio network device. Its fields are set before it is used.
type Device struct {
	*virtiotest.Device
	MAC nic.MAC
	// Sent gets each frame that leaves.
	Sent func(b []byte)
	// Flags are those of the header of what comes.
	Flags byte
	// Lie is how the next frame lies, if it is not nil; guarded as requests are.
	Lie func() Lie

	empty []*virtiotest.Request // buffers for what comes
	hang  bool
}

// New returns a device with features beside those that each has.
func New(features uint64) *Device {
	d := &Device{MAC: nic.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x57}, Flags: 2}
	d.Device = virtiotest.New(d.serve, 256, 256)
	d.OnReset = func() { d.empty, d.hang = nil, false }
	d.Features |= features | 1<<5 | 1<<16
	d.Settings = make([]byte, 12)
	copy(d.Settings, d.MAC[:])
	d.Settings[6] = 1
	return d
}

// SetLink puts the cable in, or takes it out.
func (d *Device) SetLink(up bool) {
	d.Change(func(s []byte) {
		s[6] = 0
		if up {
			s[6] = 1
		}
	})
}

// Hang keeps it from sending until it is reset.
func (d *Device) Hang() { d.Do(func() { d.hang = true }) }

func (d *Device) serve(r *virtiotest.Request) {
	if r.Queue == 0 {
		if len(r.Out) != 0 || r.Room() < 1526 {
			d.Wrong("a buffer of %d bytes, and %d to read", r.Room(), len(r.Out))
		}
		d.empty = append(d.empty, r)
		return
	}
	if d.hang {
		return
	}
	d.send(r)
	r.Done(0)
}

// send sends a frame, as its header says.
func (d *Device) send(r *virtiotest.Request) {
	if len(r.Out) < headerLen || len(r.In) > 0 {
		d.Wrong("a frame of %d bytes", len(r.Out))
		return
	}
	h, b := r.Out[:headerLen], r.Out[headerLen:]
	f := nic.Frame{Sum: h[0]&1 != 0, SumStart: le.Uint16(h[6:]), SumOffset: le.Uint16(h[8:])}
	if h[1] != 0 {
		f.Segment, f.Headers, f.V6 = le.Uint16(h[4:]), le.Uint16(h[2:]), h[1] == 4
	}
	if f.Sum && d.Features&1 == 0 || f.Segment != 0 && d.Features&(1<<11) == 0 {
		d.Wrong("%x: that is not offered", h)
		return
	}
	for _, p := range nictest.Finish(b, &f) {
		if len(p) > nic.MaxFrame {
			d.Wrong("a frame of %d bytes", len(p))
		}
		if d.Sent != nil {
			d.Sent(p)
		}
	}
}

// Receive has a frame come. It reports false if there was no room.
func (d *Device) Receive(frame []byte) (ok bool) {
	d.Do(func() { ok = d.receive(frame) })
	return ok
}

func (d *Device) receive(frame []byte) bool {
	var lie Lie
	if d.Lie != nil {
		lie = d.Lie()
	}
	b := make([]byte, headerLen+len(frame))
	b[0] = d.Flags
	copy(b[headerLen:], frame)
	// How many buffers that is.
	parts, room := 0, 0
	for parts < len(d.empty) && room < len(b) {
		room += d.empty[parts].Room()
		parts++
	}
	if room < len(b) || parts > 1 && d.Features&(1<<15) == 0 {
		return false
	}
	le.PutUint16(b[10:], uint16(parts))
	if lie.Parts != 0 {
		le.PutUint16(b[10:], lie.Parts)
	}
	for _, r := range d.empty[:parts] {
		n := r.Write(0, b)
		b = b[n:]
		switch {
		case lie.Short:
			n = headerLen - 1
			r.Done(uint32(n))
		case lie.Fault != nil:
			r.Lie(*lie.Fault, uint32(n))
		default:
			r.Done(uint32(n))
		}
	}
	d.empty = d.empty[parts:]
	return true
}
