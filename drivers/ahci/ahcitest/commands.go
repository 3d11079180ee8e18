// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ahcitest

import (
	"time"

	"ringo/drivers/ata/atatest"
	"ringo/drivers/block/blocktest"
)

// request is a command that the driver has put into a slot.
type request struct {
	slot    int
	op      uint8
	feature uint16
	lba     uint64
	count   uint32
	write   bool
	packet  [12]byte
	header  []byte
	data    [][]byte
	queued  bool
	through bool
}

// start takes the commands of new slots.
func (d *Device) start(p *port, slots uint32) {
	for i := range 32 {
		if slots&(1<<i) == 0 || d.stopped {
			continue
		}
		r := d.take(p, i)
		if r.queued {
			p.ci &^= 1 << i
		}
		if r.queued && p.sact&(1<<i) == 0 || !r.queued && (p.sact != 0 || p.ci&(p.ci-1) != 0) {
			d.wrong("command %#x in slot %d with SACT %#x, CI %#x", r.op, i, p.sact, p.ci)
		}
		f, ok := d.fate(p, r)
		switch {
		case ok && f.Drop:
		case f.Delay > 0:
			epoch := p.epoch
			time.AfterFunc(f.Delay, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				if p.epoch == epoch && !p.halted {
					d.finish(p, r, f)
				}
			})
		case !p.halted:
			d.finish(p, r, f)
		}
	}
}

// take reads a slot.
func (d *Device) take(p *port, slot int) *request {
	h := d.ram(p.clb+uint64(slot)*32, 32)
	flags, table := le.Uint32(h), le.Uint64(h[8:])
	t := d.ram(table, 0x80)
	r := &request{
		slot: slot, op: t[2], feature: uint16(t[3]) | uint16(t[11])<<8, count: uint32(le.Uint16(t[12:])), write: flags>>6&1 != 0, header: h,
		lba: uint64(t[4]) | uint64(t[5])<<8 | uint64(t[6])<<16 | uint64(t[8])<<24 | uint64(t[9])<<32 | uint64(t[10])<<40,
	}
	if flags&31 != 5 || t[0] != 0x27 || t[1] != 0x80 || table%128 != 0 || p.clb%1024 != 0 || p.fb%256 != 0 {
		d.wrong("a malformed command: header %#x, table %#x, FIS % x", flags, table, t[:4])
	}
	if (flags>>5&1 != 0) != (r.op == 0xa0) {
		d.wrong("command %#x with header %#x", r.op, flags)
	}
	copy(r.packet[:], t[0x40:])
	if r.op == 0x60 || r.op == 0x61 {
		if r.count>>3 != uint32(slot) {
			d.wrong("tag %d in slot %d", r.count>>3, slot)
		}
		r.queued, r.count = true, uint32(r.feature)
		r.through = t[7]>>7 != 0
	}
	for i := range uint64(flags >> 16) {
		e := d.ram(table+0x80+i*16, 16)
		at, n := le.Uint64(e), le.Uint32(e[12:])&0x3fffff+1
		if at%2 != 0 || n%2 != 0 {
			d.wrong("a piece of %d bytes at %#x", n, at)
		}
		r.data = append(r.data, d.ram(at, int(n)))
	}
	return r
}

// fate asks what becomes of a command of the disk.
func (d *Device) fate(p *port, r *request) (f blocktest.Fault, ok bool) {
	op, ok := atatest.Ops[r.op]
	if !ok || p.n != 0 || d.Fate == nil {
		return f, false
	}
	return d.Fate(blocktest.Command{Op: op, Start: r.lba, Blocks: r.count}), true
}

// finish carries a command out and answers it.
func (d *Device) finish(p *port, r *request, f blocktest.Fault) {
	v := d.Drives[p.n]
	if d.stopped || v == nil || p.down {
		return
	}
	code := uint8(0)
	switch {
	case f.Media:
		code = 0x40
	case f.Fails:
		code = 0x04
	case f.Lie == 1: // an error, and the log says nothing of it
		v.Log = [512]byte{}
		p.halted = true
		d.raise(p, 1<<30, false)
		return
	case f.Lie == 2: // an error of a command that is not there
		v.Blame(r.slot^1, 4)
		p.halted = true
		d.raise(p, 1<<30, false)
		return
	case f.Lie == 3: // nothing is done, and it has an error of the link
		d.raise(p, 1<<27, false)
		return
	case f.Lie == 4: // not all bytes
		r.data = nil
	}
	n := 0
	if code == 0 {
		n, code = d.do(p, v, r)
	}
	if code != 0 {
		d.failed(p, v, r, code)
		return
	}
	le.PutUint32(r.header[4:], uint32(n))
	p.tfd = 0x50
	if r.queued {
		p.sact &^= 1 << r.slot
		d.raise(p, 1<<3, f.Silent)
		return
	}
	p.ci &^= 1 << r.slot
	d.raise(p, 1<<0, f.Silent)
}

// failed stops the port with an error of a command.
func (d *Device) failed(p *port, v *atatest.Drive, r *request, code uint8) {
	p.tfd = uint32(code)<<8 | 0x51
	p.halted = true
	if r.queued {
		v.Blame(r.slot, code)
	} else if d.ClearsFailed {
		p.ci &^= 1 << r.slot
	}
	d.raise(p, 1<<30, false)
}

// do carries a command out. It returns the number of bytes moved, or the error register.
func (d *Device) do(p *port, v *atatest.Drive, r *request) (n int, code uint8) {
	var all []byte
	for _, s := range r.data {
		all = append(all, s...)
	}
	c := atatest.Command{Op: r.op, LBA: r.lba, Count: r.count, Packet: r.packet, Through: r.through}
	out, code, wrong := v.Do(c, all)
	if wrong != "" || code == 0 && r.write != (out == nil && len(all) > 0) {
		d.wrong("%s; write: %v, %d bytes", wrong, r.write, len(all))
	}
	if out == nil {
		return len(all), code
	}
	for _, s := range r.data {
		k := copy(s, out)
		n, out = n+k, out[k:]
	}
	return n, code
}
