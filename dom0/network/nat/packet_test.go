// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

// The networks of the tests.
var (
	inside   = netip.MustParsePrefix("10.77.0.1/24")
	guest1   = netip.MustParseAddrPort("10.77.0.11:5000")
	guest2   = netip.MustParseAddrPort("10.77.0.12:5000")
	outside  = netip.MustParseAddr("198.51.100.7")
	outside2 = netip.MustParseAddr("198.51.100.8")
	server1  = netip.MustParseAddrPort("203.0.113.1:80")
	server2  = netip.MustParseAddrPort("203.0.113.2:443")
)

func newTable(t testing.TB, flows, share int) *Table {
	t.Helper()
	n, err := New(Config{Inside: inside, Flows: flows, Share: share})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shape is a packet of the tests.
type shape struct {
	proto    uint8
	src, dst netip.AddrPort
	flags    uint8
	kind     uint8 // ICMP's
	ttl      uint8
	options  []byte
	id       uint16
	offset   int // of a piece, in bytes
	more     bool
	data     []byte
	sum      bool // pending
}

// bytes is the packet, with sums that are right.
func (s shape) bytes() []byte {
	at := ipLen + len(s.options)
	var next []byte
	switch s.proto {
	case tcp:
		next = make([]byte, tcpLen)
		next[12], next[13] = 5<<4, s.flags
	case udp:
		next = make([]byte, udpLen)
		be.PutUint16(next[4:], uint16(udpLen+len(s.data)))
	case icmp:
		next = make([]byte, icmpLen)
		next[0] = s.kind
		be.PutUint16(next[4:], s.src.Port())
	}
	if s.proto != icmp && len(next) > 0 {
		be.PutUint16(next, s.src.Port())
		be.PutUint16(next[2:], s.dst.Port())
	}
	if s.offset > 0 {
		next = nil
	}
	b := append(make([]byte, at), append(next, s.data...)...)
	b[0], b[8], b[9] = 0x40|byte(at/4), s.ttl, s.proto
	if s.ttl == 0 {
		b[8] = 64
	}
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint16(b[4:], s.id)
	piece := uint16(s.offset / 8)
	if s.more {
		piece |= 0x2000
	}
	be.PutUint16(b[6:], piece)
	be.PutUint32(b[12:], number(s.src.Addr()))
	be.PutUint32(b[16:], number(s.dst.Addr()))
	copy(b[ipLen:], s.options)
	settle(b, s.sum)
	return b
}

// settle writes the sums of a packet, by the plain way.
func settle(b []byte, pending bool) {
	at := int(b[0]&15) * 4
	b[10], b[11] = 0, 0
	be.PutUint16(b[10:], ^plain(b[:at]))
	if be.Uint16(b[6:])&0x1fff != 0 {
		return
	}
	next := b[at:]
	pseudo := append(append([]byte(nil), b[12:20]...), 0, b[9], byte(len(next)>>8), byte(len(next)))
	put := func(n int, v uint16) { be.PutUint16(next[n:], v) }
	switch b[9] {
	case icmp:
		put(2, 0)
		put(2, ^plain(next))
	case tcp, udp:
		n := 16
		if b[9] == udp {
			n = 6
		}
		put(n, 0)
		switch v := ^plain(append(pseudo, next...)); {
		case pending:
			put(n, plain(pseudo))
		case b[9] == udp && v == 0:
			put(n, 0xffff)
		default:
			put(n, v)
		}
	}
}

// plain is a one's complement sum of words, one after the other.
func plain(b []byte) uint16 {
	v := uint32(0)
	for i := range b {
		if i%2 == 0 {
			v += uint32(b[i]) << 8
		} else {
			v += uint32(b[i])
		}
		if v > 0xffff {
			v -= 0xffff
		}
	}
	return uint16(v)
}

// right reports whether the sums of a packet are.
func right(b []byte, pending bool) bool {
	c := bytes.Clone(b)
	settle(c, pending)
	at := int(b[0]&15) * 4
	n := map[uint8]int{tcp: 16, udp: 6, icmp: 2}[b[9]] + at
	same := func(i int) bool {
		x, y := be.Uint16(b[i:]), be.Uint16(c[i:])
		return x == y || x^y == 0xffff && (x == 0 || y == 0) // both are zero
	}
	if be.Uint16(b[6:])&0x1fff != 0 || b[9] == udp && be.Uint16(b[n:]) == 0 {
		n = 10
	}
	if !same(10) || !same(n) {
		return false
	}
	copy(c[10:], b[10:12])
	copy(c[n:], b[n:n+2])
	return bytes.Equal(b, c)
}

// ends are the addresses and ports of a packet.
func ends(b []byte) (src, dst netip.AddrPort) {
	at := int(b[0]&15) * 4
	var s, d uint16
	switch {
	case be.Uint16(b[6:])&0x1fff != 0:
	case b[9] == icmp:
		s = be.Uint16(b[at+4:])
		d = s
	default:
		s, d = be.Uint16(b[at:]), be.Uint16(b[at+2:])
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), s), netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), d)
}

// out sends a packet to the world; the port outside is returned.
func out(t testing.TB, n *Table, s shape, at time.Duration, want Verdict) (b []byte, port uint16) {
	t.Helper()
	b = s.bytes()
	was := bytes.Clone(b)
	p := Packet{Head: b, Len: len(b), Sum: s.sum}
	if v := n.Out(&p, outside, at); v != want {
		t.Fatalf("%+v: verdict %v, want %v; %+v", s, v, want, n.Counters())
	}
	if want != Pass {
		if !bytes.Equal(b, was) {
			t.Fatalf("%+v: changed, and not passed", s)
		}
		return b, 0
	}
	src, dst := ends(b)
	if src.Addr() != outside || dst.Addr() != s.dst.Addr() || s.offset == 0 && s.proto != icmp && dst != s.dst || b[8] != was[8]-1 {
		t.Fatalf("%+v: %v to %v, time to live %d", s, src, dst, b[8])
	}
	return b, src.Port()
}

// in has a packet come from outside; where it goes is returned.
func in(t testing.TB, n *Table, s shape, at time.Duration, want Verdict) (b []byte, to netip.AddrPort) {
	t.Helper()
	b = s.bytes()
	was := bytes.Clone(b)
	p := Packet{Head: b, Len: len(b)}
	if v := n.In(&p, at); v != want {
		t.Fatalf("%+v: verdict %v, want %v; %+v", s, v, want, n.Counters())
	}
	if want != Pass {
		if !bytes.Equal(b, was) {
			t.Fatalf("%+v: changed, and not passed", s)
		}
		return b, to
	}
	src, dst := ends(b)
	if src.Addr() != s.src.Addr() || b[8] != was[8]-1 || s.offset == 0 && s.proto != icmp && src != s.src {
		t.Fatalf("%+v: %v to %v", s, src, dst)
	}
	return b, dst
}

// ours is a port outside.
func ours(port uint16) netip.AddrPort { return netip.AddrPortFrom(outside, port) }
