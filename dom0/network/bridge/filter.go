// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"maps"
	"net/netip"
	"slices"

	"ringo/drivers/nic"
)

// addressesMost is how many addresses of IP a port has from Allow, at most.
const addressesMost = 16

// Allow notes that an address is the port's, since dom0's DHCP server has given it: no
// other port that is filtered may say that it has it. Who had it has it no more, and of
// more than 16 the first goes.
func (p *Port) Allow(a netip.Addr) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone.Load() || p.allows(a) {
		return
	}
	was := s.state.Load()
	owners := maps.Clone(was.owners)
	if owners == nil {
		owners = map[netip.Addr]*Port{}
	}
	if q := owners[a]; q != nil {
		q.disallow(a)
	}
	list := p.list()
	if len(list) == addressesMost {
		delete(owners, list[0])
		list = list[1:]
	}
	list = append(slices.Clone(list), a)
	p.allowed.Store(&list)
	owners[a] = p
	s.state.Store(&state{ports: was.ports, static: was.static, owners: owners, captures: was.captures})
}

// Reserve says which addresses are dom0's, and that others are no more: no port that is
// filtered may say that it has them.
func (s *Switch) Reserve(all ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.state.Load()
	owners := maps.Clone(was.owners)
	if owners == nil {
		owners = map[netip.Addr]*Port{}
	}
	maps.DeleteFunc(owners, func(_ netip.Addr, p *Port) bool { return p == nil })
	for _, a := range all {
		if q := owners[a]; q != nil {
			q.disallow(a)
		}
		owners[a] = nil
	}
	s.state.Store(&state{ports: was.ports, static: was.static, owners: owners, captures: was.captures})
}

// disallow takes an address from a port's list.
//
// Preconditions: p.s.mu is held.
func (p *Port) disallow(a netip.Addr) {
	list := slices.DeleteFunc(slices.Clone(p.list()), func(b netip.Addr) bool { return a == b })
	p.allowed.Store(&list)
}

// list is what Allow has named.
func (p *Port) list() []netip.Addr {
	if l := p.allowed.Load(); l != nil {
		return *l
	}
	return nil
}

func (p *Port) allows(a netip.Addr) bool { return slices.Contains(p.list(), a) }

// mayBe reports whether the sender may say that it has an address.
func (w *work) mayBe(a netip.Addr) bool {
	if w.from.allows(a) {
		return true
	}
	if _, taken := w.state.owners[a]; taken {
		return false
	}
	return !w.from.o.Leased || !a.Is4()
}

// honest reports whether a guest's frame says of addresses what is true, and pretends
// neither to be a router nor a DHCP server.
func (w *work) honest(it *item) bool {
	if be.Uint16(it.head[12:]) == typeARP {
		return w.honestARP(it.head[14:])
	}
	switch k := w.packet(it); {
	case it.kind != good:
		return it.kind == other
	case k.src.Is4():
		return w.honest4(k)
	default:
		return w.honest6(k)
	}
}

// packet looks at an item once.
func (w *work) packet(it *item) *packet {
	if it.kind < 0 {
		it.kind = it.packet.parse(it.head, it.frame.Len())
	}
	return &it.packet
}

// honestARP looks at an ARP packet (RFC 826), also one that asks whether somebody has an
// address (RFC 5227).
func (w *work) honestARP(b []byte) bool {
	if len(b) < 28 || be.Uint64(b)>>16 != 0x0001_0800_0604 {
		return false
	}
	if nic.MAC(b[8:]) != w.from.o.MAC {
		return false
	}
	from, target := netip.AddrFrom4([4]byte(b[14:])), netip.AddrFrom4([4]byte(b[24:]))
	if from.IsUnspecified() {
		return w.mayAsk(target)
	}
	return w.mayBe(from)
}

// mayAsk reports whether the sender may ask, as somebody who has no address, whether
// somebody has a: of one of ours that would be heard as a claim.
func (w *work) mayAsk(a netip.Addr) bool {
	_, taken := w.state.owners[a]
	return !taken || w.from.allows(a)
}

// Ports of DHCP (RFC 2131, RFC 8415).
const (
	dhcpServer   = 67
	dhcpClient   = 68
	dhcp6Client  = 546
	dhcp6Server  = 547
	portsOfDHCP4 = dhcpClient<<16 | dhcpServer
)

func (w *work) honest4(k *packet) bool {
	if k.proto == protoUDP && k.ports && k.from == dhcpServer {
		return false
	}
	if k.src.IsUnspecified() {
		return k.proto == protoUDP && k.ports && uint32(k.from)<<16|uint32(k.to) == portsOfDHCP4
	}
	return w.mayBe(k.src)
}

func (w *work) honest6(k *packet) bool {
	switch {
	case k.proto == protoUDP && k.ports && k.from == dhcp6Server:
		return false
	case !k.src.IsUnspecified() && !w.mayBe(k.src), k.src.IsMulticast():
		return false
	case k.proto != protoICMPv6 || k.later:
		return true
	}
	switch kind := k.body[0]; kind {
	case advertisement, redirect:
		return false
	case routerSolicitation:
		return !k.part
	case solicitation, neighbour:
		// They are never in fragments (RFC 6980), and short.
		if k.part || !k.whole || len(k.body) < 24 {
			return false
		}
		target := netip.AddrFrom16([16]byte(k.body[8:]))
		if kind == neighbour && !w.mayBe(target) || kind == solicitation && k.src.IsUnspecified() && !w.mayAsk(target) {
			return false
		}
		return w.honestOptions(k.body[24:])
	}
	return true
}

// honestOptions reports whether the link-layer addresses in options of neighbour discovery
// are the sender's (RFC 4861, "Source/Target Link-layer Address").
func (w *work) honestOptions(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		if (b[0] == 1 || b[0] == 2) && nic.MAC(b[2:]) != w.from.o.MAC {
			return false
		}
		b = b[int(b[1])*8:]
	}
	return true
}
