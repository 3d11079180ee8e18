// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseRules(t *testing.T) {
	for line, want := range map[string]string{
		"":                               `rule "": it begins with allow or deny, in or out, and a protocol: say such as "allow in tcp 22"`,
		"permit in tcp":                  `rule "permit in tcp": it begins with allow or deny, in or out, and a protocol: say such as "allow in tcp 22"`,
		"allow both tcp":                 `rule "allow both tcp": it begins with allow or deny, in or out, and a protocol: say such as "allow in tcp 22"`,
		"default drop in":                `rule "default drop in": it is not a default: say such as "default deny in"`,
		"default deny":                   `rule "default deny": it is not a default: say such as "default deny in"`,
		"allow in sctp":                  `rule "allow in sctp": "sctp" is no protocol: any, tcp, udp, icmp, or a number`,
		"allow in 256":                   `rule "allow in 256": "256" is no protocol: any, tcp, udp, icmp, or a number`,
		"allow in any 22":                `rule "allow in any 22": "22" is no address, and only tcp and udp have ports`,
		"allow in tcp 22 23":             `rule "allow in tcp 22 23": it has ports twice: write them as 80,443`,
		"allow in tcp 70000":             `rule "allow in tcp 70000": "70000" is no port, nor ports such as 8000-8010`,
		"allow in tcp 90-80":             `rule "allow in tcp 90-80": "90-80" is no port, nor ports such as 8000-8010`,
		"allow in tcp 80,":               `rule "allow in tcp 80,": "" is no port, nor ports such as 8000-8010`,
		"deny out any 10.0.0.0/33":       `rule "deny out any 10.0.0.0/33": "10.0.0.0/33" is neither an address nor a prefix`,
		"deny out any 10.0.0.1 10.0.0.2": `rule "deny out any 10.0.0.1 10.0.0.2": it has two addresses: make two rules`,
	} {
		if _, err := ParseRules([]string{"allow in tcp", line}); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if _, err := ParseRules(slices.Repeat([]string{"allow in any"}, rulesMost+1)); err == nil || !strings.Contains(err.Error(), "more than 64") {
		t.Error(err)
	}
}

// TestRules: each packet against rules, with nothing before it.
func TestRules(t *testing.T) {
	peer := netip.MustParseAddr("10.1.2.3")
	syn := func(port uint16) []byte { return ports(1000, port, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0) }
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	for _, r := range []struct {
		rules string
		f     []byte
		dir   int
		want  bool
	}{
		{"", ip4(peer, ours, 6, 0, syn(22)...), in, true},
		{"default deny in", ip4(peer, ours, 6, 0, syn(22)...), in, false},
		{"default deny in", ip4(ours, peer, 6, 0, syn(22)...), out, true},
		{"default deny out", ip4(ours, peer, 6, 0, syn(22)...), out, false},
		{"allow in tcp 22;default deny in", ip4(peer, ours, 6, 0, syn(22)...), in, true},
		{"allow in tcp 22;default deny in", ip4(peer, ours, 6, 0, syn(23)...), in, false},
		{"allow in tcp 22;default deny in", ip4(peer, ours, 17, 0, ports(1, 22)...), in, false},
		{"allow in tcp 20-22,80;default deny in", ip4(peer, ours, 6, 0, syn(21)...), in, true},
		{"allow in tcp 20-22,80;default deny in", ip4(peer, ours, 6, 0, syn(80)...), in, true},
		{"allow in tcp 22 10.1.0.0/16;default deny in", ip4(peer, ours, 6, 0, syn(22)...), in, true},
		{"allow in tcp 10.1.2.4;default deny in", ip4(peer, ours, 6, 0, syn(22)...), in, false},
		{"deny out any 10.0.0.0/8", ip4(ours, peer, 6, 0, syn(22)...), out, false},
		{"deny out any 10.0.0.0/8", ip4(ours, peer, 6, 5, 1, 2, 3), out, false},
		{"deny out any 11.0.0.0/8", ip4(ours, peer, 6, 0, syn(22)...), out, true},
		{"allow out any 10.1.2.3;deny out any 10.0.0.0/8", ip4(ours, peer, 6, 0, syn(22)...), out, true},
		{"deny out any fe80::/64", ip6(ours6, their6, 17, ports(1, 2)...), out, false},
		{"allow in icmp;default deny in", ip4(peer, ours, 1, 0, echo...), in, true},
		{"allow in 1;default deny in", ip4(peer, ours, 1, 0, echo...), in, true},
		{"default deny in", ip4(peer, ours, 1, 0, echo...), in, false},
		{"default deny in;default deny out", arp(mac(1), ours, peer), out, true},
		{"default deny in;default deny out", ip6(ours6, group6, 58, nd(135, their6, 1, mac(1))...), out, true},
		{"default deny in;default deny out", ip4(none4, netip.MustParseAddr("255.255.255.255"), 17, 0, ports(68, 67)...), out, true},
		{"default deny in;default deny out", ip4(gate4, ours, 17, 0, ports(67, 68)...), in, true},
		{"default deny in;default deny out", ip4(gate4, ours, 17, 0, ports(68, 67)...), in, false},
		{"default deny in;default deny out", ip4(ours, peer, 58, 0, nd(135, their6, 1, mac(1))...), out, false},
		{"allow out icmp;default deny out", ip4(ours, peer, 58, 0, nd(135, their6, 1, mac(1))...), out, false},
		{"default deny in", far6(nd(135, ours6, 1, mac(9))), in, false},
		{"default deny out", ethernet(0x88b5), out, false},
		{"default deny in", ethernet(0x8864), in, false},
		{"deny out any", ethernet(0x88b5), out, false},
		{"deny out any 10.0.0.0/8", ethernet(0x88b5), out, true},
		{"allow out any;default deny out", ethernet(0x88b5), out, true},
		{"default deny in", ethernet(0x88b5), out, true},
		{"default allow in", ip4(peer, ours, 6, 0, syn(22)...)[:50], in, false},
	} {
		s, guest, far := walled(t, r.rules)
		p, k := guest.p, far.k
		if r.dir == in {
			p, k = far.p, guest.k
			r.f = inward(r.f)
		}
		p.Send(whole(r.f))
		d := s.Ports()[0].Counters.Denied
		if got := len(k.take()) == 1; got != r.want || d != map[bool]uint64{true: 0, false: 1}[r.want] {
			t.Errorf("%q, %x: passes: %v, %d denied", r.rules, r.f[14:], got, d)
		}
	}
}

