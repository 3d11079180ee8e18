// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// model is a translator of UDP and ping without bounds, in maps.
type model struct {
	ports map[origin]uint16
	owner map[owned]netip.AddrPort
	ends  map[peer]time.Duration // when the flow is over
	heard map[peer]bool          // both have sent
}

type origin struct {
	proto uint8
	from  netip.AddrPort
}

type owned struct {
	proto uint8
	port  uint16
}

type peer struct {
	proto uint8
	from  netip.AddrPort
	to    netip.Addr
}

// lasts is how long a flow lasts from now on.
func (m *model) lasts(k peer, now time.Duration) {
	d := 2 * time.Minute
	switch {
	case k.proto == icmp:
		d = time.Minute
	case m.heard[k]:
		d = 5 * time.Minute
	}
	m.ends[k] = now + d
}

// expire ends flows, and mappings without one.
func (m *model) expire(now time.Duration) {
	used := map[origin]bool{}
	for k, end := range m.ends {
		if now >= end {
			delete(m.ends, k)
			delete(m.heard, k)
			continue
		}
		used[origin{k.proto, k.from}] = true
	}
	for o, port := range m.ports {
		if !used[o] {
			delete(m.ports, o)
			delete(m.owner, owned{o.proto, port})
		}
	}
}

// TestModel has guests and servers send at random, and compares each verdict, each port
// and each destination with the model's. Sums are always right.
func TestModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	n := newTable(t, 4096, 4096)
	m := &model{map[origin]uint16{}, map[owned]netip.AddrPort{}, map[peer]time.Duration{}, map[peer]bool{}}
	now := time.Duration(0)
	addr := func(base [4]byte, n int) netip.Addr { base[3] += byte(rnd.IntN(n)); return netip.AddrFrom4(base) }
	passed := 0
	for range 60_000 {
		if rnd.IntN(50) == 0 {
			now += time.Duration(rnd.IntN(40)) * time.Second
			n.tick(now)
			n.Sweep(now)
			m.expire(now)
		}
		proto := []uint8{udp, icmp}[rnd.IntN(2)]
		g := netip.AddrPortFrom(addr([4]byte{10, 77, 0, 10}, 4), uint16(1000+rnd.IntN(6)))
		s := netip.AddrPortFrom(addr([4]byte{203, 0, 113, 1}, 4), uint16(50+rnd.IntN(3)))
		data := make([]byte, rnd.IntN(30))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 {
			k := peer{proto, g, s.Addr()}
			b, port := out(t, n, shape{proto: proto, kind: echo, src: g, dst: s, data: data}, now, Pass)
			was, ok := m.ports[origin{proto, g}]
			if o, taken := m.owner[owned{proto, port}]; ok && was != port || taken && o != g || !right(b, false) {
				t.Fatalf("%v from %v has port %d, had %d; that port is %v's", proto, g, port, was, o)
			}
			m.ports[origin{proto, g}], m.owner[owned{proto, port}] = port, g
			if _, known := m.ends[k]; !known {
				m.heard[k] = false
			}
			m.lasts(k, now)
			continue
		}
		port := m.ports[origin{proto, g}]
		if port == 0 {
			continue
		}
		k := peer{proto, g, s.Addr()}
		want := Drop
		if _, ok := m.ends[k]; ok {
			want = Pass
		}
		if proto == icmp {
			s = netip.AddrPortFrom(s.Addr(), port)
		}
		b, to := in(t, n, shape{proto: proto, kind: echoReply, src: s, dst: ours(port), data: data}, now, want)
		if want == Pass {
			passed++
			if to != g || !right(b, false) {
				t.Fatalf("to %v, want %v", to, g)
			}
			if !m.heard[k] {
				m.heard[k] = true
				m.lasts(k, now)
			}
		}
	}
	if all, _ := n.Flows(netip.Addr{}); all != len(m.ends) || passed < 5000 {
		t.Errorf("%d flows, the model has %d; %d answers", all, len(m.ends), passed)
	}
	n.check(t)
}

