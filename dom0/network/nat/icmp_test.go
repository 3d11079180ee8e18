// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

var router = netip.MustParseAddrPort("192.0.2.1:0")

// about is an ICMP error from somebody that quotes n bytes of a packet.
func about(from, to netip.Addr, kind uint8, quote []byte, n int) shape {
	return shape{proto: icmp, kind: kind, src: netip.AddrPortFrom(from, 0), dst: netip.AddrPortFrom(to, 0), data: quote[:min(n, len(quote))]}
}

// TestErrors: errors about a guest's packets come to it, as if they were about what it has
// sent; and its own go out.
func TestErrors(t *testing.T) {
	for _, proto := range []uint8{tcp, udp, icmp} {
		for _, quote := range []int{28, 36, 38, 40, 49, 548} {
			n := newTable(t, 64, 40)
			s := shape{proto: proto, kind: echo, flags: syn, src: guest1, dst: server1, data: make([]byte, 100)}
			if proto == icmp {
				s.dst = netip.AddrPortFrom(server1.Addr(), guest1.Port())
			}
			sent := s.bytes()
			wire, port := out(t, n, s, 0, Pass)
			e := about(router.Addr(), outside, timeExceeded, wire, quote)
			b, to := in(t, n, e, 0, Pass)
			inner := b[ipLen+icmpLen:]
			sent[8], sent[10], sent[11] = inner[8], inner[10], inner[11] // it was one hop older
			if to.Addr() != guest1.Addr() || !right(b, false) || !bytes.Equal(inner[:28], sent[:28]) || plain(inner[:ipLen]) != 0xffff {
				t.Errorf("%d, %d bytes: to %v, %x, want %x", proto, quote, to, inner[:min(48, len(inner))], sent[:min(48, len(inner))])
			}
			if quote >= 548 && !right(inner, false) {
				t.Errorf("%d: the sums of what is quoted are wrong", proto)
			}
			// The guest's own, about an answer.
			from := server1
			if proto == icmp {
				from = netip.AddrPortFrom(server1.Addr(), port)
			}
			answer, _ := in(t, n, shape{proto: proto, kind: echoReply, flags: ack, src: from, dst: ours(port), data: make([]byte, 80)}, 0, Pass)
			b = about(guest1.Addr(), server1.Addr(), unreachable, answer, quote).bytes()
			p := Packet{Head: b, Len: len(b)}
			v := n.Out(&p, outside, 0)
			src, _ := ends(b)
			_, dst := ends(b[ipLen+icmpLen:])
			if v != Pass || src.Addr() != outside || dst != ours(port) || !right(b, false) || plain(b[28:48]) != 0xffff {
				t.Errorf("%d: %v, from %v about %v", proto, v, src, dst)
			}
		}
	}
}

// TestFalseErrors: errors about what was never sent, and those that are none.
func TestFalseErrors(t *testing.T) {
	n := newTable(t, 64, 40)
	wire, port := out(t, n, shape{proto: udp, src: guest1, dst: server1, data: make([]byte, 40)}, 0, Pass)
	wrong := bytes.Clone(wire)
	wrong[10]++
	other := shape{proto: udp, src: ours(port), dst: server2}.bytes()
	for name, s := range map[string]shape{
		"another server":   about(router.Addr(), outside, unreachable, other, 28),
		"its sum is wrong": about(router.Addr(), outside, unreachable, wrong, 28),
		"no error":         about(router.Addr(), outside, 13, wire, 28),
		"too short":        about(router.Addr(), outside, unreachable, wire, 27),
		"of another one":   about(router.Addr(), outside2, unreachable, wire, 28),
	} {
		b := s.bytes()
		if v := n.In(&Packet{Head: b, Len: len(b)}, 0); v != Local {
			t.Errorf("%s: %v", name, v)
		}
	}
	for name, s := range map[string]shape{
		"never came":        about(guest1.Addr(), server2.Addr(), unreachable, shape{proto: udp, src: server2, dst: guest1}.bytes(), 28),
		"of another guest":  about(guest2.Addr(), server1.Addr(), unreachable, shape{proto: udp, src: server1, dst: guest1}.bytes(), 28),
		"about its own":     about(guest1.Addr(), server1.Addr(), unreachable, shape{proto: udp, src: guest1, dst: server1}.bytes(), 28),
		"a redirect":        about(guest1.Addr(), server1.Addr(), 5, shape{proto: udp, src: server1, dst: guest1}.bytes(), 28),
		"nothing is quoted": about(guest1.Addr(), server1.Addr(), unreachable, nil, 0),
	} {
		out(t, n, s, 0, Drop)
		_ = name
	}
}

