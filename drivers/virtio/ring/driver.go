// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ring

import "sync/atomic"

// Driver is the side that makes requests. One goroutine uses it. What the device
// says is checked as well: a device may be hostile.
type Driver struct {
	p      parts
	free   []uint16 // descriptors in no chain
	chains []chain  // by their first descriptor
	avail  uint16   // index of the available ring
	told   uint16   // avail when the device was last asked for
	seen   uint16   // index of the used ring
	err    error
	word   atomic.Uint32
}

// chain is a request under way; no descriptors: there is none.
type chain struct {
	desc  []uint16
	token any
	room  uint64 // bytes that the device may write
}

// NewDriver sets a ring up, of which nothing is in use.
//
// Preconditions: what mem returned for the ring stays there for as long as the
// Driver is used.
func NewDriver(mem Memory, l Layout) (*Driver, error) {
	p, err := l.find(mem)
	if err != nil {
		return nil, err
	}
	d := &Driver{p: p, chains: make([]chain, l.Size)}
	for i := range l.Size {
		d.free = append(d.free, uint16(l.Size-1-i))
	}
	for _, a := range []area{p.desc, p.avail, p.used} {
		for _, piece := range a {
			clear(piece.b)
		}
	}
	return d, nil
}

// Broken returns what the device did wrong, nil if nothing.
func (d *Driver) Broken() error { return d.err }

// Add makes a request of buffers, those that the device reads first. token comes
// back with it. It reports false when there are too few descriptors, or the ring
// is broken.
func (d *Driver) Add(buffers []Buffer, token any) bool {
	n := len(buffers)
	if d.err != nil || n == 0 || n > len(d.free) {
		return false
	}
	c := chain{token: token}
	for range n {
		c.desc = append(c.desc, d.free[len(d.free)-1])
		d.free = d.free[:len(d.free)-1]
	}
	for i, b := range buffers {
		at, flags := int(c.desc[i])*descLen, uint16(0)
		if b.Write {
			flags |= flagWrite
			c.room += uint64(b.Len)
		}
		if i+1 < n {
			flags |= flagNext
			store16(d.p.desc.at(at+14), c.desc[i+1])
		}
		store64(d.p.desc.at(at), b.Addr)
		store32(d.p.desc.at(at+8), b.Len)
		store16(d.p.desc.at(at+12), flags)
	}
	d.chains[c.desc[0]] = c
	store16(d.p.avail.at(ringHead+2*(int(d.avail)%d.p.Size)), c.desc[0])
	d.avail++
	store16(d.p.avail.at(2), d.avail)
	return true
}

// Notify reports whether the device is to be notified of what was added since the
// last call.
func (d *Driver) Notify() bool {
	if d.err != nil || d.avail == d.told {
		return false
	}
	fence(&d.word)
	old := d.told
	d.told = d.avail
	if d.p.Features&FeatureEventIndex != 0 {
		return due(load16(d.p.used.at(d.p.availEventAt())), d.avail, old)
	}
	return load16(d.p.used.at(0))&noNotify == 0
}

// Next returns the token of a request that the device has given back, and how
// many bytes it has written. ok is false when there is none, or the ring is
// broken.
func (d *Driver) Next() (token any, n uint32, ok bool) {
	if d.err != nil {
		return nil, 0, false
	}
	k := load16(d.p.used.at(2)) - d.seen
	if k == 0 {
		return nil, 0, false
	}
	if int(k) > d.p.Size {
		d.err = ErrIndex
		return nil, 0, false
	}
	at := ringHead + usedLen*(int(d.seen)%d.p.Size)
	head, n := load32(d.p.used.at(at)), load32(d.p.used.at(at+4))
	if head >= uint32(d.p.Size) || d.chains[head].desc == nil || uint64(n) > d.chains[head].room {
		d.err = ErrChain
		return nil, 0, false
	}
	c := d.chains[head]
	d.chains[head] = chain{}
	d.free = append(d.free, c.desc...)
	d.seen++
	return c.token, n, true
}

// Sleep asks for an interrupt with the next request that comes back, and reports
// false when there is one already.
func (d *Driver) Sleep() bool {
	if d.err != nil {
		return true
	}
	if d.p.Features&FeatureEventIndex != 0 {
		store16(d.p.avail.at(d.p.usedEventAt()), d.seen)
	} else {
		store16(d.p.avail.at(0), 0)
	}
	fence(&d.word)
	return load16(d.p.used.at(2)) == d.seen
}