// ethernet is a frame of another protocol than IP.
func ethernet(kind uint16) []byte {
	b := ip4(ours, theirs, 6, 0, make([]byte, 40)...)
	be.PutUint16(b[12:], kind)
	return b
}

// far6 is a message of ICMPv6 that has come through a router.
func far6(body []byte) []byte {
	b := ip6(their6, ours6, 58, body...)
	b[14+7] = 254
	return b
}

// end is a port and what is at it.
type end struct {
	p *Port
	k *sink
}

// walled is a guest with rules, and the world.
func walled(t *testing.T, rules string) (s *Switch, guest, far end) {
	t.Helper()
	r, err := ParseRules(strings.FieldsFunc(rules, func(c rune) bool { return c == ';' }))
	if err != nil {
		t.Fatal(err)
	}
	s = New("lan")
	guest.p, guest.k = join(t, s, Options{MAC: mac(1), Rules: r})
	far.p, far.k = join(t, s, Options{Uplink: true})
	return s, guest, far
}

// inward makes a frame of the guest one to it.
func inward(b []byte) []byte {
	own, far := mac(1), mac(9)
	copy(b, own[:])
	copy(b[6:], far[:])
	return b
}

// TestFlows: answers pass, and what they belong to ends.
func TestFlows(t *testing.T) {
	peer := netip.MustParseAddr("10.1.2.3")
	s, guest, far := walled(t, "default deny in")
	now := s.begun
	s.now = func() time.Time { return now }
	send := func(dir int, b []byte, want bool) {
		t.Helper()
		p, k := guest.p, far.k
		if dir == in {
			p, k = far.p, guest.k
			b = inward(b)
		}
		p.Send(whole(b))
		if got := len(k.take()) == 1; got != want {
			t.Errorf("direction %d, %x: passes: %v", dir, b[14:], got)
		}
	}
	tcp := func(from, to uint16, flags byte) []byte {
		return ports(from, to, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0)
	}
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x12)...), false)
	send(out, ip4(ours, peer, 6, 0, tcp(1000, 80, 2)...), true)
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x12)...), true)
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1001, 0x12)...), false)
	send(in, ip4(theirs, ours, 6, 0, tcp(80, 1000, 0x12)...), false)
	now = now.Add(2 * time.Hour)
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x10)...), true)
	// An error about it passes, about something else not.
	about := func(src, dst netip.Addr) []byte {
		return append([]byte{3, 4, 0, 0, 0, 0, 0, 0}, ip4(src, dst, 6, 0, tcp(1000, 80, 0)...)[14:]...)
	}
	send(in, ip4(gate4, ours, 1, 0, about(ours, peer)...), true)
	send(in, ip4(gate4, ours, 1, 0, about(ours, theirs)...), false)
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x11)...), true) // FIN
	now = now.Add((newTime + 1) * time.Second)
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x10)...), false)
	// Datagrams, in fragments.
	send(out, ip4(ours, peer, 17, 0, ports(53, 54)...), true)
	send(in, ip4(peer, ours, 17, 3, 1, 2, 3), false)
	send(in, ip4(peer, ours, 17, 0x2000, ports(54, 53)...), true)
	send(in, ip4(peer, ours, 17, 3, 1, 2, 3), true)
	now = now.Add((datagramTime + 1) * time.Second)
	send(in, ip4(peer, ours, 17, 0, ports(54, 53)...), false)
	// Echoes, by their identifier.
	send(out, ip4(ours, peer, 1, 0, 8, 0, 0, 0, 0, 7, 0, 1), true)
	send(in, ip4(peer, ours, 1, 0, 0, 0, 0, 0, 0, 7, 0, 1), true)
	send(in, ip4(peer, ours, 1, 0, 0, 0, 0, 0, 0, 8, 0, 1), false)
	send(in, ip4(peer, ours, 1, 0, 8, 0, 0, 0, 0, 7, 0, 1), false) // the other one asks
	send(in, ip4(peer, ours, 1, 3, 1, 2, 3), false)
	send(in, ip4(peer, ours, 1, 0x2000, 0, 0, 0, 0, 0, 7, 0, 1), true)
	for range 3 { // what follows keeps nothing
		send(in, ip4(peer, ours, 1, 3, 1, 2, 3), true)
		now = now.Add(partsTime / 2 * time.Second)
	}
	send(in, ip4(peer, ours, 1, 3, 1, 2, 3), false)
	send(out, ip6(ours6, their6, 58, 128, 0, 0, 0, 0, 7, 0, 1), true)
	send(in, ip6(their6, ours6, 58, 129, 0, 0, 0, 0, 7, 0, 1), true)
	// Who knocks a hundred thousand times does not drive out a connection.
	s, guest, far = walled(t, "allow in tcp 22;default deny in")
	s.now = func() time.Time { return now }
	send(out, ip4(ours, peer, 6, 0, tcp(1000, 80, 2)...), true)
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x12)...), true)
	for n := range 100_000 {
		from := netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)})
		send(in, ip4(from, ours, 6, 0, tcp(uint16(n), 22, 2)...), true)
	}
	send(in, ip4(peer, ours, 6, 0, tcp(80, 1000, 0x10)...), true)
}

