// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	mac    = [6]byte{0x52, 0x54, 0, 1, 2, 3}
	server = netip.MustParseAddr("10.0.2.2")
	given  = netip.MustParseAddr("10.0.2.15")
)

func newClient(seed uint64) *Client {
	return &Client{MAC: mac, Host: "ringo", Random: rand.New(rand.NewPCG(seed, 1)).Uint32}
}

// answer is what a server that has one address says to a message.
func answer(t *testing.T, b []byte, lease time.Duration) []byte {
	t.Helper()
	m, err := Parse(b)
	if err != nil || m.Reply || m.MAC != mac || m.Host != "ringo" {
		t.Fatalf("%+v: %v", m, err)
	}
	r := &Message{
		Reply: true, XID: m.XID, MAC: m.MAC, Yours: given, Server: server, Mask: 24, Routers: []netip.Addr{server},
		DNS: []netip.Addr{netip.MustParseAddr("10.0.2.3")}, Time: lease, MTU: 1500, Domain: "lab.example",
	}
	switch m.Kind {
	case Discover:
		r.Kind = Offer
	case Request:
		r.Kind = Ack
		if want := m.Requested; want.IsValid() && want != given || m.Client.IsValid() && m.Client != given {
			r.Kind = Nak
		}
	default:
		return nil
	}
	return r.Marshal()
}

