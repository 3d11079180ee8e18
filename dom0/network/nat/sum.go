// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

// Internet checksums are changed by what has changed of the words that they are of (RFC
// 1624, equation 3). A change is the sum of the words as they are now and of the
// complements of those that were.

// change is what a sum changes by where was becomes is, 32 bits at an even place.
func change(was, is uint32) uint32 {
	was = ^was
	return was>>16 + was&0xffff + is>>16 + is&0xffff
}

// change16 is change of 16 bits.
func change16(was, is uint16) uint32 { return uint32(^was) + uint32(is) }

// fold is the sum of v's halves, in one's complement.
func fold(v uint32) uint16 {
	v = v>>16 + v&0xffff
	return uint16(v>>16 + v)
}

// adjust applies a change to the checksum at b.
func adjust(b []byte, by uint32) {
	be.PutUint16(b, ^fold(uint32(^be.Uint16(b))+by))
}

// adjustUDP is adjust of UDP's, where none is 0, and 0 is written otherwise (RFC 768).
func adjustUDP(b []byte, by uint32) {
	if b[0]|b[1] == 0 {
		return
	}
	v := ^fold(uint32(^be.Uint16(b)) + by)
	if v == 0 {
		v = 0xffff
	}
	be.PutUint16(b, v)
}

// adjustPending applies a change to a pseudo header's sum that waits for the rest.
func adjustPending(b []byte, by uint32) {
	be.PutUint16(b, fold(uint32(be.Uint16(b))+by))
}

// side says which end of a packet is rewritten.
type side int

const (
	source side = iota
	destination
)

// readdress gives the packet at b another address at one end. It returns what that changes
// of sums.
func readdress(b []byte, end side, addr uint32) uint32 {
	at := b[12+4*end:]
	by := change(be.Uint32(at), addr)
	be.PutUint32(at, addr)
	adjust(b[10:], by)
	return by
}

// rewrite gives the packet at b, whose header is h, another address and port at one end,
// and corrects the sums. Of an ICMP packet the port is the identifier. pending is about
// the sum of TCP or UDP.
func rewrite(b []byte, h *header, end side, addr uint32, port uint16, pending bool) {
	by := readdress(b, end, addr)
	next := b[h.at:]
	switch h.proto {
	case icmp:
		was := be.Uint16(next[4:])
		be.PutUint16(next[4:], port)
		adjust(next[2:], change16(was, port)) // there is no pseudo header
		return
	case tcp, udp:
		was := be.Uint16(next[2*end:])
		be.PutUint16(next[2*end:], port)
		if !pending {
			by += change16(was, port)
		}
	}
	switch {
	case pending && h.proto == tcp:
		adjustPending(next[16:], by)
	case pending:
		adjustPending(next[6:], by)
	case h.proto == udp:
		adjustUDP(next[6:], by)
	case len(next) >= 18: // of what an error quotes it may not be there
		adjust(next[16:], by)
	}
}

// age takes one off the packet's time to live. It is more than 1.
func age(b []byte) {
	was := be.Uint16(b[8:])
	be.PutUint16(b[8:], was-0x100)
	adjust(b[10:], change16(was, was-0x100))
}
