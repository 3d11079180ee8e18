// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
)

// pair is an I/O queue: what is special about it for package queue.
type pair struct {
	ring
	q      *queue.Queue
	vector uint32
	irq    bool          // it has an interrupt, of that number
	list   []dma.Segment // of addresses, by slot
}

// namespace is what a request is for (its field Driver).
type namespace struct {
	id    uint32
	shift uint8 // of the block size
}

// newPair gets the memory of a queue.
func newPair(d *Controller, id uint16) (*pair, error) {
	r, err := newRing(d.Arena, d.Regs, id, d.entries, d.stride)
	if err != nil {
		return nil, err
	}
	p := &pair{ring: r}
	lists, err := d.Arena.Alloc((d.entries-1)*listSize, dma.Page)
	if err != nil {
		return nil, err
	}
	for i := range d.entries - 1 {
		p.list = append(p.list, lists.Slice(i*listSize, (i+1)*listSize))
	}
	bounce, err := d.Arena.Alloc(maxTransfer, dma.Page)
	p.q = queue.New(p.name(), p, d.entries-1, bounce)
	return p, err
}

// Fits implements [queue.Commands], as do the methods below.
func (p *pair) Fits(data []dma.Segment) bool { return fits(data) }

// Give puts a command into the submission queue.
func (p *pair) Give(slot int, r *block.Request, data []dma.Segment) bool {
	list := p.list[slot]
	c := command{namespace: r.Driver.(*namespace).id}
	switch r.Op {
	case block.Flush:
		c.op = opFlush
	case block.Discard:
		c.op, c.d11 = opDataset, deallocate
		clear(list.Bytes[:16])
		le.PutUint32(list.Bytes[4:], r.Blocks)
		le.PutUint64(list.Bytes[8:], r.Start)
		c.prp1 = list.Addr
	default:
		c.op = [...]uint8{block.Read: opRead, block.Write: opWrite, block.WriteZeroes: opWriteZeroes}[r.Op]
		c.d10, c.d11, c.d12 = uint32(r.Start), uint32(r.Start>>32), r.Blocks-1
		if r.FUA && r.Op != block.Read {
			c.d12 |= forceAccess
		}
		if r.Op != block.WriteZeroes {
			c.prp1, c.prp2 = prp(data, list)
		}
	}
	p.push(&c, uint16(slot))
	return true
}

// Ring writes the doorbells.
func (p *pair) Ring() { p.ring.ring() }

// Next takes a completion.
func (p *pair) Next() (a queue.Answer, ok bool) {
	c, ok := p.next()
	if !ok {
		return a, false
	}
	return queue.Answer{Slot: int(c.id), Err: failure(c.status), Again: again(c.status)}, true
}

// Broken is what next has found.
func (p *pair) Broken() string { return p.protocol }

// again reports whether a command that failed may do better another time: neither the
// device nor the kind of failure says otherwise.
func again(s status) bool {
	return s&noRetry == 0 && s.kind() != typeMedia
}
