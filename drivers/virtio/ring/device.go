// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ring

import "sync/atomic"

// Device is the side that serves requests. One goroutine uses it.
type Device struct {
	mem    Memory
	p      parts
	next   uint16 // index in the available ring of the next request
	done   uint16 // index in the used ring
	later  uint16 // requests behind done that are written, and not published
	told   uint16 // done when the driver was last told, or need not be
	err    error
	buffer []Buffer // of the request that Next returned, reused
	word   atomic.Uint32
}

// Request is a chain of buffers, those that the device reads first.
type Request struct {
	head    uint16
	Buffers []Buffer // valid until the next call of Next
}

// NewDevice returns the device's side of a ring that the driver has set up, from
// its beginning.
//
// Preconditions: what mem returned for the ring stays there for as long as the
// Device is used.
func NewDevice(mem Memory, l Layout) (*Device, error) {
	p, err := l.find(mem)
	if err != nil {
		return nil, err
	}
	return &Device{mem: mem, p: p}, nil
}

// Broken returns what the driver did wrong, nil if nothing.
func (d *Device) Broken() error { return d.err }

// Next takes the next request. ok is false when there is none, or the ring is
// broken.
func (d *Device) Next() (r Request, ok bool) {
	if d.err != nil {
		return r, false
	}
	n := load16(d.p.avail.at(2)) - d.next
	if n == 0 {
		return r, false
	}
	if int(n) > d.p.Size {
		d.err = ErrIndex
		return r, false
	}
	head := load16(d.p.avail.at(ringHead + 2*int(d.next)%(2*d.p.Size)))
	d.buffer = d.buffer[:0]
	if d.err = d.chain(d.p.Desc, head, d.p.Size, d.p.Features&FeatureIndirect != 0); d.err != nil {
		return r, false
	}
	d.next++
	return Request{head, d.buffer}, true
}

// chain collects the buffers of the chain that begins at i of the table with size
// descriptors at an address. indirect says whether one may refer to a table of its own.
func (d *Device) chain(table uint64, i uint16, size int, indirect bool) error {
	for range size {
		if int(i) >= size {
			return ErrChain
		}
		desc := d.mem.RAM(table+uint64(i)*descLen, descLen)
		if len(desc) != descLen {
			return ErrBuffer
		}
		b := Buffer{Addr: load64(desc), Len: load32(desc[8:])}
		flags := load16(desc[12:])
		if flags&flagIndirect != 0 {
			if !indirect || flags&(flagNext|flagWrite) != 0 {
				return ErrChain
			}
			return d.indirect(b)
		}
		b.Write = flags&flagWrite != 0
		if n := len(d.buffer); n > 0 && d.buffer[n-1].Write && !b.Write {
			return ErrChain
		}
		if !present(d.mem, b) {
			return ErrBuffer
		}
		d.buffer = append(d.buffer, b)
		if flags&flagNext == 0 {
			return nil
		}
		i = load16(desc[14:])
	}
	return ErrChain // a loop
}

// indirect collects the buffers of the table in b. It is all of the chain that
// follows (VIRTIO 1.2, "Indirect Descriptors").
func (d *Device) indirect(b Buffer) error {
	n := int(b.Len / descLen)
	if b.Len%descLen != 0 || n == 0 || n > d.p.Size {
		return ErrChain
	}
	return d.chain(b.Addr, 0, n, false)
}

// present reports whether all of b is RAM.
func present(m Memory, b Buffer) bool {
	if b.Addr+uint64(b.Len) < b.Addr {
		return false
	}
	for a, n := b.Addr, uint64(b.Len); n > 0; {
		got := uint64(len(m.RAM(a, n)))
		if got == 0 || got > n {
			return false
		}
		a, n = a+got, n-got
	}
	return true
}

// Done gives a request back, of which the device has written n bytes. The driver
// sees it at once; [Device.Interrupt] says whether it wants to hear of it.
func (d *Device) Done(r Request, n uint32) {
	d.Later(r, n)
	d.Publish()
}

// Later gives a request back as Done does, but the driver sees it at the next call of
// Publish, with all others since: such as the buffers of one packet, which must be used
// together (VIRTIO 1.2, "Device Requirements: Processing of Incoming Packets").
func (d *Device) Later(r Request, n uint32) {
	at := ringHead + usedLen*(int(d.done+d.later)%d.p.Size)
	store32(d.p.used.at(at), uint32(r.head))
	store32(d.p.used.at(at+4), n)
	d.later++
}

// Publish shows the driver what Later was called for.
func (d *Device) Publish() {
	if d.later > 0 {
		d.done, d.later = d.done+d.later, 0
		store16(d.p.used.at(2), d.done)
	}
}

// Undo forgets what Later was called for since the last Publish, and n requests that Next
// has returned besides: Next returns all of them again.
//
// Preconditions: they are the last ones that Next has returned.
func (d *Device) Undo(n int) {
	d.next -= d.later + uint16(n)
	d.later = 0
}

// Interrupt reports whether the driver is to be interrupted because of what was
// given back since the last call.
func (d *Device) Interrupt() bool {
	if d.err != nil || d.done == d.told {
		return false
	}
	fence(&d.word) // the index is out before the wish is read
	old := d.told
	d.told = d.done
	if d.p.Features&FeatureEventIndex != 0 {
		return due(load16(d.p.avail.at(d.p.usedEventAt())), d.done, old)
	}
	return load16(d.p.avail.at(0))&noInterrupt == 0
}

// Sleep asks for a notification with the next request, and reports false when
// there is one already. Until then notifications are a courtesy.
func (d *Device) Sleep() bool {
	if d.err != nil {
		return true
	}
	if d.p.Features&FeatureEventIndex != 0 {
		store16(d.p.used.at(d.p.availEventAt()), d.next)
	} else {
		store16(d.p.used.at(0), 0)
	}
	fence(&d.word)
	return load16(d.p.avail.at(2)) == d.next
}

// Busy says that no notifications are wanted until Sleep. With FeatureEventIndex
// there is nothing to say: the event index stays behind.
func (d *Device) Busy() {
	if d.err == nil && d.p.Features&FeatureEventIndex == 0 {
		store16(d.p.used.at(0), noNotify)
	}
}

// Bytes calls f with the pieces of b in ascending order.
//
// Preconditions: b is of the request that Next returned last, which checked it.
func (d *Device) Bytes(b Buffer, f func([]byte)) {
	for a, n := b.Addr, uint64(b.Len); n > 0; {
		p := d.mem.RAM(a, n)
		if len(p) == 0 {
			return
		}
		f(p)
		a, n = a+uint64(len(p)), n-uint64(len(p))
	}
}
