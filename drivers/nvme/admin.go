// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"fmt"
	"strings"
	"time"

	"ringo/drivers/block"
	"ringo/drivers/dma"
	"ringo/drivers/reg"
)

const adminEntries = 32

// admin is the queue for all that is not reading and writing. One goroutine uses it at
// a time: Start's, and then the watch.
type admin struct {
	ring
	data dma.Segment // a page for what a command reads
	late map[uint16]bool
	last uint16
}

func (a *admin) init(arena dma.Arena, regs reg.Window, stride uint32) (err error) {
	if a.ring, err = newRing(arena, regs, 0, adminEntries, stride); err != nil {
		return err
	}
	a.data, err = arena.Alloc(dma.Page, dma.Page)
	return err
}

func (a *admin) reset() {
	a.ring.reset()
	a.late, a.last = map[uint16]bool{}, 0
}

// do gives the device a command and waits for its end.
func (d *Controller) do(c command) (result uint32, err error) {
	a := &d.admin
	if len(a.late) >= adminEntries-2 {
		return 0, block.ErrTimeout
	}
	for a.last++; a.late[a.last]; a.last++ {
	}
	id := a.last
	a.push(&c, id)
	a.ring.ring()
	for end := time.Now().Add(Timeout); ; time.Sleep(100 * time.Microsecond) {
		for {
			f, ok := a.next()
			if !ok {
				break
			}
			switch {
			case f.id == id:
				a.ring.ring()
				return f.result, failure(f.status)
			case a.late[f.id]:
				delete(a.late, f.id)
			default:
				a.broken("an answer to a command that it was not given")
			}
		}
		switch {
		case a.protocol != "":
			return 0, fmt.Errorf("%s: %w", a.protocol, block.ErrDevice)
		case d.Regs.Read32(regCSTS) == ^uint32(0):
			return 0, errGone
		case time.Now().After(end):
			a.late[id] = true
			return 0, fmt.Errorf("admin command %#x: %w", c.op, block.ErrTimeout)
		}
	}
}

// failure is the error of a status, nil if it is success.
func failure(s status) error {
	switch {
	case s.kind() == typeGeneric && s.code() == 0:
		return nil
	case s.kind() == typeMedia:
		return fmt.Errorf("status %#x: %w", uint16(s), block.ErrMedia)
	case s.kind() == typeGeneric && s.code() == statusReadOnly:
		return block.ErrReadOnly
	case s.kind() == typeGeneric && (s.code() == statusInvalidField || s.code() == statusRange):
		return fmt.Errorf("status %#x: %w", uint16(s), block.ErrInvalid)
	}
	return fmt.Errorf("status %#x: %w", uint16(s), block.ErrDevice)
}

// identify learns what the device is, and which namespaces it has ("Identify command").
func (d *Controller) identify() error {
	b, err := d.page(0, 1)
	if err != nil {
		return fmt.Errorf("it does not say what it is: %w", err)
	}
	d.info = block.Info{
		Serial: text(b[4:24]), Model: text(b[24:64]), Firmware: text(b[64:72]), Volatile: b[525]&1 != 0,
	}
	d.can = le.Uint16(b[520:])
	d.mdts = maxTransfer
	if n := b[77]; n != 0 && n < 8 { // in units of 4 KiB; some say 0 and have a limit
		d.mdts = min(maxTransfer, uint64(dma.Page)<<n)
	}
	count := le.Uint32(b[516:])
	ids := []uint32{}
	if list, err := d.page(0, 2); err == nil {
		for i := 0; i < dma.Page && len(ids) < maxNamespaces; i += 4 {
			if id := le.Uint32(list[i:]); id != 0 {
				ids = append(ids, id)
			} else {
				break
			}
		}
	} else { // before version 1.1
		for id := uint32(1); id <= min(count, maxNamespaces); id++ {
			ids = append(ids, id)
		}
	}
	d.disks = []*Disk{}
	for _, id := range ids {
		if disk, err := d.newDisk(id); err != nil {
			d.Log(fmt.Sprintf("namespace %d is left out: %v", id, err))
		} else if disk != nil {
			d.disks = append(d.disks, disk)
		}
	}
	return nil
}

