// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestRefused has packets that nothing may come of.
func TestRefused(t *testing.T) {
	at := func(a string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), 9) }
	for name, c := range map[string]struct {
		s    shape
		want Verdict
		bad  func(b []byte) []byte
	}{
		"from the gateway":     {s: shape{proto: udp, src: at("10.77.0.1"), dst: server1}},
		"from somebody else":   {s: shape{proto: udp, src: at("10.78.0.5"), dst: server1}},
		"from the network":     {s: shape{proto: udp, src: at("10.77.0.0"), dst: server1}},
		"from all":             {s: shape{proto: udp, src: at("10.77.0.255"), dst: server1}},
		"to the inside":        {s: shape{proto: udp, src: guest1, dst: at("10.77.0.99")}},
		"to a group":           {s: shape{proto: udp, src: guest1, dst: at("224.0.0.1")}},
		"to all":               {s: shape{proto: udp, src: guest1, dst: at("255.255.255.255")}},
		"to itself":            {s: shape{proto: udp, src: guest1, dst: at("127.0.0.1")}},
		"to the link":          {s: shape{proto: udp, src: guest1, dst: at("169.254.169.254")}},
		"to nobody":            {s: shape{proto: udp, src: guest1, dst: at("0.0.0.1")}},
		"another protocol":     {s: shape{proto: 47, src: guest1, dst: server1, data: make([]byte, 40)}},
		"a reset of nothing":   {s: shape{proto: tcp, src: guest1, dst: server1, flags: rst}},
		"an answer to nothing": {s: shape{proto: icmp, kind: echoReply, src: guest1, dst: server1}},
		"a source route":       {s: shape{proto: udp, src: guest1, dst: server1, options: []byte{1, 131, 3, 4}}},
		"options that are not": {s: shape{proto: udp, src: guest1, dst: server1, options: []byte{7, 9, 3, 4}}},
		"a piece of nothing":   {s: shape{proto: udp, src: guest1, dst: server1, offset: 800, data: make([]byte, 40)}},
		"its time is over":     {s: shape{proto: udp, src: guest1, dst: server1, ttl: 1}, want: Expired},
		"no time at all":       {s: shape{proto: udp, src: guest1, dst: server1, ttl: 1}, want: Drop, bad: func(b []byte) []byte { b[0] = 0x65; return b }},
		"cut in the header":    {s: shape{proto: tcp, src: guest1, dst: server1}, bad: func(b []byte) []byte { return b[:19] }},
		"cut in TCP":           {s: shape{proto: tcp, src: guest1, dst: server1}, bad: func(b []byte) []byte { return b[:39] }},
		"cut in UDP":           {s: shape{proto: udp, src: guest1, dst: server1}, bad: func(b []byte) []byte { return b[:27] }},
		"a short header":       {s: shape{proto: udp, src: guest1, dst: server1}, bad: func(b []byte) []byte { b[0] = 0x44; return b }},
	} {
		n := newTable(t, 16, 16)
		b := c.s.bytes()
		if c.bad != nil {
			b = c.bad(b)
		}
		p := Packet{Head: b, Len: len(b)}
		if v := n.Out(&p, outside, 0); v != c.want {
			t.Errorf("%s: verdict %v, want %v", name, v, c.want)
		}
		if all, _ := n.Flows(netip.Addr{}); all != 0 {
			t.Errorf("%s: there is a flow", name)
		}
	}
}

// TestStrangers has packets from outside that are none of a guest's.
func TestStrangers(t *testing.T) {
	n := newTable(t, 16, 16)
	_, port := out(t, n, shape{proto: udp, src: guest1, dst: server1}, 0, Pass)
	in(t, n, shape{proto: udp, src: server2, dst: ours(port)}, 0, Drop)
	in(t, n, shape{proto: udp, src: server1, dst: ours(port ^ 1)}, 0, Drop)
	in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: syn}, 0, Drop)
	in(t, n, shape{proto: tcp, src: server1, dst: ours(80), flags: syn}, 0, Local)
	in(t, n, shape{proto: udp, src: server1, dst: ours(53)}, 0, Local)
	in(t, n, shape{proto: icmp, kind: echo, src: server1, dst: ours(0)}, 0, Local)
	in(t, n, shape{proto: icmp, kind: echoReply, src: netip.AddrPortFrom(server1.Addr(), 7), dst: ours(7)}, 0, Local)
	in(t, n, shape{proto: 47, src: server1, dst: ours(7), data: make([]byte, 40)}, 0, Local)
	in(t, n, shape{proto: udp, src: server1, dst: ours(port), offset: 8, data: make([]byte, 40)}, 0, Local)
	in(t, n, shape{proto: udp, src: guest2, dst: ours(port)}, 0, Drop) // a guest's address, outside
	in(t, n, shape{proto: udp, src: server1, dst: ours(port), ttl: 1}, 0, Expired)
	if b, to := in(t, n, shape{proto: udp, src: netip.AddrPortFrom(server1.Addr(), 99), dst: ours(port)}, 0, Pass); to != guest1 || !right(b, false) {
		t.Errorf("the same server's other port: to %v", to)
	}
}

