// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"encoding/binary"
)

var be = binary.BigEndian

// Packet is an IPv4 packet that is to be rewritten.
type Packet struct {
	// Head is its beginning, from IP's header on: all of it, or at least HeadLen bytes. It
	// is rewritten in place, and nobody else changes it meanwhile.
	Head []byte
	// Len is the number of bytes from IP's header to the end of the frame.
	Len int
	// Sum says that the sum of TCP or UDP is the pseudo header's only, as in a nic.Frame.
	Sum bool
}

// HeadLen is how much of a packet is looked at, at most, in bytes: IP's header, an ICMP
// error's, that of the packet that it is about, and TCP's to the end of its checksum.
const HeadLen = 60 + 8 + 60 + 20

// The shortest headers in bytes.
const (
	ipLen   = 20
	udpLen  = 8
	tcpLen  = 20
	icmpLen = 8
)

// header is what a packet's says.
type header struct {
	at           int // where the next one begins
	proto        uint8
	src, dst     uint32
	sport, dport uint16 // of a ping both are its identifier
	flags        uint8  // TCP's
	kind, code   uint8  // ICMP's
	first, more  bool   // the first piece, which has the next header; and not the last
	id           uint16
}

// Flags of TCP (RFC 9293, "Header Format").
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// Types of ICMP (RFC 792; RFC 1812).
const (
	echoReply    = 0
	unreachable  = 3
	echo         = 8
	timeExceeded = 11
	badParameter = 12
)

// parse reads b, the beginning of a packet of which n bytes are there. whole says that the
// headers behind IP's must be there to the last byte, which they are not in what an ICMP
// error quotes: of that eight bytes do (RFC 792).
func parse(b []byte, n int, whole bool) (h header, ok bool) {
	if len(b) < ipLen || b[0]>>4 != 4 {
		return h, false
	}
	h.at = int(b[0]&15) * 4
	total := int(be.Uint16(b[2:]))
	if h.at < ipLen || h.at > len(b) || total < h.at || whole && total > n {
		return h, false
	}
	if h.at > ipLen && sourceRoute(b[ipLen:h.at]) {
		return h, false
	}
	piece := be.Uint16(b[6:])
	h.id, h.proto = be.Uint16(b[4:]), b[9]
	h.src, h.dst = be.Uint32(b[12:]), be.Uint32(b[16:])
	h.first, h.more = piece&0x1fff == 0, piece&0x2000 != 0
	if !h.first {
		return h, true
	}
	next := b[h.at:min(len(b), total)]
	if len(next) < 8 {
		return h, h.proto != tcp && h.proto != udp && h.proto != icmp
	}
	switch h.proto {
	case tcp:
		h.sport, h.dport = be.Uint16(next), be.Uint16(next[2:])
		if len(next) < tcpLen {
			return h, !whole
		}
		h.flags = next[13]
	case udp:
		h.sport, h.dport = be.Uint16(next), be.Uint16(next[2:])
	case icmp:
		h.kind, h.code = next[0], next[1]
		h.sport = be.Uint16(next[4:])
		h.dport = h.sport
	}
	return h, true
}

// sourceRoute reports whether options say by which way a packet goes: such ones lead
// around what others were told of addresses (RFC 7126 has them dropped). Options that are
// no list of such count as well.
func sourceRoute(b []byte) bool {
	for len(b) > 0 && b[0] != 0 {
		if b[0] == 1 {
			b = b[1:]
			continue
		}
		if b[0] == 131 || b[0] == 137 || len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return true
		}
		b = b[b[1]:]
	}
	return false
}

// routable reports whether an address may be one machine's in the world: not this
// network, not the loopback, not the link's own (RFC 3927 has routers drop those), no
// group, nothing reserved (RFC 6890).
func routable(a uint32) bool {
	return a>>24 != 0 && a>>24 != 127 && a>>16 != 169<<8|254 && a>>28 < 14
}