// page reads one of the structures that Identify knows.
func (d *Controller) page(namespace, what uint32) ([]byte, error) {
	clear(d.admin.data.Bytes)
	_, err := d.do(command{op: adminIdentify, namespace: namespace, prp1: d.admin.data.Addr, d10: what})
	// The device could write it again: it is read once.
	return append([]byte(nil), d.admin.data.Bytes...), err
}

// newDisk describes a namespace, nil if it is not there.
func (d *Controller) newDisk(id uint32) (*Disk, error) {
	b, err := d.page(id, 0)
	if err != nil {
		return nil, err
	}
	n := &Disk{info: d.info, namespace: namespace{id: id}}
	n.info.Blocks = le.Uint64(b)
	if n.info.Blocks == 0 {
		return nil, nil
	}
	format := b[26]&15 | b[26]>>1&0x30
	if format > b[25] || 128+4*int(format)+4 > 384 {
		return nil, fmt.Errorf("its format %d is none of those it lists", format)
	}
	f := le.Uint32(b[128+4*int(format):])
	if f&0xffff != 0 {
		return nil, fmt.Errorf("%d bytes of metadata in each block", f&0xffff)
	}
	shift := uint8(f >> 16)
	if shift < 9 || shift > 12 || n.info.Blocks > 1<<63>>shift {
		return nil, fmt.Errorf("%d blocks of 2^%d bytes", n.info.Blocks, shift)
	}
	n.info.BlockSize = 1 << shift
	n.info.MaxBlocks = uint32(d.mdts >> shift)
	n.info.MaxEmpty = 1 << 16
	n.info.ReadOnly = b[99]&1 != 0
	n.info.Discard = d.can&(1<<2) != 0
	n.info.WriteZeroes = d.can&(1<<3) != 0
	return n, nil
}

// text is a string of the device as people may see it.
func text(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b)))
}

// startQueues gives the device the I/O queues: as many as both sides have, and at a
// restart as many as there were.
func (d *Controller) startQueues() error {
	want := uint32(d.Queues)
	if d.pairs != nil {
		want = uint32(len(d.pairs))
	}
	v, err := d.do(command{op: adminSetFeatures, d10: featureQueues, d11: (want-1)<<16 | (want - 1)})
	if err != nil {
		return fmt.Errorf("it refuses queues: %w", err)
	}
	have := min(int(want), int(v&0xffff)+1, int(v>>16)+1)
	if d.pairs != nil && have < len(d.pairs) {
		return fmt.Errorf("it has %d queues, and had %d", have, len(d.pairs))
	}
	if d.pairs == nil {
		if err := d.makeQueues(have); err != nil {
			return err
		}
	}
	for _, p := range d.pairs {
		if err := d.givePair(p); err != nil {
			return fmt.Errorf("%s: %w", p.name(), err)
		}
	}
	return nil
}

// makeQueues makes n queues, or fewer if there are not so many interrupts.
func (d *Controller) makeQueues(n int) error {
	for i := range n {
		p, err := newPair(d, uint16(i+1))
		if err != nil {
			return err
		}
		switch err := d.Bind(i+1, p.q.Service); {
		case err == nil:
			p.vector, p.irq = uint32(i+1), true
		case i > 0:
			return nil
		default:
			if d.Bind(0, p.q.Service) == nil {
				p.irq = true // the only message there is
			} else {
				d.Log("it has no interrupts: it is asked every millisecond")
				d.polling = true
			}
		}
		d.pairs = append(d.pairs, p)
		if p.vector == 0 {
			return nil
		}
	}
	return nil
}

// givePair creates a pair of queues in the device.
func (d *Controller) givePair(p *pair) error {
	p.reset()
	size := uint32(p.entries-1)<<16 | uint32(p.id)
	flags := uint32(1) // contiguous
	if p.irq {
		flags |= 2 | p.vector<<16
	}
	if _, err := d.do(command{op: adminCreateCQ, prp1: p.cq.Addr, d10: size, d11: flags}); err != nil {
		return err
	}
	_, err := d.do(command{op: adminCreateSQ, prp1: p.sq.Addr, d10: size, d11: uint32(p.id)<<16 | 1})
	return err
}