// TestMapping: a guest's port has one port outside, another guest's another one, with sums
// that are right, whoever computes them.
func TestMapping(t *testing.T) {
	for _, proto := range []uint8{tcp, udp, icmp} {
		for _, sum := range []bool{false, true} {
			if sum && proto == icmp {
				continue
			}
			n := newTable(t, 16, 16)
			ports := map[netip.AddrPort]uint16{}
			for i := range 1000 {
				g, s := guest1, server1
				if i%2 == 1 {
					g = guest2
				}
				if i/2%2 == 1 {
					s = server2
				}
				data := make([]byte, rand.IntN(60))
				for k := range data {
					data[k] = byte(rand.Uint32())
				}
				b, port := out(t, n, shape{proto: proto, kind: echo, flags: syn, src: g, dst: s, data: data, sum: sum, id: uint16(i), options: []byte{1, 1, 1, 0}}, 0, Pass)
				if was, ok := ports[g]; ok && was != port || port < First || port&1 != g.Port()&1 || !right(b, sum) {
					t.Fatalf("%v from %v: port %d, %d before; sums right: %v", proto, g, port, was, right(b, sum))
				}
				ports[g] = port
				from := s
				if proto == icmp {
					from = netip.AddrPortFrom(s.Addr(), port) // its identifier
				}
				if b, to := in(t, n, shape{proto: proto, kind: echoReply, flags: ack, src: from, dst: ours(port), data: data}, 0, Pass); to != g || !right(b, false) {
					t.Fatalf("%v: the answer goes to %v, not %v; sums right: %v", proto, to, g, right(b, false))
				}
			}
			if ports[guest1] == ports[guest2] {
				t.Errorf("two guests have port %d", ports[guest1])
			}
		}
	}
}

