// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"ringo/drivers/nic"
)

var (
	ours   = netip.MustParseAddr("10.77.0.2")
	theirs = netip.MustParseAddr("10.77.0.3")
	gate4  = netip.MustParseAddr("10.77.0.1")
	free   = netip.MustParseAddr("10.77.0.9")
	ours6  = netip.MustParseAddr("fe80::2")
	their6 = netip.MustParseAddr("fe80::3")
	group6 = netip.MustParseAddr("ff02::1")
	none4  = netip.IPv4Unspecified()
	none6  = netip.IPv6Unspecified()
)

// arp is an ARP packet of the guest, or of who says that he has another MAC.
func arp(mac nic.MAC, from, target netip.Addr) []byte {
	f, to := from.As4(), target.As4()
	b := append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, mac[:]...)
	return frame(broadcast, guestMAC, 0x806, append(append(append(b, f[:]...), 0, 0, 0, 0, 0, 0), to[:]...)...)
}

var guestMAC = mac(1)

// ip4 is an IPv4 packet; frag is its word of flags and offset.
func ip4(src, dst netip.Addr, proto byte, frag uint16, body ...byte) []byte {
	s, d := src.As4(), dst.As4()
	n := 20 + len(body)
	b := []byte{0x45, 0, byte(n >> 8), byte(n), 0, 1, byte(frag >> 8), byte(frag), 64, proto, 0, 0}
	return frame(broadcast, guestMAC, 0x800, slices.Concat(b, s[:], d[:], body)...)
}

// ip6 is an IPv6 packet.
func ip6(src, dst netip.Addr, proto byte, body ...byte) []byte {
	s, d := src.As16(), dst.As16()
	b := []byte{0x60, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), proto, 255}
	return frame(broadcast, guestMAC, 0x86dd, slices.Concat(b, s[:], d[:], body)...)
}

// ports is a header of UDP, or the beginning of one of TCP.
func ports(from, to uint16, more ...byte) []byte {
	return append([]byte{byte(from >> 8), byte(from), byte(to >> 8), byte(to), 0, 8, 0, 0}, more...)
}

