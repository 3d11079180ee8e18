// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package offload

import "ringo/drivers/nic"

// Numbers that say what comes next (IEEE 802, "EtherType"; IANA, "Protocol Numbers").
const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100
	typeQinQ = 0x88a8

	protoHops = 0 // hop-by-hop options of IPv6
	protoTCP  = 6
	protoDest = 60 // destination options of IPv6
)

// Fields of headers, in bytes (RFC 791, RFC 8200, RFC 9293).
const (
	ip4Len      = 20
	ip4Total    = 2
	ip4ID       = 4
	ip4Fragment = 6
	ip4Proto    = 9
	ip4Sum      = 10
	ip4From     = 12

	ip6Len     = 40
	ip6Payload = 4
	ip6Next    = 6
	ip6From    = 8

	tcpLen   = 20
	tcpSeq   = 4
	tcpOff   = 12
	tcpFlags = 13
	tcpSum   = 16

	flagFIN = 0x01
	flagPSH = 0x08
	flagCWR = 0x80
)

// MaxHeaders is how long the headers of a frame are at most that is cut or summed here, in
// bytes.
const MaxHeaders = 256

// Headers looks at the beginning of a frame whose TCP header is said to be at tcp, over
// IPv4 or with v6 over IPv6, with tags of VLANs or without. It returns where the IP header
// is, and the length of all headers; ok is false where the frame cannot be cut by them.
func Headers(b []byte, tcp int, v6 bool) (ip, n int, ok bool) {
	kind, ip := network(b)
	switch {
	case ip == 0 || tcp < ip || tcp+tcpLen > len(b):
		return 0, 0, false
	case v6:
		ok = kind == typeIPv6 && over6(b[ip:tcp])
	default:
		ok = kind == typeIPv4 && over4(b[ip:tcp])
	}
	size := int(b[tcp+tcpOff]>>4) * 4
	n = tcp + size
	return ip, n, ok && size >= tcpLen && n <= min(len(b), MaxHeaders)
}

// network returns the type of what is behind Ethernet's header and tags, and where; 0 if
// the frame is too short.
func network(b []byte) (kind uint16, at int) {
	for at = nic.HeaderLen; at <= nic.HeaderLen+2*nic.VLANLen && at <= len(b); at += nic.VLANLen {
		if kind = be.Uint16(b[at-2:]); kind != typeVLAN && kind != typeQinQ {
			return kind, at
		}
	}
	return 0, 0
}

// over4 reports whether h is an IPv4 header that TCP, and not a fragment of it, follows.
func over4(h []byte) bool {
	return len(h) >= ip4Len && h[0]>>4 == 4 && int(h[0]&15)*4 == len(h) && h[ip4Proto] == protoTCP && be.Uint16(h[ip4Fragment:])&0x3fff == 0
}

// over6 reports whether h is an IPv6 header that TCP follows, perhaps behind options. A
// routing header changes what the checksum is of: it has no place here.
func over6(h []byte) bool {
	if len(h) < ip6Len || h[0]>>4 != 6 {
		return false
	}
	next, at := h[ip6Next], ip6Len
	for at < len(h) {
		if next != protoHops && next != protoDest || at+8 > len(h) {
			return false
		}
		next, at = h[at], at+8+8*int(h[at+1])
	}
	return at == len(h) && next == protoTCP
}
