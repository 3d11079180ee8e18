// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// reroute makes the table of routes whenever something has changed. It is a goroutine of
// its own, since the stack tells of changes where it must not be called.
func (n *Network) reroute() {
	defer n.done.Done()
	for {
		select {
		case <-n.quit:
			return
		case <-n.dirty:
			n.stack.SetRouteTable(n.routes())
			if g := n.gateway.Load(); g != nil {
				g.reroute()
			}
			n.moved()
		}
	}
}

// moved tells of the addresses of all cards.
func (n *Network) moved() {
	if n.opt.Moved == nil {
		return
	}
	for _, i := range n.Interfaces() {
		var all []netip.Addr
		for _, a := range n.stack.NICInfo()[i.id].ProtocolAddresses {
			all = append(all, fromAddress(a.AddressWithPrefix.Address))
		}
		n.opt.Moved(i.name, all)
	}
}

// routes are those of all cards: networks first, the longest prefixes before the others,
// and cards in their order.
func (n *Network) routes() (table []tcpip.Route) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, i := range n.cards {
		for _, r := range i.ways() {
			table = append(table, tcpip.Route{Destination: subnet(r.to), Gateway: gateway(r.via), NIC: i.id})
		}
	}
	slices.SortStableFunc(table, func(a, b tcpip.Route) int { return b.Destination.Prefix() - a.Destination.Prefix() })
	return table
}

func gateway(a netip.Addr) tcpip.Address {
	if !a.IsValid() {
		return tcpip.Address{}
	}
	return address(a)
}

// way is a route of a card; via is not valid where the network is the cable.
type way struct {
	to  netip.Prefix
	via netip.Addr
}

// ways are a card's routes.
//
// Preconditions: n.mu is held.
func (i *Interface) ways() (all []way) {
	if !i.inside {
		all = append(all, way{to: netip.MustParsePrefix("fe80::/64")})
	}
	for _, o := range []own{i.v4, i.v6} {
		if o.IsValid() {
			all = append(all, way{to: o.Masked()})
		}
	}
	for _, p := range i.onLink {
		all = append(all, way{to: p})
	}
	if l := i.lease; l != nil && len(l.Routes) > 0 {
		// With a list of routes, the router does not count (RFC 3442).
		for _, r := range l.Routes {
			all = append(all, way{r.To, r.Via})
		}
	}
	for _, r := range i.routers {
		all = append(all, way{r.to, r.via})
	}
	if i.v4.gateway.IsValid() {
		all = append(all, way{netip.PrefixFrom(netip.IPv4Unspecified(), 0), i.v4.gateway})
	}
	if i.v6.gateway.IsValid() {
		all = append(all, way{netip.PrefixFrom(netip.IPv6Unspecified(), 0), i.v6.gateway})
	}
	return all
}

// maxLearnt bounds what routers may tell a card, of each kind.
const maxLearnt = 16

var _ ipv6.NDPDispatcher = advertised{}

// advertised is what the stack tells of router advertisements. Its methods must not call
// the stack.
type advertised struct{ n *Network }

// on calls f for a card, and has the routes made anew.
func (a advertised) on(id tcpip.NICID, f func(i *Interface)) {
	a.n.mu.Lock()
	for _, i := range a.n.cards {
		if i.id == id {
			f(i)
		}
	}
	a.n.mu.Unlock()
	a.n.changed()
}

func prefix(s tcpip.Subnet) netip.Prefix { return netip.PrefixFrom(fromAddress(s.ID()), s.Prefix()) }

// OnDuplicateAddressDetectionResult implements ipv6.NDPDispatcher.
func (a advertised) OnDuplicateAddressDetectionResult(id tcpip.NICID, addr tcpip.Address, r stack.DADResult) {
	if _, ok := r.(*stack.DADDupAddrDetected); ok {
		a.on(id, func(i *Interface) { i.say("somebody else has %v", fromAddress(addr)) })
	}
}

// OnOffLinkRouteUpdated implements ipv6.NDPDispatcher.
func (a advertised) OnOffLinkRouteUpdated(id tcpip.NICID, to tcpip.Subnet, router tcpip.Address, _ header.NDPRoutePreference) {
	w := way{prefix(to), fromAddress(router)}
	a.on(id, func(i *Interface) {
		if !slices.Contains(i.routers, w) && len(i.routers) < maxLearnt {
			i.routers = append(i.routers, w)
		}
	})
}

// OnOffLinkRouteInvalidated implements ipv6.NDPDispatcher.
func (a advertised) OnOffLinkRouteInvalidated(id tcpip.NICID, to tcpip.Subnet, router tcpip.Address) {
	w := way{prefix(to), fromAddress(router)}
	a.on(id, func(i *Interface) { i.routers = slices.DeleteFunc(i.routers, func(x way) bool { return x == w }) })
}

// OnOnLinkPrefixDiscovered implements ipv6.NDPDispatcher.
func (a advertised) OnOnLinkPrefixDiscovered(id tcpip.NICID, to tcpip.Subnet) {
	p := prefix(to)
	a.on(id, func(i *Interface) {
		if !slices.Contains(i.onLink, p) && len(i.onLink) < maxLearnt {
			i.onLink = append(i.onLink, p)
		}
	})
}

// OnOnLinkPrefixInvalidated implements ipv6.NDPDispatcher.
func (a advertised) OnOnLinkPrefixInvalidated(id tcpip.NICID, to tcpip.Subnet) {
	p := prefix(to)
	a.on(id, func(i *Interface) {
		i.onLink = slices.DeleteFunc(i.onLink, func(x netip.Prefix) bool { return x == p })
	})
}

// OnAutoGenAddress implements ipv6.NDPDispatcher.
func (a advertised) OnAutoGenAddress(tcpip.NICID, tcpip.AddressWithPrefix) stack.AddressDispatcher {
	return nil
}

// OnAutoGenAddressDeprecated implements ipv6.NDPDispatcher.
func (a advertised) OnAutoGenAddressDeprecated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnAutoGenAddressInvalidated implements ipv6.NDPDispatcher.
func (a advertised) OnAutoGenAddressInvalidated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnRecursiveDNSServerOption implements ipv6.NDPDispatcher.
func (a advertised) OnRecursiveDNSServerOption(id tcpip.NICID, all []tcpip.Address, lifetime time.Duration) {
	now := a.n.clock.Now()
	end := now.Add(lifetime)
	a.on(id, func(i *Interface) {
		i.advertised = slices.DeleteFunc(i.advertised, func(o server) bool { return !now.Before(o.end) })
		for _, x := range all {
			s := server{fromAddress(x), end}
			if k := slices.IndexFunc(i.advertised, func(o server) bool { return o.addr == s.addr }); k >= 0 {
				i.advertised[k] = s
			} else if len(i.advertised) < maxLearnt {
				i.advertised = append(i.advertised, s)
			}
		}
	})
}

// server is a DNS server that a router told of, good until end.
type server struct {
	addr netip.Addr
	end  time.Time
}

// OnDNSSearchListOption implements ipv6.NDPDispatcher.
func (a advertised) OnDNSSearchListOption(tcpip.NICID, []string, time.Duration) {}

// OnDHCPv6Configuration implements ipv6.NDPDispatcher.
func (a advertised) OnDHCPv6Configuration(tcpip.NICID, ipv6.DHCPv6ConfigurationFromNDPRA) {}