// TestAnswer: what a guest is told, and what nobody is told of.
func TestAnswer(t *testing.T) {
	s := shape{proto: tcp, src: guest1, dst: server1, data: make([]byte, 1400), flags: ack}
	b := s.bytes()
	buf := make([]byte, 576)
	n := Answer(buf, TooBig, 1400, inside.Addr(), &Packet{Head: b[:HeadLen], Len: len(b)})
	src, dst := ends(buf[:n])
	if n != ipLen+icmpLen+HeadLen || src.Addr() != inside.Addr() || dst.Addr() != guest1.Addr() || !right(buf[:n], false) ||
		buf[20] != 3 || buf[21] != 4 || be.Uint16(buf[26:]) != 1400 || !bytes.Equal(buf[28:n], b[:HeadLen]) {
		t.Errorf("%d bytes: %x", n, buf[:48])
	}
	if n := Answer(buf, TimeExceeded, 0, inside.Addr(), &Packet{Head: b, Len: len(b)}); n != 576 || be.Uint16(buf[26:]) != 0 || !right(buf[:n], false) {
		t.Errorf("%d bytes: %x", n, buf[:48])
	}
	for name, s := range map[string]shape{
		"an error":   about(guest1.Addr(), server1.Addr(), unreachable, b, 28),
		"a piece":    {proto: udp, src: guest1, dst: server1, offset: 8, data: make([]byte, 8)},
		"to a group": {proto: udp, src: guest1, dst: netip.MustParseAddrPort("224.0.0.1:1")},
		"of nobody":  {proto: udp, src: netip.MustParseAddrPort("0.0.0.0:1"), dst: server1},
	} {
		b := s.bytes()
		if n := Answer(buf, TimeExceeded, 0, inside.Addr(), &Packet{Head: b, Len: len(b)}); n != 0 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

// TestPieces: pieces go where the first one went, in both directions, for a while; a guest
// that sends first pieces without end does not end another one's.
func TestPieces(t *testing.T) {
	n := newTable(t, 64, 40)
	s := shape{proto: udp, src: guest1, dst: server1, id: 7, more: true, data: make([]byte, 1400)}
	b, port := out(t, n, s, 0, Pass)
	if !right(b, false) {
		t.Error("the sums are wrong")
	}
	rest := shape{proto: udp, src: guest1, dst: server1, id: 7, offset: 1408, data: make([]byte, 100)}
	for i := range 2000 {
		out(t, n, shape{proto: udp, src: guest2, dst: server1, id: uint16(i), more: true, data: make([]byte, 8)}, time.Second, Pass)
	}
	b, _ = out(t, n, rest, time.Second, Pass)
	if !right(b, false) {
		t.Error("the sums are wrong")
	}
	other := rest
	other.id = 8
	out(t, n, other, time.Second, Drop)
	back := shape{proto: udp, src: server1, dst: ours(port), id: 9, more: true, data: make([]byte, 1400)}
	in(t, n, back, time.Second, Pass)
	back.offset, back.more = 1408, false
	if b, to := in(t, n, back, time.Second, Pass); to.Addr() != guest1.Addr() || !right(b, false) {
		t.Errorf("to %v", to)
	}
	out(t, n, rest, 31*time.Second, Drop)
	if n.Counters().Fragments != 2 {
		t.Errorf("%+v", n.Counters())
	}
	// Over the flags of TCP, nothing is laid.
	out(t, n, shape{proto: tcp, flags: syn, src: guest1, dst: server1, id: 7, more: true, data: make([]byte, 4)}, 31*time.Second, Pass)
	out(t, n, shape{proto: tcp, src: guest1, dst: server1, id: 7, offset: 8, data: make([]byte, 100)}, 31*time.Second, Drop)
}
