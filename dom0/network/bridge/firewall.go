// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"math/rand/v2"
	"net/netip"
	"sync"
)

// Bounds of a firewall: flows of a port, and how long one lasts without a packet, in
// seconds: at least as long as the RFCs say (5382, 4787, 5508).
const (
	flowsMost = 1024
	flowWays  = 4

	// FirewallBytes is what the rules of a port keep on the heap at most.
	FirewallBytes = 112 << 10

	openTime     = 7440 // TCP that both ends have sent on
	newTime      = 240  // TCP before that, or that ends
	datagramTime = 300
	echoTime     = 60
	partsTime    = 60 // later fragments of what has passed
)

// flow is who talks to whom, as the guest sees it.
type flow struct {
	local, peer         netip.Addr
	localPort, peerPort uint16 // of an echo, its identifier, and who asks
	proto               uint8
}

// Who asks for an echo, as the port of the peer.
const (
	guestAsks = 1
	peerAsks  = 2
)

// seenFlow is a flow that was allowed.
type seenFlow struct {
	flow
	until   uint32 // as Switch.second
	from    uint8  // bit 1<<direction: there were packets so
	closing bool
}

// firewall is the rules of a port, and the flows that they have allowed.
type firewall struct {
	rules *Rules
	seed  uint64

	mu    sync.Mutex // guards what follows; nobody is called meanwhile
	flows [flowsMost]seenFlow
}

func newFirewall(r *Rules) *firewall {
	if r == nil {
		return nil
	}
	return &firewall{rules: r, seed: rand.Uint64() | 1}
}

// pass reports whether a packet may pass in a direction, and notes its flow.
func (f *firewall) pass(dir int, k *packet, now uint32) bool {
	if k.free(dir) {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if inner, ok := k.about(); ok {
		// An error, of somebody about what the other direction's sender has sent.
		about := flowOf(1-dir, &inner)
		return f.find(&about, now) != nil || f.rules.allow(dir, k)
	}
	w := flowOf(dir, k)
	e := f.find(&w, now)
	if e == nil {
		if !f.rules.allow(dir, k) {
			return false
		}
		if k.later {
			return true // it has no ports: it begins nothing
		}
		e = f.room(&w, now)
		*e = seenFlow{flow: w}
	}
	if k.later {
		return true // and it keeps nothing
	}
	e.note(dir, k, now)
	if k.part && (w.localPort|w.peerPort) != 0 {
		w.localPort, w.peerPort = 0, 0
		p := f.find(&w, now)
		if p == nil {
			p = f.room(&w, now)
		}
		*p = seenFlow{flow: w, until: now + partsTime}
	}
	return true
}

// free reports whether a packet passes in any case: neighbour discovery, reports about
// groups, and DHCP of the guest.
func (k *packet) free(dir int) bool {
	if k.icmp6() && !k.later {
		switch kind := k.body[0]; {
		case kind >= routerSolicitation && kind <= redirect:
			return k.hops == 255 // of a neighbour (RFC 4861, "Validation of Neighbor Solicitations")
		case kind >= 130 && kind < routerSolicitation, kind == 143:
			return k.src.IsLinkLocalUnicast() || k.src.IsUnspecified() // RFC 3810, "Message Formats"
		}
		return false
	}
	if k.proto != protoUDP || !k.ports {
		return false
	}
	client, server := k.from, k.to
	if dir == in {
		client, server = server, client
	}
	return client == dhcpClient && server == dhcpServer || client == dhcp6Client && server == dhcp6Server
}

// about returns what packet an error of ICMP is about: of that at least the ports are
// there (RFC 792; RFC 4443).
func (k *packet) about() (inner packet, ok bool) {
	if k.later || len(k.body) < 8 {
		return inner, false
	}
	kind, b := k.body[0], k.body[8:]
	switch {
	case k.proto == protoICMP && (kind == 3 || kind == 11 || kind == 12) && len(b) >= 20:
		n := int(b[0]&15) * 4
		if b[0]>>4 != 4 || n < 20 || len(b) < n+8 {
			return inner, false
		}
		inner = packet{src: netip.AddrFrom4([4]byte(b[12:])), dst: netip.AddrFrom4([4]byte(b[16:])), proto: b[9]}
		b = b[n:]
	case k.proto == protoICMPv6 && kind >= 1 && kind <= 4 && len(b) >= 48 && b[0]>>4 == 6:
		inner = packet{src: netip.AddrFrom16([16]byte(b[8:])), dst: netip.AddrFrom16([16]byte(b[24:])), proto: b[6]}
		b = b[40:]
	default:
		return inner, false
	}
	inner.body = b
	if inner.proto == protoTCP || inner.proto == protoUDP {
		inner.ports, inner.from, inner.to = true, be.Uint16(b), be.Uint16(b[2:])
	}
	return inner, true
}

// flowOf is the flow of a packet.
func flowOf(dir int, k *packet) flow {
	w := flow{local: k.src, peer: k.dst, localPort: k.from, peerPort: k.to, proto: k.proto}
	if dir == in {
		w.local, w.peer, w.localPort, w.peerPort = w.peer, w.local, w.peerPort, w.localPort
	}
	if k.later || len(k.body) < 8 {
		return w
	}
	if asks := k.proto == protoICMP && k.body[0] == 8 || k.icmp6() && k.body[0] == 128; asks ||
		k.proto == protoICMP && k.body[0] == 0 || k.icmp6() && k.body[0] == 129 {
		w.localPort, w.peerPort = be.Uint16(k.body[4:]), guestAsks
		if asks == (dir == in) {
			w.peerPort = peerAsks
		}
	}
	return w
}

// place is the first of the places where a flow may be.
func (f *firewall) place(w *flow) int {
	h := f.seed
	for _, a := range [2][16]byte{w.local.As16(), w.peer.As16()} {
		h = (h ^ be.Uint64(a[:]) ^ h>>29) * spread
		h = (h ^ be.Uint64(a[8:]) ^ h>>31) * spread
	}
	h = (h ^ uint64(w.localPort)<<32 ^ uint64(w.peerPort)<<8 ^ uint64(w.proto) ^ h>>30) * f.seed
	return int(h>>32%(flowsMost/flowWays)) * flowWays
}

// find returns a flow that there is, or nil.
func (f *firewall) find(w *flow, now uint32) *seenFlow {
	at := f.place(w)
	for i := at; i < at+flowWays; i++ {
		if e := &f.flows[i]; e.until >= now && e.flow == *w {
			return e
		}
	}
	return nil
}

// room returns the place for a new flow: one that is over, or else that of the one which
// ends first of those that nobody has answered, or of all.
func (f *firewall) room(w *flow, now uint32) *seenFlow {
	at := f.place(w)
	best := &f.flows[at]
	for i := at; i < at+flowWays; i++ {
		e := &f.flows[i]
		if e.until < now {
			return e
		}
		if a, b := e.from == 3, best.from == 3; a != b && b || a == b && e.until < best.until {
			best = e
		}
	}
	return best
}

// note has a flow last from now on.
func (e *seenFlow) note(dir int, k *packet, now uint32) {
	e.from |= 1 << dir
	var span uint32 = datagramTime
	switch k.proto {
	case protoTCP:
		if k.ports {
			flags := k.body[13]
			if e.closing = e.closing || flags&5 != 0; flags&0x12 == 2 { // FIN, RST; SYN: it begins anew
				e.closing = false
			}
		}
		if span = newTime; e.from == 3 && !e.closing {
			span = openTime
		}
	case protoICMP, protoICMPv6:
		span = echoTime
	}
	e.until = now + span
}
