// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/network/dhcp"
	"ringo/drivers/nic"
)

var (
	gateway = netip.MustParsePrefix("10.77.0.1/28")
	us      = gateway.Addr()
	first   = netip.MustParseAddr("10.77.0.2")
	second  = netip.MustParseAddr("10.77.0.3")
	none    netip.Addr
	mac1    = nic.MAC{2, 1}
	mac2    = nic.MAC{2, 2}
)

func newServer(t *testing.T) *Server {
	s := New(Config{Gateway: gateway, Domain: "ringo", MTU: 1400, Time: time.Hour})
	for i, mac := range []nic.MAC{mac1, mac2} {
		if a, err := s.Add(mac, []string{"web1", "db"}[i]); err != nil || a != []netip.Addr{first, second}[i] {
			t.Fatalf("%v, %v", a, err)
		}
	}
	return s
}

// TestAnswers has each message that there is, and those that deserve nothing.
func TestAnswers(t *testing.T) {
	type answer struct {
		Kind  dhcp.Kind
		Yours netip.Addr
		To    netip.Addr
	}
	elsewhere := netip.MustParseAddr("10.77.0.9")
	for name, c := range map[string]struct {
		m    dhcp.Message
		want answer
	}{
		"nobody's card":          {dhcp.Message{Kind: dhcp.Discover, MAC: [6]byte{2, 9}}, answer{}},
		"an answer":              {dhcp.Message{Kind: dhcp.Discover, MAC: mac1, Reply: true}, answer{}},
		"another server's":       {dhcp.Message{Kind: dhcp.Request, MAC: mac1, Server: elsewhere, Requested: first}, answer{}},
		"another one's address":  {dhcp.Message{Kind: dhcp.Request, MAC: mac1, Requested: second}, answer{dhcp.Nak, none, none}},
		"of another network":     {dhcp.Message{Kind: dhcp.Request, MAC: mac1, Client: netip.MustParseAddr("192.168.1.9")}, answer{dhcp.Nak, none, none}},
		"nothing is asked for":   {dhcp.Message{Kind: dhcp.Request, MAC: mac1}, answer{dhcp.Nak, none, none}},
		"an offer from a client": {dhcp.Message{Kind: dhcp.Offer, MAC: mac1}, answer{}},
		"a release":              {dhcp.Message{Kind: dhcp.Release, MAC: mac1, Client: first}, answer{}},
		"a refusal":              {dhcp.Message{Kind: dhcp.Decline, MAC: mac1, Requested: first}, answer{}},
		"a discovery":            {dhcp.Message{Kind: dhcp.Discover, MAC: mac1}, answer{dhcp.Offer, first, first}},
		"one that hears all":     {dhcp.Message{Kind: dhcp.Discover, MAC: mac2, Broadcast: true}, answer{dhcp.Offer, second, none}},
		"a choice":               {dhcp.Message{Kind: dhcp.Request, MAC: mac1, Server: us, Requested: first}, answer{dhcp.Ack, first, first}},
		"after a start":          {dhcp.Message{Kind: dhcp.Request, MAC: mac1, Requested: first}, answer{dhcp.Ack, first, first}},
		"a renewal":              {dhcp.Message{Kind: dhcp.Request, MAC: mac1, Client: first}, answer{dhcp.Ack, first, first}},
		"questions only":         {dhcp.Message{Kind: dhcp.Inform, MAC: mac1, Client: first}, answer{dhcp.Ack, none, first}},
	} {
		s := newServer(t)
		b, to, mac := s.Answer(c.m.Marshal())
		got := answer{To: to}
		if b != nil {
			r, err := dhcp.Parse(b)
			if err != nil || !r.Reply || r.XID != c.m.XID || r.Server != us || mac != nic.MAC(c.m.MAC) {
				t.Fatalf("%s: %+v, %v", name, r, err)
			}
			got.Kind, got.Yours = r.Kind, r.Yours
			if r.Kind != dhcp.Nak && (r.Mask != 28 || r.MTU != 1400 || r.Domain != "ringo" || r.Routers[0] != us || r.DNS[0] != us || r.NTP[0] != us) {
				t.Errorf("%s: %+v", name, r)
			}
			if lent := r.Time == time.Hour; lent != r.Yours.IsValid() {
				t.Errorf("%s: lent for %v", name, r.Time)
			}
		}
		if d := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	b := (&dhcp.Message{Kind: dhcp.Discover, MAC: mac1}).Marshal()
	b[24] = 10
	s := newServer(t)
	if r, _, _ := s.Answer(b); r != nil {
		t.Error("an agent's message is answered")
	}
	if r, _, _ := s.Answer(b[:100]); r != nil {
		t.Error("a cut message is answered")
	}
}

// TestAddresses: they are given until there are no more, and again when they are free.
func TestAddresses(t *testing.T) {
	s := newServer(t)
	if _, err := s.Add(mac1, "x"); err == nil || err.Error() != "two network cards with the address 02:01:00:00:00:00 (choose another one for one of them)" {
		t.Error(err)
	}
	n := 2
	for ; n < 100; n++ {
		if _, err := s.Add(nic.MAC{2, 9, byte(n)}, "x"); err != nil {
			if err.Error() != "network 10.77.0.0/28 has no free address (destroy a domain that has one)" {
				t.Error(err)
			}
			break
		}
	}
	all := s.Entries()
	if n != 13 || all[n-1].Address != netip.MustParseAddr("10.77.0.14") {
		t.Errorf("%d addresses, the last is %v", n, all[len(all)-1].Address)
	}
	s.Remove(mac1)
	if a, err := s.Add(nic.MAC{2, 8}, "new"); a != first || err != nil {
		t.Errorf("%v, %v", a, err)
	}
	a, ok := s.Lookup("new")
	h, known := s.Host(first)
	if _, gone := s.Lookup("web1"); a != first || !ok || h != "new" || !known || gone {
		t.Errorf("%v %v %v", a, h, gone)
	}
}
