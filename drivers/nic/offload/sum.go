// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package offload

import (
	"encoding/binary"
	"math/bits"

	"ringo/drivers/nic"
)

var le, be = binary.LittleEndian, binary.BigEndian

// Sum returns v and all 16-bit words of b, added in one's complement (RFC 1071): not the
// checksum, which is the complement of it. An odd byte at the end is a word with a zero.
func Sum(b []byte, v uint16) uint16 {
	return bits.ReverseBytes16(fold(add(b, uint64(bits.ReverseBytes16(v)))))
}

// Checksum does with a frame that is in one piece what its Sum asks for. It reports false
// if the frame ends before the place.
func Checksum(b []byte, start, offset int) bool {
	if start < 0 || offset < 0 || start+offset+2 > len(b) {
		return false
	}
	put(b[start+offset:], Sum(b[start:], 0))
	return true
}

// put stores the checksum of what has a sum. 0 is no checksum for UDP, and the same number
// as 0xffff for others.
func put(at []byte, sum uint16) {
	v := ^sum
	if v == 0 {
		v = 0xffff
	}
	be.PutUint16(at, v)
}

// add adds the words of b to v, in the other byte order, which is as good (RFC 1071, "Byte
// Order Independence"), and eight bytes at a time ("Parallel Summation").
func add(b []byte, v uint64) uint64 {
	var c uint64
	for len(b) >= 32 {
		v, c = bits.Add64(v, le.Uint64(b), 0)
		v, c = bits.Add64(v, le.Uint64(b[8:]), c)
		v, c = bits.Add64(v, le.Uint64(b[16:]), c)
		v, c = bits.Add64(v, le.Uint64(b[24:]), c)
		v, c = bits.Add64(v, 0, c)
		v += c
		b = b[32:]
	}
	for len(b) >= 8 {
		v, c = bits.Add64(v, le.Uint64(b), 0)
		v, c = bits.Add64(v, 0, c)
		v += c
		b = b[8:]
	}
	if len(b) == 0 {
		return v
	}
	var last [8]byte
	copy(last[:], b)
	v, c = bits.Add64(v, le.Uint64(last[:]), 0)
	v, c = bits.Add64(v, 0, c)
	return v + c
}

// fold makes a word of four.
func fold(v uint64) uint16 {
	v = v>>32 + v&0xffff_ffff
	v = v>>32 + v&0xffff_ffff
	v = v>>16 + v&0xffff
	v = v>>16 + v&0xffff
	return uint16(v>>16 + v&0xffff)
}

// summed adds up pieces, which may be of odd lengths, from some byte of a frame on.
type summed struct {
	v   uint64 // cannot overflow: it is 16 bits for each piece
	odd bool
}

func (s *summed) piece(b []byte) {
	v := fold(add(b, 0))
	if s.odd {
		v = bits.ReverseBytes16(v)
	}
	s.v += uint64(v)
	s.odd = s.odd != (len(b)%2 != 0)
}

// frame adds up all of a frame from byte start on.
func (s *summed) frame(f *nic.Frame, start int) {
	for _, p := range f.Pieces {
		if start >= len(p) {
			start -= len(p)
			continue
		}
		s.piece(p[start:])
		start = 0
	}
}

func (s *summed) sum() uint16 { return bits.ReverseBytes16(fold(s.v)) }
