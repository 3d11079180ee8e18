// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"ringo/dom0/devmodel/vpci"
	"ringo/drivers/nic"
	"ringo/drivers/virtio/ring"
)

// Classes of commands, and commands ("Control Virtqueue" of the network device).
const (
	classRx       = 0 // a command for each mode of a filter
	classMAC      = 1
	classVLAN     = 2
	classAnnounce = 3
	classQueues   = 4
	classOffloads = 5

	setTable = 0
	setMAC   = 1
	addVLAN  = 0

	commandLen = 2 // class and command
	ackOK      = 0
	ackError   = 1
)

// control is the server of the control queue.
type control struct {
	d *Device
	q *vpci.Queue
}

// Serve implements [vpci.Server].
func (x *control) Serve() vpci.Want {
	for range controlSize {
		r, ok := x.q.Next()
		if !ok {
			return vpci.Notified
		}
		n := x.d.answer(x.q, r)
		if n == 0 {
			return vpci.Broken
		}
		x.q.Done(r, n)
		x.q.Tell()
	}
	return vpci.Again
}

// End implements [vpci.Server].
func (*control) End() {}

// answer does a command, and returns how many bytes it has written: 0 where there is no
// room for an answer.
func (d *Device) answer(q *vpci.Queue, r ring.Request) uint32 {
	c := command{q: q.Device, buffers: r.Buffers}
	for i := range r.Buffers {
		if !r.Buffers[i].Write {
			c.size += uint64(r.Buffers[i].Len)
		}
	}
	ack := byte(ackError)
	var h [commandLen]byte
	if c.read(0, h[:]) && d.do(&c, h[0], h[1]) {
		ack = ackOK
	}
	n := uint32(0)
	for i := range r.Buffers {
		if b := r.Buffers[i]; b.Write && b.Len > 0 && n == 0 {
			b.Len = 1
			q.Bytes(b, func(p []byte) { p[0], n = ack, 1 })
		}
	}
	return n
}

// command is what a driver asks for.
type command struct {
	q       *ring.Device
	buffers []ring.Buffer
	size    uint64
}

// read copies what there is from byte at on, and reports whether there was enough. What is
// read once is not read again: the guest may change it.
func (c *command) read(at uint64, to []byte) bool {
	if at > c.size || uint64(len(to)) > c.size-at {
		return false
	}
	for i := range c.buffers {
		b := c.buffers[i]
		switch {
		case b.Write || len(to) == 0:
			return len(to) == 0
		case at >= uint64(b.Len):
			at -= uint64(b.Len)
			continue
		}
		b.Addr, b.Len = b.Addr+at, b.Len-uint32(at)
		at = 0
		c.q.Bytes(b, func(p []byte) { to = to[copy(to, p):] })
	}
	return len(to) == 0
}

// rest reports whether there are n bytes behind class and command, and copies them.
func (c *command) rest(to []byte) bool {
	return c.size == commandLen+uint64(len(to)) && c.read(commandLen, to)
}

// do does a command, if it was offered and is sound.
func (d *Device) do(c *command, class, cmd byte) bool {
	d.mu.Lock()
	accepted := d.accepted
	d.mu.Unlock()
	has := func(f uint64) bool { return accepted&f != 0 }
	switch {
	case class == classRx && (cmd <= allMulticast && has(featRx) || cmd > allMulticast && cmd < modes && has(featRxExtra)):
		return d.setMode(c, cmd)
	case class == classMAC && cmd == setTable && has(featRx):
		return d.setTable(c)
	case class == classMAC && cmd == setMAC && has(featSetMAC):
		return d.setMAC(c)
	case class == classVLAN && cmd <= addVLAN+1 && has(featVLAN):
		return d.setVLAN(c, cmd == addVLAN)
	case class == classAnnounce && cmd == 0 && has(featAnnounce):
		d.set(func() { d.announce = false })
		return true
	case class == classQueues && cmd == 0 && has(featQueues):
		return d.setPairs(c)
	case class == classOffloads && cmd == 0 && has(featOffloads):
		var b [8]byte
		if !c.rest(b[:]) || le.Uint64(b[:])&^(accepted&offloads) != 0 {
			return false
		}
		d.taken.Store(le.Uint64(b[:]))
		for i := range d.receive { // nothing comes by the old ones when this is answered
			d.receive[i].mu.Lock()
			d.receive[i].mu.Unlock()
		}
		return true
	}
	return false
}

func (d *Device) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *Device) setMode(c *command, mode byte) bool {
	var b [1]byte
	if !c.rest(b[:]) || b[0] > 1 {
		return false
	}
	d.set(func() { d.filter.modes[mode] = b[0] != 0 })
	return true
}

func (d *Device) setMAC(c *command) bool {
	var m nic.MAC
	if !c.rest(m[:]) || !m.Valid() {
		return false
	}
	d.set(func() { d.filter.mac = m })
	return true
}

func (d *Device) setVLAN(c *command, on bool) bool {
	var b [2]byte
	if !c.rest(b[:]) {
		return false
	}
	v := le.Uint16(b[:])
	if v >= 4096 {
		return false
	}
	d.set(func() {
		w := &d.filter.vlans[v/64]
		if *w |= 1 << (v % 64); !on {
			*w &^= 1 << (v % 64)
		}
	})
	return true
}

func (d *Device) setPairs(c *command) bool {
	var b [2]byte
	if !c.rest(b[:]) {
		return false
	}
	n := int(le.Uint16(b[:]))
	if n < 1 || n > d.Pairs {
		return false
	}
	d.set(func() { d.pairs = n })
	return true
}

// setTable takes two tables, of unicast addresses and of others.
func (d *Device) setTable(c *command) bool {
	var unicast, group macs
	at := uint64(commandLen)
	if !unicast.read(c, &at) || !group.read(c, &at) || at != c.size {
		return false
	}
	d.set(func() { d.filter.unicast, d.filter.group = unicast, group })
	return true
}

// read takes a table: the number of addresses, and they.
func (t *macs) read(c *command, at *uint64) bool {
	var b [4]byte
	if !c.read(*at, b[:]) {
		return false
	}
	n := uint64(le.Uint32(b[:]))
	*at += 4
	if n*6 > c.size-*at {
		return false
	}
	t.all = n > maxMACs
	t.n = int(min(n, maxMACs))
	for i := range t.list[:t.n] {
		if !c.read(*at+6*uint64(i), t.list[i][:]) {
			return false
		}
	}
	*at += 6 * n
	return true
}
