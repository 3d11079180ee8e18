// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"ringo/drivers/nic"
)

// Status is what a card has.
type Status struct {
	Name      string
	Addresses []Address
	Gateways  []netip.Addr
	DNS       []netip.Addr // that DHCP told of, or a router
	// Of a lease: who has given it, and how long it lasts.
	Server netip.Addr
	Left   time.Duration
	Asking bool // for an address, by DHCP
	Lost   uint64
}

// Address is one of a card's, and where it is from: "DHCP", "static", "link-local" or
// "router".
type Address struct {
	Address netip.Prefix
	Origin  string
}

// Status says what the card has now.
func (i *Interface) Status() Status {
	s := Status{Name: i.name, Asking: i.client != nil, Lost: i.link.lost.Load()}
	info := i.n.stack.NICInfo()[i.id]
	i.n.mu.Lock()
	defer i.n.mu.Unlock()
	for _, a := range info.ProtocolAddresses {
		p := netip.PrefixFrom(fromAddress(a.AddressWithPrefix.Address), a.AddressWithPrefix.PrefixLen)
		origin := "router"
		switch {
		case p == i.v4.Prefix:
			origin = i.v4.origin
		case p == i.v6.Prefix:
			origin = i.v6.origin
		case p.Addr().IsLinkLocalUnicast():
			origin = byNobody
		}
		s.Addresses = append(s.Addresses, Address{p, origin})
	}
	slices.SortFunc(s.Addresses, func(a, b Address) int {
		return cmp.Or(a.Address.Addr().BitLen()-b.Address.Addr().BitLen(), a.Address.Addr().Compare(b.Address.Addr()))
	})
	for _, w := range i.ways() {
		if w.to.Bits() == 0 {
			s.Gateways = append(s.Gateways, w.via)
		}
	}
	if l := i.lease; l != nil {
		s.DNS, s.Server, s.Left = slices.Clone(l.DNS), l.Server, l.Ends.Sub(i.n.clock.Now())
	}
	for _, d := range i.advertised {
		if i.n.clock.Now().Before(d.end) {
			s.DNS = append(s.DNS, d.addr)
		}
	}
	return s
}

// Card is the card itself: what it is, its link and its counters.
func (i *Interface) Card() (nic.Info, nic.Link, nic.Counters) {
	return i.dev.Info(), i.dev.Link(), i.dev.Counters()
}

// Dead is why the card does nothing any more, nil if it does.
func (i *Interface) Dead() error { return i.dev.Dead() }
