// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvmetest

import (
	"sync/atomic"
	"time"

	"ringo/drivers/dma"
)

// take carries a command out, or does to it what is to be done.
func (d *Device) take(c Command) {
	var f Fault
	if d.Fault != nil {
		f = d.Fault(c)
	}
	switch {
	case f.Drop || f.Deaf:
		if !f.Deaf {
			d.dropped[uint32(c.Queue)<<16|uint32(c.ID)] = c
		}
	case f.Delay != 0:
		d.left++
		epoch := d.resets
		time.AfterFunc(f.Delay, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.left--; d.resets == epoch && d.pairs[c.Queue] != nil {
				d.finish(c, f)
			}
		})
	default:
		d.finish(c, f)
	}
}

// finish carries a command out and answers it.
func (d *Device) finish(c Command, f Fault) {
	if d.stopped {
		return
	}
	status, result := f.Status, uint32(0)
	if status == 0 {
		if c.Queue == 0 {
			status, result = d.admin(c)
		} else {
			status = d.io(c)
		}
	}
	d.answer(c, status, result, f)
	if f.Twice {
		d.answer(c, status, result, f)
	}
}

// answer writes a completion.
func (d *Device) answer(c Command, status uint16, result uint32, f Fault) {
	p := d.pairs[c.Queue]
	cq := d.cqs[p.cq]
	if (cq.tail+1)%cq.entries == cq.head {
		if !f.Twice {
			d.wrong("completion queue %d overruns", p.cq)
		}
		return
	}
	at := cq.base + uint64(cq.tail)*16
	e := dma.Segment{Addr: at, Bytes: d.ram(at, 16)}
	id, from := c.ID, c.Queue
	if f.WrongID {
		id ^= 0x40
	}
	if f.WrongFrom {
		from++
	}
	atomic.StoreUint32(e.Word32(0), result)
	atomic.StoreUint32(e.Word32(8), uint32(p.head)|uint32(from)<<16)
	atomic.StoreUint32(e.Word32(12), uint32(id)|uint32(status)<<17|cq.phase)
	if cq.tail++; cq.tail == cq.entries {
		cq.tail, cq.phase = 0, cq.phase^1<<16
	}
	if h := d.handlers[cq.vector]; h != nil && cq.vector >= 0 && !f.Silent {
		go h()
	}
}

func (d *Device) admin(c Command) (status uint16, result uint32) {
	switch c.Op {
	case 0x06:
		d.identify(c)
	case 0x08:
		id, from := uint16(c.D10>>16), uint16(c.D10)
		key := uint32(from)<<16 | uint32(id)
		if old, ok := d.dropped[key]; ok {
			delete(d.dropped, key)
			d.answer(old, 0x07, 0, Fault{})
			return 0, 0
		}
		return 0, 1
	case 0x09:
		n := uint32(min(d.Queues, int(c.D11&0xffff)+1) - 1)
		return 0, n<<16 | n
	case 0x05:
		q := &cqueue{base: c.PRP1, entries: int(c.D10>>16) + 1, phase: 1 << 16, vector: -1}
		if c.D11&2 != 0 {
			q.vector = int(c.D11 >> 16)
		}
		d.create(c, q.entries)
		d.cqs[uint16(c.D10)] = q
	case 0x01:
		d.create(c, int(c.D10>>16)+1)
		if d.cqs[uint16(c.D11>>16)] == nil {
			d.wrong("a submission queue without its completion queue")
			return 1 << 8, 0
		}
		d.pairs[uint16(c.D10)] = &pair{base: c.PRP1, entries: int(c.D10>>16) + 1, cq: uint16(c.D11 >> 16)}
	default:
		return 1, 0
	}
	return 0, 0
}

// create checks what both kinds of queue have in common.
func (d *Device) create(c Command, entries int) {
	id := int(uint16(c.D10))
	if entries > d.Entries || entries < 2 || c.PRP1%4096 != 0 || c.D11&1 == 0 || id == 0 || id > d.Queues {
		d.wrong("queue %d of %d entries at %#x", id, entries, c.PRP1)
	}
}

func (d *Device) identify(c Command) {
	page := d.ram(c.PRP1, 4096)
	clear(page)
	switch c.D10 {
	case 0:
		le.PutUint64(page, d.Blocks)
		page[128+2] = 9
	case 1:
		copy(page[4:], "SERIAL1             ")
		copy(page[24:], "A disk in memory\x00\x1b[1m    ")
		copy(page[64:], "1.0     ")
		page[77] = d.MDTS
		le.PutUint32(page[516:], 1)
		le.PutUint16(page[520:], 1<<2|1<<3)
		page[525] = 1
	case 2:
		le.PutUint32(page, 1)
	}
	if d.Identify != nil {
		d.Identify(c.D10, page)
	}
}

func (d *Device) io(c Command) uint16 {
	start, blocks := uint64(c.D10)|uint64(c.D11)<<32, uint64(c.D12&0xffff)+1
	switch {
	case c.Namespace != 1:
		return 0x0b
	case c.Op == 0x00:
		d.medium.Flush()
		return 0
	case c.Op == 0x09:
		r := d.ram(c.PRP1, 16)
		start, blocks = le.Uint64(r[8:]), uint64(le.Uint32(r[4:]))
		if c.D10 != 0 || c.D11 != 4 {
			d.wrong("dataset management %#x, %#x", c.D10, c.D11)
		}
	}
	if !d.medium.Has(start, blocks) {
		d.wrong("blocks %d to %d", start, start+blocks)
		return 0x80
	}
	switch c.Op {
	case 0x02:
		b := make([]byte, blocks*BlockSize)
		d.medium.Read(start, b)
		for _, p := range d.pages(c, len(b)) {
			b = b[copy(p, b):]
		}
	case 0x01:
		var b []byte
		for _, p := range d.pages(c, int(blocks)*BlockSize) {
			b = append(b, p...)
		}
		d.medium.Write(start, b, c.D12>>30&1 != 0)
	default: // zeros, also what is discarded
		d.medium.Zero(start, blocks)
		if c.D12>>30&1 != 0 {
			d.medium.Flush()
		}
	}
	return 0
}

// pages follows the addresses of a command's data.
func (d *Device) pages(c Command, size int) (all [][]byte) {
	if size > 4096<<d.MDTS && d.MDTS != 0 {
		d.wrong("%d bytes in one command", size)
	}
	first := min(size, 4096-int(c.PRP1%4096))
	all = append(all, d.ram(c.PRP1, first))
	left := size - first
	if left == 0 {
		return all
	}
	if left <= 4096 {
		if c.PRP2%4096 != 0 {
			d.wrong("second address %#x", c.PRP2)
		}
		return append(all, d.ram(c.PRP2, left))
	}
	for at := c.PRP2; left > 0; at += 8 {
		if at%8 != 0 || at%4096 == 0 && at != c.PRP2 {
			d.wrong("a list of addresses at %#x leaves its page", at)
		}
		a := le.Uint64(d.ram(at, 8))
		if a%4096 != 0 {
			d.wrong("address %#x in a list", a)
		}
		n := min(left, 4096)
		all = append(all, d.ram(a, n))
		left -= n
	}
	return all
}
