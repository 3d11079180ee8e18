// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"encoding/binary"

	"ringo/drivers/nic"
	"ringo/drivers/nic/offload"
)

var le, be = binary.LittleEndian, binary.BigEndian

// The header of each frame ("Device Operation" of the network device).
const (
	headerLen = 12

	hdrFlags     = 0
	hdrKind      = 1 // of segments
	hdrHeaders   = 2
	hdrSegment   = 4
	hdrSumStart  = 6
	hdrSumOffset = 8
	hdrBuffers   = 10

	flagNeedsSum = 1
	flagVerified = 2

	kindNone = 0
	kindTCP4 = 1
	kindTCP6 = 4
)

// tcpSum is where TCP has its checksum, from its header on (RFC 9293).
const tcpSum = 16

// parse makes of a frame's header what the frame asks for, in f, or reports false where it
// cannot be done. head is the beginning of the frame, at least HeadLen bytes or all.
//
// What the driver says of the headers' length is no more than a hint ("Device
// Requirements: Packet Transmission"): the frame itself says it.
func (d *Device) parse(h *[headerLen]byte, features uint64, head []byte, size int, f *nic.Frame) bool {
	if size < nic.HeaderLen || size > maxFrame {
		return false
	}
	kind, sum := h[hdrKind], h[hdrFlags]&flagNeedsSum != 0
	if kind == kindNone && size > nic.HeaderLen+nic.VLANLen+d.MTU {
		return false
	}
	if !sum {
		return kind == kindNone
	}
	start, offset := le.Uint16(h[hdrSumStart:]), le.Uint16(h[hdrSumOffset:])
	if features&featChecksum == 0 || start < nic.HeaderLen || int(start)+int(offset)+2 > size {
		return false
	}
	f.Sum, f.SumStart, f.SumOffset = true, start, offset
	if kind == kindNone {
		return true
	}
	f.V6 = kind == kindTCP6
	f.Segment = le.Uint16(h[hdrSegment:])
	_, n, ok := offload.Headers(head, int(start), f.V6)
	f.Headers = uint16(n)
	return ok && canCut(kind, features) && offset == tcpSum && f.Segment >= minSegment && n < size &&
		int(le.Uint16(h[hdrHeaders:])) <= size
}

// canCut reports whether segments of a kind may be sent.
func canCut(kind byte, features uint64) bool {
	return kind == kindTCP4 && features&featTSO4 != 0 || kind == kindTCP6 && features&featTSO6 != 0
}

// header makes the header of a frame in so many buffers for the guest, or reports false
// where the guest cannot take it.
func header(h *[headerLen]byte, f *nic.Frame, taken uint64) bool {
	*h = [headerLen]byte{}
	h[hdrBuffers] = 1
	checksum, segment := accepts(taken)
	if !checksum {
		return !f.Sum && f.Segment == 0
	}
	if !f.Sum {
		if f.Verified {
			h[hdrFlags] = flagVerified
		}
		return f.Segment == 0
	}
	h[hdrFlags] = flagNeedsSum
	le.PutUint16(h[hdrSumStart:], f.SumStart)
	le.PutUint16(h[hdrSumOffset:], f.SumOffset)
	if f.Segment > 0 {
		h[hdrKind] = kindTCP4
		if f.V6 {
			h[hdrKind] = kindTCP6
		}
		le.PutUint16(h[hdrHeaders:], f.Headers)
		le.PutUint16(h[hdrSegment:], f.Segment)
		return segment
	}
	return true
}
