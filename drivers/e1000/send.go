// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package e1000

import (
	"sync/atomic"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
)

// sender is the ring of frames to send.
type sender struct {
	ring        dma.Segment
	space       *nic.Space
	tail, clean int // what is between them is the device's
	last        [entries]sent
	frames      int // that the device has
	done        uint64
	context     context
	wrong       string
}

// sent is a frame whose last descriptor this is; ticket is that of its memory.
type sent struct {
	frame  bool
	ticket int
}

// context is what the device was told about checksums last: it keeps it.
type context struct {
	start, offset uint16
	v6            bool
	set           bool
}

// startSend gives the device the ring.
//
// Preconditions: the device was reset.
func (d *chip) startSend() {
	x, r := &d.tx, d.Regs
	x.tail, x.clean, x.frames, x.context, x.wrong = 0, 0, 0, context{}, ""
	x.last = [entries]sent{}
	x.space.Clear()
	clear(x.ring.Bytes)
	r.Write32(regTDBAL, uint32(x.ring.Addr))
	r.Write32(regTDBAH, uint32(x.ring.Addr>>32))
	r.Write32(regTDLEN, entries*descLen)
	r.Write32(regTDH, 0)
	r.Write32(regTDT, 0)
	r.Write32(regTIDV, 0)
	r.Write32(regTADV, 0)
	// Descriptors are written back one by one, at once.
	r.Write32(regTXDCTL, r.Read32(regTXDCTL)&^(0x3f<<16)&^(1<<24))
	r.Write32(regTIPG, tipg)
	ctl := uint32(tctlEnable | tctlPad | tctlCollisions)
	if d.Model == I82574L {
		ctl |= tctlMulr
	}
	r.Write32(regTCTL, ctl)
}

// Send implements card.Hardware.
func (d *chip) Send(frames []nic.Frame) int {
	x := &d.tx
	d.Reap()
	n, was := 0, x.tail
	for n < len(frames) && d.put(&frames[n]) {
		n++
	}
	if x.tail != was {
		d.Regs.Write32(regTDT, uint32(x.tail))
	}
	return n
}

// free is how many descriptors the driver has: one stays unused, so that a full ring is
// not an empty one.
func (x *sender) free() int { return (x.clean - x.tail - 1 + entries) % entries }

// put gives a frame to the ring, if there is room for it.
func (d *chip) put(f *nic.Frame) bool {
	x := &d.tx
	size := f.Len()
	if size < nic.HeaderLen || size > maxTSO || f.Segment == 0 && size > nic.MaxFrame || !d.sane(f, size) {
		d.card.TxErrors.Add(1)
		return true // it is lost: no card could send it
	}
	pieces := (size + pieceMost - 1) / pieceMost
	if x.free() < pieces+1 {
		return false
	}
	seg, ticket, ok := x.space.Get(size)
	if !ok {
		return false
	}
	f.CopyTo(seg.Bytes)
	cmd, sums := uint32(txData|txExtended|txFCS), uint32(0)
	if f.Sum {
		sums = txSumTrans
		d.describe(f, seg.Bytes)
	}
	if f.Segment > 0 {
		cmd |= txSegment
		if !f.V6 {
			sums |= txSumIP
		}
	}
	for off := 0; off < size; off += pieceMost {
		n := min(size-off, pieceMost)
		last := off+n == size
		if c := cmd | uint32(n); last {
			x.push(seg.Addr+uint64(off), c|txEnd|txReport, sums, sent{true, ticket})
		} else {
			x.push(seg.Addr+uint64(off), c, sums, sent{})
		}
	}
	x.frames++
	return true
}

// push writes a descriptor.
func (x *sender) push(addr uint64, third, fourth uint32, s sent) {
	b := x.ring.Bytes[x.tail*descLen:]
	le.PutUint64(b, addr)
	le.PutUint32(b[8:], third)
	atomic.StoreUint32(x.ring.Word32(x.tail*descLen+12), fourth)
	x.last[x.tail] = s
	x.tail = (x.tail + 1) % entries
}

// sane reports whether what a frame asks for can be done with it.
func (d *chip) sane(f *nic.Frame, size int) bool {
	if !f.Sum {
		return f.Segment == 0 // what is cut has its sums computed
	}
	start, at := int(f.SumStart), int(f.SumStart)+int(f.SumOffset)
	if d.Model != I82574L || start < nic.HeaderLen+20 || at+2 > size || at > 255 {
		return false
	}
	return f.Segment == 0 || int(f.Headers) < size && int(f.Headers) >= at+2 && f.Headers <= 255
}

// describe tells the device where checksums go, if it does not know, and what to cut.
func (d *chip) describe(f *nic.Frame, b []byte) {
	x := &d.tx
	c := context{f.SumStart, f.SumOffset, f.V6, true}
	if f.Segment == 0 && c == x.context {
		return
	}
	x.context = c
	var setup [descLen]byte
	command := uint32(txExtended)
	if !f.V6 {
		// IPv4's header: from 14 to before the transport's, its sum at 10 of it.
		setup[0], setup[1] = nic.HeaderLen, nic.HeaderLen+10
		le.PutUint16(setup[2:], f.SumStart-1)
		command |= txIPv4
	} else {
		setup[0], setup[1] = nic.HeaderLen, 0
		le.PutUint16(setup[2:], f.SumStart-1)
	}
	setup[4], setup[5] = byte(f.SumStart), byte(f.SumStart+f.SumOffset)
	if f.Segment > 0 {
		command |= txSegment | txTCP | uint32(len(b)-int(f.Headers))
		setup[13] = byte(f.Headers)
		le.PutUint16(setup[14:], f.Segment)
		cut(f, b)
		x.context = context{} // another one's is not this one
	} else if f.SumOffset == 16 {
		command |= txTCP
	}
	le.PutUint32(setup[8:], command)
	copy(x.ring.Bytes[x.tail*descLen:], setup[:])
	x.last[x.tail] = sent{}
	x.tail = (x.tail + 1) % entries
}

// cut makes the headers of a frame as the device wants them before it cuts it: no length
// and no sum in IPv4's, and in TCP's the sum of a pseudo header without a length ("TCP
// Segmentation").
func cut(f *nic.Frame, b []byte) {
	ip := b[nic.HeaderLen:f.SumStart]
	var v uint32 = 6
	if f.V6 {
		ip[4], ip[5] = 0, 0
		v += sum(ip[8:40])
	} else {
		ip[2], ip[3], ip[10], ip[11] = 0, 0, 0, 0
		v += sum(ip[12:20])
	}
	for v > 0xffff {
		v = v>>16 + v&0xffff
	}
	at := f.SumStart + f.SumOffset
	b[at], b[at+1] = byte(v>>8), byte(v)
}

func sum(b []byte) (v uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		v += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return v
}

// Reap implements card.Hardware.
func (d *chip) Reap() (int, uint64) {
	x := &d.tx
	for i := x.clean; i != x.tail; i = (i + 1) % entries {
		s := x.last[i]
		if !s.frame {
			continue
		}
		if atomic.LoadUint32(x.ring.Word32(i*descLen+12))&txDone == 0 {
			break
		}
		x.space.Put(s.ticket)
		x.last[i] = sent{}
		x.clean = (i + 1) % entries
		x.frames--
		x.done++
	}
	return x.frames, x.done
}