// TestRenewals lets a lease be renewed a thousand times, by a server that does not
// answer all messages, on a clock that goes from step to step.
func TestRenewals(t *testing.T) {
	const lease = time.Hour
	rnd := rand.New(rand.NewPCG(3, 4))
	c := newClient(1)
	begin := time.Unix(1e9, 0)
	now := begin
	renewed, messages, asked := 0, 0, now
	var in []byte
	for renewed < 1000 {
		out := c.Step(now, in)
		in = nil
		switch out.Event {
		case Renewed:
			renewed++
		case Lost, Unheard, Declined:
			t.Fatalf("%v: event %d", now.Sub(begin), out.Event)
		}
		if out.Send != nil {
			messages++
			asked = now
			if c.state == renewing && out.To != server || c.state != renewing && out.To.IsValid() {
				t.Fatalf("state %d: sent to %v", c.state, out.To)
			}
			if renewed == 0 && c.lease == nil || rnd.IntN(3) > 0 {
				in = answer(t, out.Send, lease)
				now = now.Add(time.Millisecond)
				continue
			}
		}
		if l := c.Lease(); l != nil && !now.Before(l.Ends) {
			t.Fatal("a lease is used beyond its end")
		}
		if !out.Next.After(now) {
			t.Fatalf("%v: due at once again", now.Sub(begin))
		}
		now = out.Next
	}
	at := c.Lease().Ends.Add(-lease) // of the last renewal
	want := &Lease{
		Address: netip.PrefixFrom(given, 24), Server: server, Routers: []netip.Addr{server}, DNS: []netip.Addr{netip.MustParseAddr("10.0.2.3")},
		Domain: "lab.example", MTU: 1500, Renew: at.Add(lease / 2), Rebind: at.Add(lease / 8 * 7), Ends: at.Add(lease),
	}
	if diff := cmp.Diff(want, c.Lease(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if per := now.Sub(begin) / 1000; per < lease/2 || messages > 4000 || asked.IsZero() {
		t.Errorf("a renewal each %v, %d messages", per, messages)
	}
}

// TestSilence: nobody answers. It is told once, and the client goes on, ever more slowly.
func TestSilence(t *testing.T) {
	c, now := newClient(2), time.Unix(1e9, 0)
	begin, told, sent := now, 0, 0
	for now.Sub(begin) < time.Hour {
		out := c.Step(now, nil)
		if out.Send != nil {
			sent++
		}
		if out.Event == Unheard {
			if told++; now.Sub(begin) > 20*time.Second {
				t.Errorf("told after %v", now.Sub(begin))
			}
		}
		now = out.Next
	}
	if told != 1 || sent < 50 || sent > 70 {
		t.Errorf("told %d times, %d messages in an hour", told, sent)
	}
	// Then there is somebody.
	out := c.Step(now, nil)
	for i := 0; c.Lease() == nil; i++ {
		if i > 5 {
			t.Fatal("no lease")
		}
		var in []byte
		if out.Send != nil {
			in = answer(t, out.Send, time.Hour)
		} else {
			now = out.Next
		}
		out = c.Step(now, in)
	}
}

// bind gets a lease.
func bind(t *testing.T, c *Client, now time.Time, lease time.Duration) {
	t.Helper()
	out := c.Step(now, nil)
	out = c.Step(now, answer(t, out.Send, lease))
	if out = c.Step(now, answer(t, out.Send, lease)); out.Event != Bound || c.Lease() == nil {
		t.Fatalf("%+v", out)
	}
}

func TestEnds(t *testing.T) {
	now := time.Unix(1e9, 0)
	t.Run("the lease runs out", func(t *testing.T) {
		c, now := newClient(1), now
		bind(t, c, now, time.Hour)
		end := c.Lease().Ends
		rebound := false
		for {
			out := c.Step(now, nil)
			if out.Event == Lost {
				if now.Before(end) || now.Sub(end) > time.Second || !rebound {
					t.Errorf("lost at %v of %v, rebinding: %v", now, end, rebound)
				}
				break
			}
			rebound = rebound || c.state == rebinding && out.Send != nil && !out.To.IsValid()
			now = out.Next
		}
	})
	t.Run("a server says no", func(t *testing.T) {
		c := newClient(1)
		bind(t, c, now, time.Hour)
		c.Restart(now)
		out := c.Step(now, nil)
		m, _ := Parse(out.Send)
		if m.Kind != Request || m.Requested != given || m.Server.IsValid() {
			t.Fatalf("%+v", m)
		}
		nak := &Message{Reply: true, XID: m.XID, MAC: mac, Kind: Nak, Server: server}
		if out = c.Step(now, nak.Marshal()); out.Event != Lost || out.Next != now.Add(first) {
			t.Fatalf("%+v", out)
		}
		if m, _ = Parse(c.Step(out.Next, nil).Send); m.Kind != Discover {
			t.Errorf("%+v", m)
		}
	})
	t.Run("the cable is put where nobody answers", func(t *testing.T) {
		c, now := newClient(1), now
		bind(t, c, now, time.Hour)
		end, told := c.Lease().Ends, false
		for range 3 {
			now = now.Add(time.Minute)
			c.Restart(now)
			now = c.Step(now, nil).Next
		}
		for {
			out := c.Step(now, nil)
			if told = told || out.Event == Unheard; out.Event == Lost {
				break
			}
			if now.Sub(end) > longest+time.Second {
				t.Fatal("an address is used when its lease is over")
			}
			now = out.Next
		}
		if now.Before(end) || !told {
			t.Errorf("lost at %v of %v, told: %v", now, end, told)
		}
		for range 2 {
			now = now.Add(longest * 2)
			if out := c.Step(now, nil); out.Event == Lost {
				t.Error("lost again")
			}
		}
	})
	t.Run("somebody else has the address", func(t *testing.T) {
		c := newClient(1)
		bind(t, c, now, time.Hour)
		out := c.Refuse(now)
		m, _ := Parse(out.Send)
		if out.Event != Declined || m.Kind != Decline || m.Requested != given || m.Server != server || c.Lease() != nil || out.Next.Sub(now) < 10*time.Second {
			t.Errorf("%+v %+v", out, m)
		}
	})
	t.Run("the one who offered is silent", func(t *testing.T) {
		c := newClient(1)
		out := c.Step(now, nil)
		out = c.Step(now, answer(t, out.Send, time.Hour))
		told := 0
		for range requests {
			now = out.Next
			if out = c.Step(now, nil); out.Event == Unheard {
				told++
			}
		}
		if m, _ := Parse(out.Send); m == nil || m.Kind != Discover || told != 1 {
			t.Errorf("told %d times: %+v", told, m)
		}
	})
}

// TestHostile sends what nobody asked for; the client does not take it.
func TestHostile(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, change := range map[string]func(*Message){
		"another one's request":   func(m *Message) { m.XID++ },
		"another one's card":      func(m *Message) { m.MAC[5]++ },
		"a request":               func(m *Message) { m.Reply = false },
		"no address":              func(m *Message) { m.Yours = netip.Addr{} },
		"a group's address":       func(m *Message) { m.Yours = netip.MustParseAddr("224.0.0.1") },
		"broadcast":               func(m *Message) { m.Yours = netip.MustParseAddr("255.255.255.255") },
		"loopback":                func(m *Message) { m.Yours = netip.MustParseAddr("127.0.0.1") },
		"nobody's":                func(m *Message) { m.Server = netip.Addr{} },
		"an answer to no request": func(m *Message) { m.Kind = Ack },
		"a no to no request":      func(m *Message) { m.Kind = Nak },
	} {
		c := newClient(1)
		out := c.Step(now, nil)
		m, _ := Parse(answer(t, out.Send, time.Hour))
		change(m)
		if out := c.Step(now, m.Marshal()); out.Send != nil || out.Event != Nothing || c.state != selecting {
			t.Errorf("%s is taken: %+v", name, out)
		}
	}
	// A lease of no time, and times that make no sense, do not make it talk all the time.
	for _, m := range []Message{{Time: time.Second}, {Time: time.Hour, Renew: time.Second, Rebind: time.Second}, {Time: time.Hour, Renew: 2 * time.Hour, Rebind: 3 * time.Hour}} {
		c := newClient(1)
		now := now
		out := c.Step(now, nil)
		sent, begin := 0, now
		for now.Sub(begin) < time.Hour {
			var in []byte
			if out.Send != nil {
				sent++
				a, _ := Parse(answer(t, out.Send, time.Hour))
				a.Time, a.Renew, a.Rebind = m.Time, m.Renew, m.Rebind
				in = a.Marshal()
			} else {
				now = out.Next
			}
			out = c.Step(now, in)
		}
		if sent > 130 {
			t.Errorf("%+v: %d messages in an hour", m, sent)
		}
	}
}

func TestRoutes(t *testing.T) {
	m := &Message{}
	m.option(optRoutes, []byte{0, 10, 0, 2, 2, 24, 192, 168, 9, 10, 0, 2, 4, 12, 172, 16, 10, 0, 2, 5, 33, 1})
	var got []string
	for _, r := range m.Routes {
		got = append(got, r.To.String()+" "+r.Via.String())
	}
	if diff := cmp.Diff([]string{"0.0.0.0/0 10.0.2.2", "192.168.9.0/24 10.0.2.4", "172.16.0.0/12 10.0.2.5"}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzParse gives the client arbitrary messages; it ends, its lists are bounded, and
// what is read comes back from what is written.
func FuzzParse(f *testing.F) {
	f.Add((&Message{Kind: Discover, MAC: mac, asks: true, Host: "x"}).Marshal())
	f.Add((&Message{Reply: true, Kind: Ack, Yours: given, Server: server, Mask: 24, Routers: []netip.Addr{server}, Time: time.Hour}).Marshal())
	over := (&Message{Reply: true, Kind: Offer}).Marshal()
	copy(over[243:], []byte{optOverload, 1, 3, optEnd})
	f.Add(over)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		if len(m.DNS) > maxList || len(m.Routers) > maxList || len(m.NTP) > maxList || len(m.Routes) > maxList {
			t.Fatalf("%+v", m)
		}
		m.asks = false
		again, err := Parse(m.Marshal())
		if err != nil || again.Kind != m.Kind || again.Yours != m.Yours || again.Server != m.Server || len(again.DNS) != len(m.DNS) || again.Mask != m.Mask {
			t.Fatalf("%+v\n%+v: %v", m, again, err)
		}
		c, now := newClient(1), time.Unix(1e9, 0)
		c.Step(now, nil)
		m.XID, m.MAC, m.Reply = c.xid, mac, true
		for range 4 {
			out := c.Step(now, m.Marshal())
			if out.Next.Before(now) {
				t.Fatal("due in the past")
			}
			now = out.Next
		}
	})
}
