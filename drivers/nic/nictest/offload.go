// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nictest

import (
	"encoding/binary"

	"ringo/drivers/nic"
)

var be = binary.BigEndian

// Finish does with a frame that is sent what a card does of what f asks for: it returns
// the frames as they are on the wire.
func Finish(b []byte, f *nic.Frame) [][]byte {
	if !f.Sum {
		return [][]byte{b}
	}
	if f.Segment == 0 {
		fill(b, f.SumStart, f.SumOffset)
		return [][]byte{b}
	}
	head, rest := b[:f.Headers], b[f.Headers:]
	var all [][]byte
	for sent := 0; sent == 0 || sent < len(rest); {
		n := min(int(f.Segment), len(rest)-sent)
		part := append(append([]byte(nil), head...), rest[sent:sent+n]...)
		segment(part, f, len(all), sent, sent+n == len(rest))
		fill(part, f.SumStart, f.SumOffset)
		all = append(all, part)
		sent += max(n, 1)
	}
	return all
}

// segment puts into the headers of part number i, whose payload begins at sent, what is
// its own.
func segment(part []byte, f *nic.Frame, i, sent int, last bool) {
	ip, tcp := part[nic.HeaderLen:f.SumStart], part[f.SumStart:]
	pseudo := uint32(6) + uint32(len(tcp))
	if f.V6 {
		be.PutUint16(ip[4:], uint16(len(tcp)))
		pseudo = sum(ip[8:40], pseudo)
	} else {
		be.PutUint16(ip[2:], uint16(len(ip)+len(tcp)))
		be.PutUint16(ip[4:], be.Uint16(ip[4:])+uint16(i))
		be.PutUint16(ip[10:], 0)
		be.PutUint16(ip[10:], ^fold(sum(ip, 0)))
		pseudo = sum(ip[12:20], pseudo)
	}
	be.PutUint32(tcp[4:], be.Uint32(tcp[4:])+uint32(sent))
	if !last {
		tcp[13] &^= 9 // FIN, PSH
	}
	be.PutUint16(part[f.SumStart+f.SumOffset:], fold(pseudo))
}

// fill computes the checksum of all from start on.
func fill(b []byte, start, offset uint16) {
	at := start + offset
	v := ^fold(sum(b[start:], 0))
	if v == 0 {
		v = 0xffff
	}
	be.PutUint16(b[at:], v)
}

func sum(b []byte, v uint32) uint32 {
	for ; len(b) > 1; b = b[2:] {
		v += uint32(be.Uint16(b))
	}
	if len(b) > 0 {
		v += uint32(b[0]) << 8
	}
	return v
}

func fold(v uint32) uint16 {
	for v > 0xffff {
		v = v>>16 + v&0xffff
	}
	return uint16(v)
}
