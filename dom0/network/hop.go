// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringo/drivers/nic"
)

// exit is a way to the world: a route of dom0's, and the address of the card that it
// leads to.
type exit struct {
	to, mask uint32
	via      uint32 // the router, 0 where the network is the cable
	card     *Interface
	addr     netip.Addr
}

// reroute takes dom0's routes as they are now. When a card's address is another one than
// before, no flow has an end there any more.
func (g *Gateway) reroute() {
	var all []exit
	table := g.n.routes()
	g.n.mu.Lock()
	for _, r := range table {
		for _, c := range g.n.cards {
			if c.id != r.NIC || c.inside || !c.v4.IsValid() || r.Destination.ID().BitLen() != 32 {
				continue
			}
			e := exit{to: number(fromAddress(r.Destination.ID())), card: c, addr: c.v4.Addr()}
			e.mask = uint32(^uint64(0) << (32 - r.Destination.Prefix()))
			if r.Gateway.BitLen() == 32 {
				e.via = number(fromAddress(r.Gateway))
			}
			all = append(all, e)
		}
	}
	g.n.mu.Unlock()
	g.hops.keep(all)
	was := *g.exits.Swap(&all)
	if slices.ContainsFunc(was, func(o exit) bool {
		return !slices.ContainsFunc(all, func(e exit) bool { return e.card == o.card && e.addr == o.addr })
	}) {
		g.table.Flush()
	}
}

// exit is the way to an address, nil if there is none.
func (g *Gateway) exit(to uint32) *exit {
	all := *g.exits.Load()
	for i := range all {
		if to&all[i].mask == all[i].to {
			return &all[i]
		}
	}
	return nil
}

// ours reports whether an address is one of dom0's cards.
func (g *Gateway) ours(a uint32) bool {
	for _, e := range *g.exits.Load() {
		if number(e.addr) == a {
			return true
		}
	}
	return false
}

// Bounds of what is known of neighbours.
const (
	hopSlots = 64
	// hopFresh is how long a neighbour's address is used before the stack is asked again,
	// which looks then whether it is still right.
	hopFresh = 5 * time.Second
	// hopWait is how long a question may take before it is asked again.
	hopWait = 5 * time.Second
	// waitingMost bounds frames that wait for a neighbour, in bytes, of all; waitingEach
	// is how many wait for one.
	waitingMost = 256 << 10
	waitingEach = 8
)

// hops are neighbours of cards: what of the stack's own cache is needed for each frame.
type hops struct {
	resolved chan resolved

	mu      sync.Mutex
	routers map[neighbour]*hop // nobody takes their places
	slot    [hopSlots]hop
	waiting int // bytes
}

type hop struct {
	card    *Interface
	addr    uint32
	mac     nic.MAC
	known   bool
	asked   time.Duration
	waiting []nic.Frame // copies
}

// neighbour is an address on a card's cable.
type neighbour struct {
	card *Interface
	addr uint32
}

// keep has the routers of exits have a place of their own.
func (h *hops) keep(all []exit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	routers := map[neighbour]*hop{}
	for _, e := range all {
		if k := (neighbour{e.card, e.via}); e.via != 0 {
			if routers[k] = h.routers[k]; routers[k] == nil {
				routers[k] = &hop{card: e.card, addr: e.via, asked: -hopWait}
			}
		}
	}
	for k, s := range h.routers {
		if routers[k] == nil {
			h.forget(s)
		}
	}
	h.routers = routers
}

// resolved is what the stack says of a neighbour.
type resolved struct {
	card *Interface
	addr uint32
	mac  nic.MAC
	ok   bool
}

// find returns the slot of a neighbour, which may have another one's in it.
func (h *hops) find(card *Interface, addr uint32) *hop {
	if s := h.routers[neighbour{card, addr}]; s != nil {
		return s
	}
	return &h.slot[(addr*0x9e37_79b1>>16^uint32(card.id))%hopSlots]
}

// hop returns the MAC of a neighbour of a card, if it is known.
func (g *Gateway) hop(card *Interface, addr uint32, now time.Duration) (mac nic.MAC, ok bool) {
	h := &g.hops
	h.mu.Lock()
	s := h.find(card, addr)
	if s.card != card || s.addr != addr {
		if s.card != nil && now-s.asked < hopWait { // it is in use, or asked for
			h.mu.Unlock()
			return mac, false
		}
		h.forget(s)
		*s = hop{card: card, addr: addr, asked: -hopWait}
	}
	ask := now-s.asked >= hopFresh
	if ask {
		s.asked = now
	}
	mac, ok = s.mac, s.known
	h.mu.Unlock()
	if ask {
		g.ask(card, addr)
	}
	return mac, ok
}

// ask has the stack look for a neighbour.
func (g *Gateway) ask(card *Interface, addr uint32) {
	// It calls back with locks held: somebody else does what there is to do.
	_ = g.n.stack.GetLinkAddress(card.id, ip4(addr), tcpip.Address{}, ipv4.ProtocolNumber, func(r stack.LinkResolutionResult) {
		a := resolved{card: card, addr: addr, ok: r.Err == nil && len(r.LinkAddress) == 6}
		copy(a.mac[:], r.LinkAddress)
		select {
		case g.hops.resolved <- a:
		default: // it is asked again
		}
	})
}

// wait keeps a copy of a frame until a neighbour is known, or loses it.
func (g *Gateway) wait(card *Interface, addr uint32, f *nic.Frame) {
	h := &g.hops
	h.mu.Lock()
	defer h.mu.Unlock()
	s, n := h.find(card, addr), f.Len()
	if s.card != card || s.addr != addr || len(s.waiting) == waitingEach || h.waiting+n > waitingMost {
		g.counts.lost.Add(1)
		return
	}
	c := *f
	b := make([]byte, n)
	f.CopyTo(b)
	c.Pieces = [][]byte{b}
	s.waiting = append(s.waiting, c)
	h.waiting += n
}

// forget loses what waits in a slot, and returns how many frames that are.
//
// Preconditions: h.mu is held.
func (h *hops) forget(s *hop) int {
	n := len(s.waiting)
	for i := range s.waiting {
		h.waiting -= s.waiting[i].Len()
	}
	s.waiting = nil
	return n
}

// resolve sends what has waited for a neighbour.
func (g *Gateway) resolve(r resolved) {
	h := &g.hops
	h.mu.Lock()
	s := h.find(r.card, r.addr)
	if s.card != r.card || s.addr != r.addr {
		h.mu.Unlock()
		return
	}
	s.mac, s.known = r.mac, r.ok
	frames := s.waiting
	lost := h.forget(s)
	h.mu.Unlock()
	if !r.ok {
		g.counts.lost.Add(uint64(lost))
		return
	}
	for i := range frames {
		copy(frames[i].Pieces[0], r.mac[:])
	}
	if len(frames) > 0 {
		g.send(&g.late, r.card, frames)
	}
}