// check looks whether all that a table keeps fits together.
func (t *Table) check(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	listed, mapped := 0, map[int32]int32{}
	for gi := range t.guests {
		g, mine := &t.guests[gi], int32(0)
		for c := range g.list {
			prev := none
			for i := g.list[c].head; i != none; i = t.flows[i].next {
				f := &t.flows[i]
				if f.prev != prev || int(f.class) != c || f.inside != t.base+uint32(gi) || f.mapping == none ||
					prev != none && t.flows[prev].last > f.last {
					tb.Fatalf("flow %d of guest %d: %+v", i, gi, f)
				}
				mapped[f.mapping]++
				prev = i
				mine++
			}
			if g.list[c].tail != prev {
				tb.Fatalf("guest %d: the list ends elsewhere", gi)
			}
		}
		if mine != g.flows || mine > t.share {
			tb.Fatalf("guest %d: %d flows, %d listed", gi, g.flows, mine)
		}
		listed += int(mine)
	}
	chained := 0
	for c := range t.out {
		for i := t.out[c]; i != none; i = t.flows[i].outNext {
			chained++
		}
		for i := t.in[c]; i != none; i = t.flows[i].inNext {
			chained++
		}
	}
	free, ports := 0, 0
	for i := t.free; i != none; i = t.flows[i].outNext {
		free++
	}
	for _, words := range t.used {
		for _, w := range words {
			for ; w != 0; w &= w - 1 {
				ports++
			}
		}
	}
	for m, flows := range mapped {
		if t.mappings[m].flows != flows {
			tb.Fatalf("mapping %d: %+v, has %d", m, t.mappings[m], flows)
		}
		if t.mappings[m].forward {
			ports++
		}
	}
	for _, f := range t.forwards {
		if f.Port >= First {
			ports--
		}
	}
	if chained != 2*listed || free+listed != len(t.flows) || ports != len(mapped) {
		tb.Fatalf("%d flows, %d chained, %d free; %d ports of %d mappings", listed, chained, free, ports, len(mapped))
	}
}

// FuzzHostile has hostile guests and a hostile world send whatever they like. A quiet
// guest's connection stays, the table fits together, and what is passed has right sums if
// it had before.
func FuzzHostile(f *testing.F) {
	for _, s := range []shape{
		{proto: tcp, src: guest1, dst: server1, flags: syn}, {proto: udp, src: guest1, dst: server1, more: true},
		{proto: tcp, src: server1, dst: ours(2222), flags: syn}, {proto: icmp, kind: echo, src: guest1, dst: server2},
		about(router.Addr(), outside, unreachable, shape{proto: udp, src: ours(2222), dst: server1}.bytes(), 28),
	} {
		b := s.bytes()
		f.Add(append([]byte{0, byte(len(b))}, b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newTable(t, 16, 8)
		_ = n.AddForward(Forward{Port: 2222, To: guest1})
		_ = n.AddForward(Forward{UDP: true, Port: 40000, To: guest1})
		_, port := out(t, n, shape{proto: tcp, src: guest2, dst: server1, flags: syn}, 0, Pass)
		in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: syn | ack}, 0, Pass)
		out(t, n, shape{proto: tcp, src: guest2, dst: server1, flags: ack}, 0, Pass)
		now := time.Duration(0)
		for len(b) > 2 {
			kind, size := b[0], min(int(b[1]), len(b)-2)
			p := bytes.Clone(b[2 : 2+size])
			b = b[2+size:]
			now += time.Duration(kind>>3) * time.Second / 2
			if len(p) >= ipLen && kind&4 != 0 { // else it is as random as it is
				p[0] = 0x45
				be.PutUint16(p[2:], uint16(len(p)))
				if kind&1 == 0 {
					be.PutUint32(p[12:], number(guest1.Addr())+2*uint32(p[15]%3))
				} else {
					be.PutUint32(p[16:], number(outside))
				}
			}
			hostile(t, n, p, kind, now)
		}
		n.check(t)
		in(t, n, shape{proto: tcp, src: server1, dst: ours(port), flags: ack}, now, Pass)
	})
}

// hostile sends one packet of FuzzHostile's, unless the quiet guest is named in it.
func hostile(t *testing.T, n *Table, p []byte, kind byte, now time.Duration) {
	var quiet [4]byte
	be.PutUint32(quiet[:], number(guest2.Addr()))
	if bytes.Contains(p, quiet[:]) || len(p) >= ipLen && be.Uint32(p[12:]) == number(server1.Addr()) {
		return
	}
	good := len(p) >= ipLen && p[0] == 0x45 && int(be.Uint16(p[2:])) == len(p) && parses(p)
	if good {
		settle(p, false)
	}
	was := bytes.Clone(p)
	v, pk := Drop, Packet{Head: p, Len: len(p), Sum: kind&2 != 0 && !good}
	if kind&1 == 0 {
		v = n.Out(&pk, outside, now)
	} else {
		v = n.In(&pk, now)
	}
	switch {
	case v == Pass && good && !right(p, false):
		t.Fatalf("wrong sums: %x was %x", p, was)
	case v != Pass && !bytes.Equal(p, was):
		t.Fatalf("changed, and not passed: %x was %x", p, was)
	}
	_ = Answer(make([]byte, 576), TimeExceeded, 0, inside.Addr(), &pk)
}

func parses(p []byte) bool {
	h, ok := parse(p, len(p), true)
	return ok && (!h.first || h.proto == tcp || h.proto == udp || h.proto == icmp)
}
