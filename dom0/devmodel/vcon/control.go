// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcon

import (
	"encoding/binary"
	"math/bits"

	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/virtio/ring"
)

// Messages of the control queues: the number of a port, an event and a value (VIRTIO 1.2,
// "Multiport Device Operation").
const (
	messageLen = 8

	eventReady     = 0
	eventAdd       = 1
	eventPortReady = 3
	eventConsole   = 4
	eventOpen      = 6
	eventName      = 7
)

// events are those of what is due for a port.
var events = [...]uint16{eventAdd, eventConsole, eventName, eventOpen}

// hear takes a message of the driver.
func (d *Device) hear(b *[messageLen]byte) {
	le := binary.LittleEndian
	n, event, on := le.Uint32(b[:]), le.Uint16(b[4:]), le.Uint16(b[6:]) != 0
	d.mu.Lock()
	defer d.mu.Unlock()
	if event == eventReady {
		for _, p := range d.ports {
			if p != nil && on {
				p.due |= dueAdd
			}
		}
		d.news.wake()
		return
	}
	p := d.find(n)
	if p == nil {
		return
	}
	switch event {
	case eventPortReady:
		p.ready = on
		if p.due = 0; on {
			p.due = dueOpen | dueName
			if p.name == "" {
				p.due = dueOpen | dueConsole
			}
			d.news.wake()
		}
	case eventOpen:
		p.opened(on)
		p.receive.wake()
	}
}

// next makes the next message for the driver in b, and returns it; nil: there is none.
func (d *Device) next(b []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range d.ports {
		if p == nil || p.due == 0 {
			continue
		}
		n := bits.TrailingZeros8(p.due)
		p.due &^= 1 << n
		value := uint16(1)
		if n == bits.TrailingZeros8(dueOpen) && !p.attended {
			value = 0
		}
		le := binary.LittleEndian
		b = le.AppendUint16(le.AppendUint16(le.AppendUint32(b, uint32(i)), events[n]), value)
		if events[n] == eventName {
			b = append(b, p.name...)
		}
		return b
	}
	return nil
}

// waits reports whether there is a message for the driver.
func (d *Device) waits() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.ports {
		if p != nil && p.due != 0 {
			return true
		}
	}
	return false
}

// tell sends the driver what is due.
func (d *Device) tell(q *vpci.Queue) vpci.Want {
	var room [messageLen + 64]byte
	for range batch {
		if !d.waits() {
			return vpci.Woken
		}
		r, ok := q.Next()
		if !ok {
			return vpci.Notified
		}
		b := d.next(room[:0])
		if len(b) == 0 { // the driver has just said that it does not want it
			q.Undo(1)
			return vpci.Woken
		}
		if !write(q.Device, r, b) {
			return vpci.Broken
		}
		q.Done(r, uint32(len(b)))
	}
	return vpci.Again
}

// listen takes what the driver says.
func (d *Device) listen(q *vpci.Queue) vpci.Want {
	for range batch {
		r, ok := q.Next()
		if !ok {
			return vpci.Notified
		}
		var b [messageLen]byte
		n := 0
		for i := range r.Buffers {
			if r.Buffers[i].Write {
				return vpci.Broken
			}
			if n < len(b) {
				q.Bytes(r.Buffers[i], func(p []byte) { n += copy(b[n:], p) })
			}
		}
		if n == len(b) {
			d.hear(&b)
		}
		q.Done(r, 0)
	}
	return vpci.Again
}

// write fills the buffers of a request with b, and reports whether there was room.
func write(d *ring.Device, r ring.Request, b []byte) bool {
	for i := range r.Buffers {
		if !r.Buffers[i].Write {
			return false
		}
		if len(b) > 0 {
			d.Bytes(r.Buffers[i], func(p []byte) { b = b[copy(p, b):] })
		}
	}
	return len(b) == 0
}
