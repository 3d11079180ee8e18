// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"encoding/binary"
	"net/netip"
)

// Types of Ethernet frames, numbers of protocols, and kinds of messages (IEEE 802,
// "EtherType"; IANA, "Protocol Numbers", "ICMPv6 Parameters").
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
	typeMost = 0x600 // below it is a length, and LLC

	protoHops     = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAuth     = 51
	protoICMPv6   = 58
	protoDest     = 60

	routerSolicitation = 133
	advertisement      = 134
	solicitation       = 135
	neighbour          = 136 // advertisement
	redirect           = 137
)

// packet is what is looked at of an IP packet.
type packet struct {
	src, dst netip.Addr
	proto    uint8 // the first that is no header of IP's own
	hops     uint8 // of IPv6, how many it may still go
	part     bool  // it is a fragment
	later    bool  // and not the first: there are no ports
	ports    bool  // of TCP and UDP, whose headers are there
	from, to uint16
	body     []byte // behind all headers of IP, as far as it was copied
	whole    bool   // the packet ends with body
}

// icmp6 reports whether it is of ICMPv6, which IPv4 does not carry.
func (k *packet) icmp6() bool { return k.proto == protoICMPv6 && k.src.Is6() }

// What a frame is.
const (
	other  = iota // no IP
	good          // an IP packet
	broken        // its headers are not whole, or contradict themselves
)

// parse looks at a frame of size bytes, of which head is the beginning, without a tag.
func (k *packet) parse(head []byte, size int) int {
	b := head[14:]
	switch kind := be.Uint16(head[12:]); {
	case kind == typeIPv4:
		return k.four(b, size-14)
	case kind == typeIPv6:
		return k.six(b, size-14)
	case kind < typeMost && len(b) >= 8 && be.Uint64(b)>>16 == 0xaaaa_0300_0000:
		// The same in another wrapping, which some systems take (RFC 1042).
		if t := be.Uint16(b[6:]); t == typeIPv4 || t == typeIPv6 || t == typeARP {
			return broken
		}
	}
	return other
}

func (k *packet) four(b []byte, size int) int {
	if len(b) < 20 || b[0]>>4 != 4 {
		return broken
	}
	n, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
	if n < 20 || n > len(b) || total < n || total > size {
		return broken
	}
	frag := be.Uint16(b[6:])
	*k = packet{
		src: netip.AddrFrom4([4]byte(b[12:])), dst: netip.AddrFrom4([4]byte(b[16:])), proto: b[9],
		part: frag&0x3fff != 0, later: frag&0x1fff != 0,
	}
	return k.upper(b[n:min(total, len(b))], total-n)
}

func (k *packet) six(b []byte, size int) int {
	if len(b) < 40 || b[0]>>4 != 6 {
		return broken
	}
	left := int(be.Uint16(b[4:]))
	if left+40 > size {
		return broken
	}
	*k = packet{src: netip.AddrFrom16([16]byte(b[8:])), dst: netip.AddrFrom16([16]byte(b[24:])), proto: b[6], hops: b[7]}
	for b = b[40:min(40+left, len(b))]; ; {
		n := 8
		switch k.proto {
		case protoHops, protoRouting, protoDest:
			if len(b) < 8 {
				return broken
			}
			n += 8 * int(b[1])
		case protoAuth:
			if len(b) < 8 {
				return broken
			}
			n = 4 * (int(b[1]) + 2)
		case protoFragment:
			if len(b) < 8 {
				return broken
			}
			k.part = k.part || be.Uint16(b[2:])&^6 != 0
			if k.later = be.Uint16(b[2:])>>3 != 0; k.later {
				k.proto = b[0]
				return k.upper(b[8:], left-8)
			}
		default:
			return k.upper(b, left)
		}
		if n > len(b) {
			return broken // RFC 7112: the headers are not beyond what anybody looks at
		}
		k.proto, b, left = b[0], b[n:], left-n
	}
}

// upper looks at what follows IP's headers, size bytes of which b are there.
func (k *packet) upper(b []byte, size int) int {
	k.body, k.whole = b, len(b) == size
	need := 0
	switch k.proto {
	case protoTCP:
		need = 20
	case protoUDP:
		need = 8
	case protoICMP, protoICMPv6:
		need = 4
	}
	if k.later {
		if k.proto == protoTCP && k.src.Is4() && len(b) == 0 {
			return broken
		}
		return good
	}
	if len(b) < need {
		return broken // a first fragment as small as that is to get around filters (RFC 1858)
	}
	if k.proto == protoTCP || k.proto == protoUDP {
		k.ports, k.from, k.to = true, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	return good
}
