// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ring

import "sync/atomic"

// Driver is the side that makes requests. One goroutine uses it at a time. What the
// device says is checked as well: a device may be hostile. After an error nothing is
// taken or given until [Driver.Reset]. Nothing but NewDriver allocates.
type Driver struct {
	p      parts
	links  []uint16 // by descriptor: the next one of its chain, or of those in none
	free   uint16   // the first one in no chain
	room   int      // how many there are
	chains []chain  // by their first descriptor
	tables tables
	avail  uint16 // index of the available ring
	told   uint16 // avail when the device was last asked for
	seen   uint16 // index of the used ring
	err    error
	word   atomic.Uint32
}

// chain is a request under way; no descriptors: there is none.
type chain struct {
	length int
	token  any
	room   uint64 // bytes that the device may write
}

// tables is memory for indirect descriptors: a table for each descriptor of the ring.
type tables struct {
	addr uint64
	b    []byte
	each int // descriptors of a table, 0: there are none
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
	d := &Driver{p: p, chains: make([]chain, l.Size), links: make([]uint16, l.Size)}
	d.Reset()
	return d, nil
}

// Reset makes the ring as NewDriver made it, and forgets all requests.
//
// Preconditions: the device does not use the ring.
func (d *Driver) Reset() {
	clear(d.chains)
	for i := range d.links {
		d.links[i] = uint16(i + 1)
	}
	d.free, d.room = 0, d.p.Size
	d.avail, d.told, d.seen, d.err = 0, 0, 0, nil
	for _, a := range []area{d.p.desc, d.p.avail, d.p.used} {
		for _, piece := range a {
			clear(piece.b)
		}
	}
}

// TablesSize is how many bytes of memory indirect tables of each descriptors take for a
// ring of size.
func TablesSize(size, each int) int { return size * each * descLen }

// UseTables makes requests of 2 to each buffers take one descriptor of the ring only
// (VIRTIO 1.2, "Indirect Descriptors"). The memory is b, at addr on the bus, contiguous,
// aligned to 16 and of [TablesSize].
//
// Preconditions: FeatureIndirect was negotiated; no request is under way.
func (d *Driver) UseTables(addr uint64, b []byte, each int) {
	d.tables = tables{addr, b[:TablesSize(d.p.Size, each)], min(each, d.p.Size)}
}

// Broken returns what the device did wrong, nil if nothing.
func (d *Driver) Broken() error { return d.err }

// Add makes a request of buffers, those that the device reads first. token comes
// back with it. It reports false when there are too few descriptors, or the ring
// is broken.
func (d *Driver) Add(buffers []Buffer, token any) bool {
	n := len(buffers)
	indirect := n > 1 && n <= d.tables.each
	need := n
	if indirect {
		need = 1
	}
	if d.err != nil || n == 0 || need > d.room {
		return false
	}
	head := d.free
	c := &d.chains[head]
	*c = chain{length: need, token: token}
	for _, b := range buffers {
		if b.Write {
			c.room += uint64(b.Len)
		}
	}
	if indirect {
		d.free = d.links[head]
		d.indirect(head, buffers)
	} else {
		for i, b := range buffers {
			next := d.links[d.free]
			put(d.p.desc.at(int(d.free)*descLen), b, i+1 < n, next)
			d.free = next
		}
	}
	d.room -= need
	store16(d.p.avail.at(ringHead+2*(int(d.avail)%d.p.Size)), head)
	d.avail++
	store16(d.p.avail.at(2), d.avail)
	return true
}

// put writes a descriptor.
func put(at []byte, b Buffer, more bool, next uint16) {
	flags := uint16(0)
	if b.Write {
		flags |= flagWrite
	}
	if more {
		flags |= flagNext
	}
	store64(at, b.Addr)
	store32(at[8:], b.Len)
	store16(at[12:], flags)
	store16(at[14:], next)
}

// indirect puts buffers into the table of a descriptor.
func (d *Driver) indirect(head uint16, buffers []Buffer) {
	from := int(head) * d.tables.each * descLen
	t := d.tables.b[from:]
	for i, b := range buffers {
		put(t[i*descLen:], b, i+1 < len(buffers), uint16(i+1))
	}
	at := d.p.desc.at(int(head) * descLen)
	store64(at, d.tables.addr+uint64(from))
	store32(at[8:], uint32(len(buffers)*descLen))
	store16(at[12:], flagIndirect)
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
	if head >= uint32(d.p.Size) || d.chains[head].length == 0 || uint64(n) > d.chains[head].room {
		d.err = ErrChain
		return nil, 0, false
	}
	c := d.chains[head]
	d.chains[head] = chain{}
	last := uint16(head)
	for range c.length - 1 {
		last = d.links[last]
	}
	d.links[last], d.free = d.free, uint16(head)
	d.room += c.length
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
