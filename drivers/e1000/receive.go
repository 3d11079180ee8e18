// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package e1000

import (
	"fmt"
	"sync/atomic"

	"ringo/drivers/dma"
	"ringo/drivers/nic"
)

// receiver is the ring of frames that come. Descriptor i has buffer i, for good.
type receiver struct {
	ring, buffers dma.Segment
	next          int // the descriptor that the device fills next
	back          int // those before it, up to next, are the driver's
	pieces        [entries][1][]byte
	long          bool // the rest of a frame of several buffers is skipped
	wrong         string
}

// startReceive gives the device all buffers.
//
// Preconditions: the device was reset.
func (d *chip) startReceive() {
	x, r := &d.rx, d.Regs
	x.next, x.back, x.long, x.wrong = 0, 0, false, ""
	clear(x.ring.Bytes)
	for i := range entries {
		le.PutUint64(x.ring.Bytes[i*descLen:], x.buffers.Addr+uint64(i*bufferLen))
	}
	r.Write32(regRDBAL, uint32(x.ring.Addr))
	r.Write32(regRDBAH, uint32(x.ring.Addr>>32))
	r.Write32(regRDLEN, entries*descLen)
	r.Write32(regRDTR, 0)
	r.Write32(regRADV, 0)
	r.Write32(regRDH, 0)
	r.Write32(regRXCSUM, rxcsumIP|rxcsumTransport)
	for i := uint32(0); i < 128; i++ {
		r.Write32(regMTA+4*i, 0)
	}
	r.Write32(regRCTL, d.control())
	// All but one: when head and tail are the same, the device has none.
	r.Write32(regRDT, entries-1)
}

// control is what RCTL has while frames come.
func (d *chip) control() uint32 {
	v := uint32(rctlEnable | rctlBroadcast | rctlMulticast | rctlStripCRC)
	if d.promiscuous {
		v |= rctlUnicast
	}
	return v
}

// Promiscuous implements card.Hardware.
func (d *chip) Promiscuous(on bool) {
	d.promiscuous = on
	d.Regs.Write32(regRCTL, d.control())
}

// status is the last word of descriptor i: status, errors. The device writes it last.
func (x *receiver) status(i int) uint32 { return atomic.LoadUint32(x.ring.Word32(i*descLen + 12)) }

// ready reports whether there is a frame.
func (x *receiver) ready() bool { return x.wrong == "" && x.status(x.next)&rxDone != 0 }

// Receive implements card.Hardware.
func (d *chip) Receive(frames []nic.Frame) (n int) {
	x := &d.rx
	// The descriptors from back on stay the driver's until Recycle.
	for taken := 0; n < len(frames) && taken < entries/2 && x.wrong == ""; taken++ {
		s := x.status(x.next)
		if s&rxDone == 0 {
			break
		}
		i := x.next
		x.next = (i + 1) % entries
		size := int(le.Uint16(x.ring.Bytes[i*descLen+8:]))
		errs := s >> 8 & 0xff
		whole := s&rxEnd != 0 && !x.long
		x.long = s&rxEnd == 0
		switch {
		case size > bufferLen:
			x.wrong = fmt.Sprintf("it says that it has written %d bytes to %d", size, bufferLen)
		case !whole || errs&rxErrFrame != 0 || size < nic.HeaderLen:
			d.card.RxErrors.Add(1)
		default:
			x.pieces[i][0] = x.buffers.Bytes[i*bufferLen : i*bufferLen+size]
			frames[n] = nic.Frame{Pieces: x.pieces[i][:], Verified: verified(s, errs)}
			n++
		}
	}
	if n == 0 {
		d.Recycle()
	}
	return n
}

// verified reports whether the device has looked at the checksums of IP and TCP or UDP,
// and they are right.
func verified(status, errs uint32) bool {
	return status&rxIgnoreSum == 0 && status&(rxTCPSum|rxUDPSum) != 0 && errs&(rxErrTCP|rxErrIP) == 0
}

// Recycle implements card.Hardware: the device gets the buffers that were taken, and has
// its status cleared before.
func (d *chip) Recycle() {
	x := &d.rx
	if x.back == x.next {
		return
	}
	for x.back != x.next {
		at := x.back * descLen
		le.PutUint64(x.ring.Bytes[at:], x.buffers.Addr+uint64(x.back*bufferLen))
		atomic.StoreUint32(x.ring.Word32(at+12), 0)
		x.back = (x.back + 1) % entries
	}
	// The tail is the last one that the device has, one before those it may fill next.
	d.Regs.Write32(regRDT, uint32((x.next+entries-1)%entries))
}