// TestRates: so many bytes and packets pass in a time, and a burst after a silence.
func TestRates(t *testing.T) {
	for name, r := range map[string]struct {
		rate         Rate
		burst, rate1 int // frames at once, and in a second, of 1000 bytes
	}{
		"bytes":   {Rate{Bytes: 1_000_000, Burst: 100_000}, 100, 1000},
		"packets": {Rate{Packets: 500}, 50, 500},
		"both":    {Rate{Bytes: 10_000_000, Packets: 100}, 10, 100},
	} {
		for dir := range 2 {
			s := New("lan")
			now := s.begun
			s.now = func() time.Time { return now }
			o := Options{MAC: mac(1)}
			if dir == in {
				o.In = r.rate
			} else {
				o.Out = r.rate
			}
			p, _ := join(t, s, o)
			q, k := join(t, s, Options{MAC: mac(2)})
			limited := p
			from, to := mac(1), mac(2)
			if dir == in {
				p, from, to = q, to, from
				k = limited.r.(*sink)
			}
			f := whole(frame(to, from, 0x88b5, make([]byte, 986)...))
			send := func() int {
				for range 3000 {
					p.Send(f)
				}
				return len(k.take())
			}
			if n := send(); n != r.burst {
				t.Errorf("%s, %d: %d at once, want %d", name, dir, n, r.burst)
			}
			now = now.Add(time.Hour)
			if n := send(); n != r.burst {
				t.Errorf("%s, %d: %d after an hour, want %d", name, dir, n, r.burst)
			}
			n := 0
			for range 1000 {
				now = now.Add(time.Millisecond)
				for range 4 {
					p.Send(f)
				}
			}
			if n = len(k.take()); n < r.rate1-2 || n > r.rate1+2 || limited.Counters().Limited == 0 {
				t.Errorf("%s, %d: %d in a second, want %d", name, dir, n, r.rate1)
			}
		}
	}
}

// What a firewall keeps is what is reserved for it.
func TestFirewallBytes(t *testing.T) {
	const ports = 4 * 100 // of a line of 200 bytes (package config)
	if n := reflect.TypeFor[firewall]().Size() + rulesMost*(reflect.TypeFor[rule]().Size()+ports); n > FirewallBytes {
		t.Errorf("%d bytes, %d are reserved", n, FirewallBytes)
	}
}