// TestLasting: how long flows last, by what was seen of them.
func TestLasting(t *testing.T) {
	type step struct {
		guest bool
		flags uint8
	}
	g, o := func(f uint8) step { return step{true, f} }, func(f uint8) step { return step{false, f} }
	for name, c := range map[string]struct {
		proto   uint8
		forward bool
		steps   []step
		want    int32
	}{
		"ping":                      {icmp, false, []step{g(0), o(0)}, 60},
		"UDP":                       {udp, false, []step{g(0)}, 120},
		"UDP, answered":             {udp, false, []step{g(0), o(0)}, 300},
		"UDP from outside":          {udp, true, []step{o(0)}, 120},
		"UDP from outside, answer":  {udp, true, []step{o(0), g(0)}, 300},
		"TCP":                       {tcp, false, []step{g(syn)}, 240},
		"TCP, answered":             {tcp, false, []step{g(syn), o(syn | ack)}, 240},
		"TCP, open":                 {tcp, false, []step{g(syn), o(syn | ack), g(ack)}, 7440},
		"TCP, both at once":         {tcp, false, []step{g(syn), o(syn), g(syn | ack), o(syn | ack), g(ack)}, 7440},
		"TCP in the middle":         {tcp, false, []step{g(ack), o(ack), g(ack)}, 7440},
		"TCP, half closed":          {tcp, false, []step{g(syn), o(syn | ack), g(ack), g(fin | ack), o(ack)}, 7440},
		"TCP, closed":               {tcp, false, []step{g(syn), o(syn | ack), g(ack), g(fin | ack), o(fin | ack), g(ack)}, 240},
		"TCP, closed and again":     {tcp, false, []step{g(syn), o(syn | ack), g(ack), g(fin | ack), o(fin | ack), g(syn), o(syn | ack), g(ack)}, 7440},
		"TCP, reset":                {tcp, false, []step{g(syn), o(syn | ack), g(ack), g(rst), o(ack)}, 240},
		"TCP, a reset was a lie":    {tcp, false, []step{g(syn), o(syn | ack), g(ack), o(rst), o(ack), g(ack)}, 7440},
		"TCP, refused":              {tcp, false, []step{g(syn), o(rst | ack)}, 240},
		"TCP from outside":          {tcp, true, []step{o(syn), g(syn | ack), g(syn | ack)}, 240},
		"TCP from outside, answer":  {tcp, true, []step{o(syn), g(syn | ack), o(ack)}, 7440},
		"TCP from outside, refused": {tcp, true, []step{o(syn), g(rst | ack)}, 240},
	} {
		n := newTable(t, 16, 16)
		port := uint16(2222)
		if c.forward {
			if err := n.AddForward(Forward{UDP: c.proto == udp, Port: port, To: guest1}); err != nil {
				t.Fatal(err)
			}
		}
		send := func(s step, at time.Duration, want Verdict) {
			from := server1
			if s.guest {
				if _, p := out(t, n, shape{proto: c.proto, kind: echo, src: guest1, dst: server1, flags: s.flags}, at, want); p != 0 {
					port = p
				}
				return
			}
			if c.proto == icmp {
				from = netip.AddrPortFrom(server1.Addr(), port)
			}
			in(t, n, shape{proto: c.proto, kind: echoReply, src: from, dst: ours(port), flags: s.flags}, at, want)
		}
		for _, s := range c.steps {
			send(s, 0, Pass)
		}
		n.Sweep(time.Duration(c.want-1) * time.Second)
		if all, _ := n.Flows(guest1.Addr()); all != 1 {
			t.Errorf("%s: no flow after %d seconds", name, c.want-1)
		}
		n.Sweep(time.Duration(c.want) * time.Second)
		if all, _ := n.Flows(guest1.Addr()); all != 0 {
			t.Errorf("%s: a flow after %d seconds", name, c.want)
		}
	}
}

// TestKept: packets of a guest keep its flows, those from outside keep TCP's only; what is
// over is not found without a sweep either.
func TestKept(t *testing.T) {
	n := newTable(t, 16, 16)
	s := shape{proto: udp, src: guest1, dst: server1}
	_, port := out(t, n, s, 0, Pass)
	back := shape{proto: udp, src: server1, dst: ours(port)}
	in(t, n, back, 0, Pass)
	in(t, n, back, 200*time.Second, Pass)
	out(t, n, s, 290*time.Second, Pass)
	in(t, n, back, 589*time.Second, Pass)
	in(t, n, back, 590*time.Second, Drop)
	if all, _ := n.Flows(guest1.Addr()); all != 0 {
		t.Errorf("%d flows", all)
	}
}

// TestShares: a guest that makes flows without end ends its own, those first that are
// worth least; and when many do, who has most loses one.
func TestShares(t *testing.T) {
	n := newTable(t, 64, 40)
	good := shape{proto: tcp, src: guest2, dst: server1}
	_, port := out(t, n, shape{proto: tcp, src: guest2, dst: server1, flags: syn}, 0, Pass)
	in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: syn | ack}, 0, Pass)
	good.flags = ack
	out(t, n, good, 0, Pass)
	mine := shape{proto: tcp, src: guest1, dst: server1, flags: syn}
	_, mp := out(t, n, mine, 0, Pass)
	in(t, n, shape{proto: tcp, src: server1, dst: ours(mp), flags: syn | ack}, 0, Pass)
	mine.flags = ack
	out(t, n, mine, 0, Pass)
	flood := func(a netip.Addr, count int) {
		for i := range count {
			proto := []uint8{tcp, udp, icmp}[i%3]
			out(t, n, shape{proto: proto, kind: echo, flags: syn, src: netip.AddrPortFrom(a, uint16(10000+i)), dst: server2}, time.Second, Pass)
		}
	}
	flood(guest1.Addr(), 5000)
	if all, g := n.Flows(guest1.Addr()); all != 41 || g != 40 {
		t.Errorf("%d flows, of the guest %d", all, g)
	}
	third := netip.MustParseAddr("10.77.0.13")
	flood(third, 5000)
	flood(guest1.Addr(), 5000)
	if all, g := n.Flows(third); all != 64 || g < 30 || g > 33 {
		t.Errorf("%d flows, of the third guest %d", all, g)
	}
	// Those that are open are there still, both of them.
	in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: ack}, time.Second, Pass)
	in(t, n, shape{proto: tcp, src: server1, dst: ours(mp), flags: ack}, time.Second, Pass)
	if n.Counters().Evicted == 0 {
		t.Error("nothing was counted")
	}
	n.FlushGuest(third)
	if all, g := n.Flows(third); g != 0 || all == 0 {
		t.Errorf("%d flows of a guest that is gone, %d in all", g, all)
	}
	n.Flush()
	in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: ack}, time.Second, Drop)
}

