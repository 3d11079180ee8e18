// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package idetest

import (
	"ringo/drivers/ata/atatest"
	"ringo/drivers/block"
	"ringo/drivers/block/blocktest"
)

func (c *Channel) readCommand(off uint32, n int) uint32 {
	d := c.drive()
	if d == nil {
		return 0
	}
	switch off {
	case 0:
		return uint32(c.readData(n))
	case 1:
		return uint32(c.error)
	case 4, 5:
		if c.now != nil && c.now.c.Op == 0xa0 {
			return uint32(uint8(c.now.left >> (8 * (off - 4))))
		}
		if c.regs[3] == 1 && d.Packet { // the signature
			return map[uint32]uint32{4: 0x14, 5: 0xeb}[off]
		}
	case 7:
		return uint32(c.status)
	}
	return uint32(c.regs[off])
}

func (c *Channel) writeCommand(off uint32, n int, v uint32) {
	switch {
	case off == 0:
		c.writeData(n, uint16(v))
	case c.status&0x88 != 0 && off != 6:
		c.wrong("register %d is written while the drive is busy, status %#x", off, c.status)
	case off == 7:
		if c.drive() != nil {
			c.start(uint8(v))
		}
	default:
		c.before[off], c.regs[off] = c.regs[off], uint8(v)
	}
}

// long are the commands with registers of two bytes.
var long = map[uint8]bool{0x06: true, 0x24: true, 0x25: true, 0x34: true, 0x35: true, 0x3d: true, 0xea: true}

// start is a new command.
func (c *Channel) start(op uint8) {
	r := &request{drive: c.drive(), limit: 512}
	r.c.Op, r.c.Count = op, uint32(c.regs[2])
	for i := range 3 {
		r.c.LBA |= uint64(c.regs[3+i]) << (8 * i)
		if long[op] {
			r.c.LBA |= uint64(c.before[3+i]) << (24 + 8*i)
		}
	}
	disk, known := atatest.Ops[op]
	switch {
	case long[op]:
		r.c.Count |= uint32(c.before[2]) << 8
	case known:
		r.c.LBA |= uint64(c.regs[6]&15) << 24
	}
	r.write = known && (disk == block.Write || disk == block.Discard)
	r.dma = op == 0x25 || op == 0x35 || op == 0x3d || op == 0xc8 || op == 0xca || op == 0x06
	if r.write {
		r.want = int(r.c.Count) * 512
	}
	c.now, c.error = r, 0
	if known && r.drive == c.Drives[0] && c.Fate != nil {
		r.fault = c.Fate(blocktest.Command{Op: disk, Start: r.c.LBA, Blocks: r.c.Count})
	}
	switch {
	case op == 0xa0:
		r.dma, r.limit = c.regs[1]&1 != 0, int(c.regs[4])|int(c.regs[5])<<8
		c.status = 0x58
	case r.write && !r.dma:
		c.status, r.left = 0x58, 512
	default:
		c.status = 0xd0
		c.run()
	}
}

// run goes on with a command that has all that it needs.
func (c *Channel) run() {
	r := c.now
	if r == nil || c.status&0x80 == 0 || r.dma && c.bm&1 == 0 || c.stopped {
		return
	}
	switch {
	case r.fault.Drop:
	case r.fault.Delay > 0:
		c.after(r.fault.Delay, func() { c.finish(r) })
	default:
		c.finish(r)
	}
}

// finish carries a command out.
func (c *Channel) finish(r *request) {
	if c.now != r || c.stopped {
		return
	}
	f := r.fault
	switch {
	case f.Media:
		c.end(0x40, f.Silent)
		return
	case f.Fails:
		c.end(0x04, f.Silent)
		return
	case f.Lie == 1 && r.dma: // the bus master fails
		c.bmStatus |= 2
		c.end(0, false)
		return
	case f.Lie == 2: // an interrupt too early
		c.irq(false)
		r.fault.Lie = 0
		c.after(1000, func() { c.finish(r) })
		return
	case f.Lie == 3: // nothing is done
		c.end(0x04, false)
		return
	}
	var pieces [][]byte
	if r.dma {
		pieces = c.pieces()
	}
	if r.dma && r.write {
		for _, p := range pieces {
			r.in = append(r.in, p...)
		}
	}
	out, code, wrong := r.drive.Do(r.c, r.in)
	if wrong != "" {
		c.wrong("%s", wrong)
	}
	switch {
	case code != 0:
		c.end(code, f.Silent)
	case out == nil:
		c.end(0, f.Silent)
	case r.dma:
		for _, p := range pieces {
			out = out[copy(p, out):]
		}
		c.end(0, f.Silent)
	default:
		r.out = out
		r.left = c.piece(r)
		c.status = 0x58
		c.irq(f.Silent)
	}
}

// end is the end of a command.
func (c *Channel) end(code uint8, silent bool) {
	c.status, c.error, c.now = 0x50, code, nil
	if code != 0 {
		c.status = 0x51
	}
	if !c.stuck {
		c.bmStatus &^= 1
	}
	c.irq(silent)
}

// pieces is the memory that the bus master's table names.
func (c *Channel) pieces() (all [][]byte) {
	for at := c.table; ; at += 8 {
		e := c.ram(at, 8)
		a, n := le.Uint32(e), int(le.Uint16(e[4:]))
		if n == 0 {
			n = 1 << 16
		}
		if a%2 != 0 || n%2 != 0 || a>>16 != (a+uint32(n)-1)>>16 || at>>16 != c.table>>16 {
			c.wrong("a piece of %d bytes at %#x", n, a)
		}
		all = append(all, c.ram(a, n))
		if e[7]&0x80 != 0 {
			return all
		}
	}
}

// piece is how many bytes a drive gives at a time.
func (c *Channel) piece(r *request) int {
	n := min(len(r.out), r.limit)
	if r.c.Op == 0xa0 && c.Piece > 0 {
		n = min(n, c.Piece)
	}
	return n
}

// readData is a word from the drive.
func (c *Channel) readData(n int) (v uint16) {
	r := c.now
	if n != 2 || r == nil || c.status&8 == 0 || len(r.out) == 0 {
		c.wrong("data is read, %d bytes, status %#x", n, c.status)
		return 0
	}
	v = le.Uint16(r.out)
	r.out = r.out[2:]
	if r.left -= 2; r.left > 0 {
		return v
	}
	switch {
	case len(r.out) > 0:
		r.left = c.piece(r)
		c.irq(r.fault.Silent)
	case r.c.Op == 0xa0:
		c.end(0, false) // packets end with an interrupt of their own
	default:
		c.status, c.now = 0x50, nil
	}
	return v
}

// writeData is a word to the drive.
func (c *Channel) writeData(n int, v uint16) {
	r := c.now
	if n != 2 || r == nil || c.status&8 == 0 {
		c.wrong("data is written, %d bytes, status %#x", n, c.status)
		return
	}
	if r.c.Op == 0xa0 {
		le.PutUint16(r.c.Packet[r.packet:], v)
		if r.packet += 2; r.packet == 12 {
			c.status = 0xd0
			c.run()
		}
		return
	}
	r.in = le.AppendUint16(r.in, v)
	if r.left -= 2; r.left > 0 {
		return
	}
	if len(r.in) < r.want {
		r.left = 512
		c.irq(r.fault.Silent)
		return
	}
	c.status = 0xd0
	c.run()
}
