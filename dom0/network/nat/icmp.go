// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import "net/netip"

// ICMP errors quote the packet that they are about, which says to which flow they belong.
// What is quoted is translated as that packet was, the other way round (RFC 5508 REQ-4 and
// REQ-5). They change nothing of a flow.

// quoted reads what an error at b quotes; its header is h.
func quoted(b []byte, h *header) (inner []byte, q header, ok bool) {
	b = b[:min(len(b), int(be.Uint16(b[2:])))]
	if h.more || h.kind != unreachable && h.kind != timeExceeded && h.kind != badParameter || len(b) < h.at+icmpLen {
		return nil, q, false
	}
	inner = b[h.at+icmpLen:]
	q, ok = parse(inner, 0, false)
	return inner, q, ok && q.first && fold(sum(inner[:q.at])) == 0xffff
}

// errorOut translates an error from a guest.
func (t *Table) errorOut(b []byte, h *header, outside uint32) Verdict {
	inner, q, ok := quoted(b, h)
	if !ok || q.dst != h.src || q.proto == icmp && q.kind != echoReply {
		t.count.Unsupported++
		return Drop
	}
	i := t.findOut(q.proto, q.dst, q.src, q.dport, q.sport)
	if i == none || t.flows[i].outside != outside {
		t.count.Unsolicited++
		return Drop
	}
	f := &t.flows[i]
	requote(b, inner, h, &q, destination, f.outside, f.xport)
	readdress(b, source, f.outside)
	return Pass
}

// errorIn translates an error from outside, if it is about a guest's flow.
func (t *Table) errorIn(b []byte, h *header) Verdict {
	inner, q, ok := quoted(b, h)
	if !ok || q.src != h.dst || q.proto == icmp && q.kind != echo {
		return Local
	}
	i := t.findIn(q.proto, q.src, q.dst, q.sport, q.dport)
	if i == none {
		return Local
	}
	if b[8] <= 1 {
		t.count.Malformed++
		return Drop // of an error there is none
	}
	f := &t.flows[i]
	requote(b, inner, h, &q, source, f.inside, f.iport)
	readdress(b, destination, f.inside)
	return Pass
}

// requote rewrites what an error quotes, and the error's sum.
func requote(b, inner []byte, h, q *header, end side, addr uint32, port uint16) {
	// All that is rewritten is in here, from an even place to an even one.
	part := inner[:min(len(inner), q.at+tcpLen)&^1]
	was := sum(part)
	rewrite(inner, q, end, addr, port, false)
	adjust(b[h.at+2:], uint32(^fold(was))+uint32(fold(sum(part))))
}

// sum is that of words. It is not folded.
func sum(b []byte) (v uint32) {
	for ; len(b) > 1; b = b[2:] {
		v += uint32(be.Uint16(b))
	}
	if len(b) == 1 {
		v += uint32(b[0]) << 8
	}
	return v
}

// Reason is what an error says: ICMP's type in the upper byte, and its code.
type Reason uint16

// Reasons (RFC 792, RFC 1812).
const (
	NetUnreachable  Reason = unreachable << 8
	HostUnreachable Reason = unreachable<<8 | 1
	PortUnreachable Reason = unreachable<<8 | 3
	TooBig          Reason = unreachable<<8 | 4
	TimeExceeded    Reason = timeExceeded << 8
)

// errorMost is how long an error is, with IP's header (RFC 1812, "Original Message
// Header").
const errorMost = 576

// Answer makes an ICMP error in b, which has room for 576 bytes: what from has to say
// about packet p. Of TooBig mtu is what would not be, in bytes. It returns the length of
// the IP packet, 0 where none may be sent (RFC 1812, "When Not to Send ICMP Errors").
func Answer(b []byte, why Reason, mtu uint16, from netip.Addr, p *Packet) int {
	h, ok := parse(p.Head, p.Len, true)
	if !ok || !h.first || !routable(h.src) || !routable(h.dst) || h.proto == icmp && h.kind != echo {
		return 0
	}
	quote := p.Head[:min(len(p.Head), int(be.Uint16(p.Head[2:])), errorMost-ipLen-icmpLen)]
	n := ipLen + icmpLen + len(quote)
	b = b[:n]
	clear(b[:ipLen+icmpLen])
	b[0], b[8], b[9] = 0x45, 64, icmp
	be.PutUint16(b[2:], uint16(n))
	be.PutUint32(b[12:], number(from))
	be.PutUint32(b[16:], h.src)
	be.PutUint16(b[10:], ^fold(sum(b[:ipLen])))
	m := b[ipLen:]
	be.PutUint16(m, uint16(why))
	if why == TooBig {
		be.PutUint16(m[6:], mtu) // RFC 1191
	}
	copy(m[icmpLen:], quote)
	be.PutUint16(m[2:], ^fold(sum(m)))
	return n
}