// TestNoAllocation: packets take no memory, nor do new flows.
func TestNoAllocation(t *testing.T) {
	n := newTable(t, 64, 40)
	tmpl := shape{proto: tcp, src: guest1, dst: server1, flags: syn}.bytes()
	b := make([]byte, len(tmpl))
	port := uint16(0)
	if got := testing.AllocsPerRun(1000, func() {
		copy(b, tmpl)
		port++
		be.PutUint16(b[ipLen:], port)
		p := Packet{Head: b, Len: len(b)}
		if n.Out(&p, outside, 0) != Pass {
			t.Error("not passed")
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// BenchmarkOut is a packet of a flow that there is.
func BenchmarkOut(b *testing.B) {
	n := newTable(b, DefaultFlows, DefaultShare)
	tmpl := shape{proto: tcp, src: guest1, dst: server1, flags: ack, data: make([]byte, 1400)}.bytes()
	head := make([]byte, HeadLen)
	for range b.N {
		copy(head, tmpl)
		p := Packet{Head: head, Len: len(tmpl)}
		if n.Out(&p, outside, 0) != Pass {
			b.Fatal("not passed")
		}
	}
}

// TestForwards: the world reaches a guest's port by a forward, and the guest's answers and
// its own packets have that port.
func TestForwards(t *testing.T) {
	n := newTable(t, 64, 40)
	for _, f := range []Forward{{Port: 2222, To: guest1}, {UDP: true, Port: 53, To: guest1}, {Port: 40000, To: guest2}} {
		if err := n.AddForward(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]Forward{
		"forward tcp:2222:5000: the port leads to 10.77.0.11:5000 already (choose another one)": {Port: 2222, To: guest2},
		"forward udp:1:80: 203.0.113.1:80 is no port of a guest here":                           {UDP: true, Port: 1, To: server1},
		"forward tcp:0:5000: 10.77.0.12:5000 is no port of a guest here":                        {To: guest2},
	} {
		if err := n.AddForward(f); err == nil || err.Error() != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
	if _, to := in(t, n, shape{proto: tcp, src: server1, dst: ours(2222), flags: syn}, 0, Pass); to != guest1 {
		t.Errorf("to %v", to)
	}
	in(t, n, shape{proto: tcp, src: server2, dst: ours(2222), flags: ack}, 0, Local)
	if b, port := out(t, n, shape{proto: tcp, src: guest1, dst: server1, flags: syn | ack}, 0, Pass); port != 2222 || !right(b, false) {
		t.Errorf("from port %d", port)
	}
	if _, port := out(t, n, shape{proto: udp, src: guest1, dst: server2}, 0, Pass); port != 53 {
		t.Errorf("the guest's own packet is from port %d", port)
	}
	if _, to := in(t, n, shape{proto: udp, src: server1, dst: ours(53)}, 0, Pass); to != guest1 {
		t.Errorf("to %v", to)
	}
	// A flood from outside ends no connection of the guest's.
	_, port := out(t, n, shape{proto: tcp, src: netip.AddrPortFrom(guest1.Addr(), 7), dst: server1, flags: syn}, 0, Pass)
	for i := range 5000 {
		in(t, n, shape{proto: tcp, src: netip.AddrPortFrom(server2.Addr(), uint16(i+1)), dst: ours(2222), flags: syn}, 0, Pass)
	}
	in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: syn | ack}, 0, Pass)
	n.DropForward(Forward{Port: 2222, To: guest1})
	in(t, n, shape{proto: tcp, src: server1, dst: ours(2222), flags: syn}, 0, Local)
	if f := n.Forwards(); len(f) != 2 || f[0].String() != "udp:53:5000" || f[1].String() != "tcp:40000:5000" {
		t.Errorf("%v", f)
	}
}
