// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahci

import (
	"fmt"
	"math/bits"

	"ringo/drivers/ata"
	"ringo/drivers/block"
	"ringo/drivers/block/queue"
	"ringo/drivers/dma"
)

// put writes a command into a slot ("Command List Structure", "Command Table").
func (p *port) put(slot int, c ata.Command, data []dma.Segment) {
	t := p.tables.Slice(slot*tableSize, (slot+1)*tableSize)
	f := t.Bytes[:prdAt]
	clear(f)
	f[0], f[1], f[2], f[3] = fisH2D, fisCommand, c.Op, uint8(c.Feature)
	f[4], f[5], f[6], f[7] = uint8(c.LBA), uint8(c.LBA>>8), uint8(c.LBA>>16), c.Device
	f[8], f[9], f[10], f[11] = uint8(c.LBA>>24), uint8(c.LBA>>32), uint8(c.LBA>>40), uint8(c.Feature>>8)
	le.PutUint16(f[12:], c.Count)
	flags := uint32(5) // doublewords of the FIS
	if c.Op == ata.OpPacket {
		copy(f[packetAt:], c.Packet[:])
		flags |= 1 << 5
	}
	if c.Write {
		flags |= 1 << 6
	}
	for i, s := range data {
		d := t.Bytes[prdAt+i*prdSize:][:prdSize]
		le.PutUint64(d, s.Addr)
		le.PutUint32(d[8:], 0)
		le.PutUint32(d[12:], uint32(len(s.Bytes)-1))
	}
	h := p.mem.Bytes[slot*headerSize:][:headerSize]
	clear(h)
	le.PutUint32(h, flags|uint32(len(data))<<16)
	le.PutUint64(h[8:], t.Addr)
}

// Fits implements [queue.Commands], as do the methods below.
func (d *Disk) Fits(data []dma.Segment) bool {
	if len(data) > maxSegments {
		return false
	}
	for _, s := range data {
		n := uint64(len(s.Bytes))
		if n == 0 || n%2 != 0 || s.Addr%2 != 0 || n > maxPiece || (s.Addr+n)>>32 != 0 && d.p.c.cap&cap64 == 0 {
			return false
		}
	}
	return true
}

// Give makes a command of a request. Commands of NCQ and others exclude each other, and
// of the others there is one at a time: if it fails, it is known which one it was.
func (d *Disk) Give(slot int, r *block.Request, data []dma.Segment) bool {
	queued := d.id.Depth > 0 && d.careful == 0 && r.Op <= block.Write
	if d.plain != 0 || !queued && d.queued != 0 || d.p.failed.Load() {
		return false
	}
	if r.Op == block.Discard {
		b := d.p.mem.Slice(bufferAt, bufferAt+ata.TrimSize)
		ata.Trim(r, b.Bytes)
		d.p.put(slot, d.id.Command(r, false, 0), []dma.Segment{b})
	} else {
		d.p.put(slot, d.id.Command(r, queued, slot), data)
	}
	if queued {
		d.queued |= 1 << slot
	} else {
		d.plain = 1 << slot
		if d.want = 0; r.Op == block.Read {
			d.want = r.Blocks * uint32(d.id.BlockSize)
		}
	}
	d.fresh |= 1 << slot
	return true
}

// Ring tells the port of what was given.
func (d *Disk) Ring() {
	if d.fresh == 0 {
		return
	}
	if d.queued != 0 {
		d.p.regs.Write32(portSACT, d.fresh)
	}
	d.p.regs.Write32(portCI, d.fresh)
	d.fresh = 0
}

// Next takes a command that has ended. Those that failed are not seen here: the keeper
// looks for them.
func (d *Disk) Next() (a queue.Answer, ok bool) {
	if d.done == 0 {
		d.look()
	}
	if d.done == 0 {
		return a, false
	}
	a.Slot = bits.TrailingZeros32(d.done)
	bit := uint32(1) << a.Slot
	if d.plain == bit {
		d.careful = max(d.careful-1, 0)
		got := le.Uint32(d.p.mem.Bytes[a.Slot*headerSize+4:])
		if got != d.want && d.want != 0 {
			a.Err, a.Again = fmt.Errorf("%d of %d bytes were read: %w", got, d.want, block.ErrDevice), true
		}
	}
	d.done, d.queued, d.plain = d.done&^bit, d.queued&^bit, d.plain&^bit
	d.stray = 0
	return a, true
}

// look asks the port which commands have ended.
func (d *Disk) look() {
	p := d.p
	given := (d.queued | d.plain) &^ d.fresh
	defer d.trust()
	switch {
	case given == 0 || p.failed.Load():
	case d.queued != 0:
		// The port does not take back a bit of a command that failed.
		d.done = given &^ p.regs.Read32(portSACT)
	default:
		if d.done = given &^ p.regs.Read32(portCI); d.done == 0 {
			return
		}
		// Some ports take back the bit of a command that has failed.
		if p.regs.Read32(portIS)&irqErrors != 0 || p.regs.Read32(portTFD)&(ata.StatusError|ata.StatusFault) != 0 {
			d.done = 0
			p.failed.Store(true)
			d.keeper.Wake()
		}
	}
}

// trust takes back what look has found at a port that has stopped, by a reset of the
// controller that was not ours or one that is under way: its commands have not ended, they
// are lost.
func (d *Disk) trust() {
	if d.done != 0 && !d.p.started() {
		d.done = 0
		d.keeper.Wake()
	}
}

// Broken implements [queue.Commands]: a port has no way to lie but in what it says that
// has ended, and it cannot name what it was not given.
func (d *Disk) Broken() string { return "" }