// nd is a message of neighbour discovery with an option of a link-layer address.
func nd(kind byte, target netip.Addr, option byte, mac nic.MAC) []byte {
	t := target.As16()
	return slices.Concat([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, t[:], []byte{option, 1}, mac[:])
}

// TestFilter: what a guest may say of addresses, on a network whose addresses dom0 gives,
// and on one where it does not.
func TestFilter(t *testing.T) {
	const both, leased, neither, unleased = 3, 1, 0, 2
	tcp := ports(1, 2, make([]byte, 12)...)
	hops := []byte{protoICMPv6, 0, 0, 0, 0, 0, 0, 0}
	fragment := func(next byte, word byte) []byte { return []byte{next, 0, 0, word, 0, 0, 0, 1} }
	for _, r := range []struct {
		name  string
		f     []byte
		where int
	}{
		{"its ARP", arp(mac(1), ours, theirs), both},
		{"ARP from another MAC", arp(mac(2), ours, theirs), neither},
		{"another's ARP", arp(mac(1), theirs, ours), neither},
		{"the gateway's ARP", arp(mac(1), gate4, ours), neither},
		{"ARP from nobody's address", arp(mac(1), free, ours), unleased},
		{"it asks before it has an address", arp(mac(1), none4, ours), both},
		{"it asks for a free one", arp(mac(1), none4, free), both},
		{"it asks for another's as if it wanted it", arp(mac(1), none4, theirs), neither},
		{"ARP that is short", arp(mac(1), ours, theirs)[:40], neither},
		{"ARP of another kind", frame(broadcast, guestMAC, 0x806, make([]byte, 40)...), neither},
		{"IPv4", ip4(ours, theirs, 6, 0, tcp...), both},
		{"IPv4 from another", ip4(theirs, ours, 6, 0, tcp...), neither},
		{"IPv4 from dom0", ip4(gate4, theirs, 6, 0, tcp...), neither},
		{"IPv4 from the world", ip4(free, theirs, 6, 0, tcp...), unleased},
		{"IPv4 from nobody", ip4(none4, theirs, 6, 0, tcp...), neither},
		{"a DHCP client", ip4(none4, netip.MustParseAddr("255.255.255.255"), 17, 0, ports(68, 67)...), both},
		{"a DHCP client that renews", ip4(ours, gate4, 17, 0, ports(68, 67)...), both},
		{"a DHCP server", ip4(ours, theirs, 17, 0, ports(67, 68)...), neither},
		{"a DHCP server in fragments", ip4(ours, theirs, 17, 0x2000, ports(67, 68)...), neither},
		{"a fragment without ports", ip4(ours, theirs, 17, 0x2000, 0, 67), neither},
		{"a later fragment", ip4(ours, theirs, 17, 3, 0, 67), both},
		{"half a header", ip4(ours, theirs, 17, 0)[:30], neither},
		{"a header that is too long", func() []byte { b := ip4(ours, theirs, 17, 0, ports(1, 2)...); b[14] = 0x4f; return b }(), neither},
		{"more than there is", func() []byte { b := ip4(ours, theirs, 17, 0, ports(1, 2)...); b[17] = 99; return b }(), neither},
		{"IPv6 by the type of IPv4", func() []byte { b := ip6(ours6, their6, 17, ports(1, 2)...); b[12], b[13] = 8, 0; return b }(), neither},
		{"IPv4 in SNAP", frame(broadcast, guestMAC, 60, append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, make([]byte, 40)...)...), neither},
		{"what is not IP", frame(broadcast, guestMAC, 0x88b5, 1, 2), both},
		{"IPv6", ip6(ours6, their6, 6, tcp...), both},
		{"IPv6 from another", ip6(their6, ours6, 6, tcp...), neither},
		{"IPv6 from a group", ip6(group6, ours6, 6, tcp...), neither},
		{"a router", ip6(ours6, group6, 58, nd(134, ours6, 1, mac(1))...), neither},
		{"a router behind options", ip6(ours6, group6, 0, append(hops, nd(134, ours6, 1, mac(1))...)...), neither},
		{"a router in a fragment", ip6(ours6, group6, 44, append(fragment(58, 1), nd(134, ours6, 1, mac(1))...)...), neither},
		{"a router behind more than is looked at", ip6(ours6, group6, 60, append([]byte{58, 20, 0, 0, 0, 0, 0, 0}, make([]byte, 300)...)...), neither},
		{"a redirect", ip6(ours6, group6, 58, nd(137, ours6, 2, mac(1))...), neither},
		{"a neighbour", ip6(ours6, group6, 58, nd(136, ours6, 2, mac(1))...), both},
		{"a neighbour in a fragment", ip6(ours6, group6, 44, append(fragment(58, 1), nd(136, ours6, 2, mac(1))...)...), neither},
		{"a neighbour with another's address", ip6(ours6, group6, 58, nd(136, their6, 2, mac(1))...), neither},
		{"a neighbour with another's MAC", ip6(ours6, group6, 58, nd(136, ours6, 2, mac(2))...), neither},
		{"a neighbour with half an option", ip6(ours6, group6, 58, nd(136, ours6, 2, mac(1))[:28]...), neither},
		{"it asks for a neighbour", ip6(ours6, group6, 58, nd(135, their6, 1, mac(1))...), both},
		{"it asks whether an address is free", ip6(none6, group6, 58, nd(135, ours6, 1, mac(1))...), both},
		{"it asks whether another's is free", ip6(none6, group6, 58, nd(135, their6, 1, mac(1))...), neither},
		{"it asks for routers", ip6(none6, group6, 58, 133, 0, 0, 0, 0, 0, 0, 0), both},
		{"a later fragment of IPv6", ip6(ours6, their6, 44, append(fragment(17, 8), 1, 2, 3)...), both},
		{"a DHCPv6 client", ip6(ours6, group6, 17, ports(546, 547)...), both},
		{"a DHCPv6 server", ip6(ours6, group6, 17, ports(547, 546)...), neither},
	} {
		for mode := range 3 {
			s := New("lan")
			_, victim := join(t, s, Options{Uplink: true})
			p, _ := join(t, s, Options{MAC: mac(1), Leased: mode == 0, Unfiltered: mode == 2})
			q, _ := join(t, s, Options{MAC: mac(2)})
			q.Allow(ours) // the lease has changed hands since
			for _, a := range []netip.Addr{ours, ours6} {
				p.Allow(a)
			}
			for _, a := range []netip.Addr{theirs, their6} {
				q.Allow(a)
			}
			s.Reserve(gate4)
			p.Send(whole(r.f))
			want := mode == 2 || r.where>>mode&1 != 0
			if got := len(victim.take()) == 1; got != want || (p.Counters().Spoofed == 0) != want {
				t.Errorf("%s, %s: passes: %v", r.name, []string{"leased", "not leased", "unfiltered"}[mode], got)
			}
		}
	}
}

// TestAllow: a port has so many addresses, and none when it is gone.
func TestAllow(t *testing.T) {
	s := New("lan")
	p, _ := join(t, s, Options{MAC: mac(1), Leased: true})
	addr := func(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", n)) }
	for n := range 100 {
		p.Allow(addr(n % 50))
	}
	if l, m := len(p.list()), len(s.state.Load().owners); l != addressesMost || m != addressesMost || !p.allows(addr(49)) || p.allows(addr(3)) {
		t.Errorf("%d, %d, %v", l, m, p.list())
	}
	s.Reserve(addr(49))
	if p.allows(addr(49)) {
		t.Error("it has what dom0 has taken")
	}
	if s.Reserve(addr(48)); len(s.state.Load().owners) != addressesMost-1 {
		t.Errorf("dom0 keeps what it had: %v", s.state.Load().owners)
	}
	p.Leave()
	p.Allow(addr(1))
	if m := len(s.state.Load().owners); m != 1 {
		t.Errorf("%d addresses of nobody", m)
	}
}

// FuzzFilter: whatever a guest sends, nobody gets what claims another's address.
func FuzzFilter(f *testing.F) {
	f.Add(arp(mac(1), theirs, ours))
	f.Add(ip4(theirs, ours, 17, 0, ports(67, 68)...))
	f.Add(ip6(ours6, group6, 0, append([]byte{protoICMPv6, 0, 0, 0, 0, 0, 0, 0}, nd(134, ours6, 1, mac(1))...)...))
	f.Add(tagged(ip6(ours6, group6, 44, append([]byte{58, 0, 0, 1, 0, 0, 0, 0}, nd(136, their6, 2, mac(2))...)...), 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := New("lan")
		_, victim := join(t, s, Options{Uplink: true})
		p, _ := join(t, s, Options{MAC: mac(1), Leased: true, VLAN: 10, Trunk: []uint16{10, 20}})
		s.Reserve(theirs, their6)
		cut := len(b) / 3
		p.Send([]nic.Frame{{Pieces: [][]byte{b[:cut], b[cut:]}, Sum: cut%4 == 3, SumStart: 34, SumOffset: 16, Segment: uint16(cut % 2 * 300), Headers: 54}})
		for _, g := range victim.take() {
			e := []byte(g)
			if nic.MAC(e[6:]) != mac(1) {
				t.Fatalf("from %x", e[6:12])
			}
			if e[12] == 0x81 && e[13] == 0 {
				e = append(e[:12], e[16:]...)
			}
			t4, t6 := theirs.As4(), their6.As16()
			switch kind := be.Uint16(e[12:]); {
			case kind == typeARP && [4]byte(e[28:]) == t4, kind == typeIPv4 && [4]byte(e[26:]) == t4, kind == typeIPv6 && [16]byte(e[22:]) == t6:
				t.Fatalf("a claim: %x", e)
			case kind == typeIPv6 && e[20] == protoICMPv6 && (e[54] == 134 || e[54] == 136 && [16]byte(e[62:]) == t6):
				t.Fatalf("a claim: %x", e)
			}
		}
	})
}
