// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"

	"ringo/dom0/network/lease"
	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
)

// GatewayOptions are what a network of guests is made with.
type GatewayOptions struct {
	// Name is what its card is called here.
	Name string
	// Card is dom0's end of it. Frames may leave with sums and segments to be done, and
	// come so.
	Card nic.Device
	// Address is dom0's in it, and how long the prefix is: 10.77.0.1/24.
	Address netip.Prefix
	// Domain is that of the names of guests: ringo.
	Domain string
	// Flows is how many connections there are at most, 0 for nat.DefaultFlows: see
	// GatewayBytes.
	Flows int
}

// GatewayBytes is what a gateway of that many flows keeps on the heap at most.
func GatewayBytes(flows int) uint64 { return nat.Bytes(flows) + waitingMost + 512<<10 }

// Gateway joins a network of guests and the world: guests reach the world by addresses of
// dom0's cards, as it itself would (package nat), and the world ports that are forwarded.
// Of dom0 they reach, at the gateway's address, DHCP, DNS, NTP and ping; nothing else of
// dom0, at whatever address.
//
// # Threats
//
// Guests may send what they like. What is none of the above is answered by an ICMP error,
// a bounded number a second, or lost, and never comes to dom0's stack. What waits for a
// neighbour's address is bounded, see [waitingMost].
type Gateway struct {
	n      *Network
	opt    GatewayOptions
	inside *Interface
	us     uint32 // the gateway's address
	mask   uint32
	table  *nat.Table
	leases *lease.Server
	start  time.Time
	quit   chan struct{}
	done   sync.WaitGroup

	exits     atomic.Pointer[[]exit]
	members   atomic.Pointer[map[uint32]nic.MAC]
	remembers sync.Mutex
	hops      hops
	late      sender // of what has waited
	services  services
	counts    gatewayCounts

	out outward // of frames from guests
	in  inward  // of frames from the world
}

// gatewayCounts count frames since the beginning.
type gatewayCounts struct {
	refused, unrouted, malformed, lost, answers atomic.Uint64
}

// GatewayCounters count since the gateway was made.
type GatewayCounters struct {
	nat.Counters
	Refused  uint64 // to what guests do not reach of dom0
	Unrouted uint64 // to where no card leads
	Bad      uint64 // frames that are none, or ask for what cannot be done
	Lost     uint64 // that a card had no room for, or whose neighbour does not answer
	Answers  uint64 // ICMP errors that were sent
}

// leaseTime is how long an address is lent. It is the card's anyway, but what else guests
// are told may change.
const leaseTime = 12 * time.Hour

var errGateway = errors.New("there is a network with NAT already (use its name)")

// NewGateway makes a gateway. A network has one at most: there is one range of ports.
func (n *Network) NewGateway(o GatewayOptions) (*Gateway, error) {
	if o.Flows == 0 {
		o.Flows = nat.DefaultFlows
	}
	table, err := nat.New(nat.Config{Inside: o.Address, Flows: o.Flows, Share: max(o.Flows/4, 1)})
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		n: n, opt: o, table: table, us: number(o.Address.Addr()), mask: ^uint32(0) << (32 - o.Address.Bits()),
		leases: lease.New(lease.Config{Gateway: o.Address, Domain: o.Domain, MTU: o.Card.Info().MTU, Time: leaseTime}),
		start:  n.clock.Now(), quit: make(chan struct{}),
	}
	g.hops.resolved = make(chan resolved, 64)
	g.out.frames, g.in.frames = make([]nic.Frame, 0, batchMost), make([]nic.Frame, 0, batchMost)
	g.members.Store(&map[uint32]nic.MAC{})
	g.exits.Store(&[]exit{})
	if n.gateway.Load() != nil {
		return nil, errGateway
	}
	if g.inside, err = n.create(o.Name, o.Card, []Setting{{Device: o.Name, Address: o.Address}}, true); err != nil {
		return nil, err
	}
	if ep, err := n.stack.GetNetworkEndpoint(g.inside.id, ipv6.ProtocolNumber); err == nil {
		ep.Disable()
	}
	g.inside.link.offer = g.fromGuests
	n.gateway.Store(g)
	g.reroute()
	g.inside.start()
	g.done.Go(g.run)
	if err := g.serve(); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// Close ends the gateway, its card and all flows.
func (g *Gateway) Close() {
	g.n.gateway.CompareAndSwap(g, nil)
	close(g.quit)
	g.services.end()
	g.inside.dev.Close()
	g.done.Wait()
	_ = g.n.stack.RemoveNIC(g.inside.id)
	g.n.forget(g.inside)
}

// run does what is due now and then, and what neighbours have answered.
func (g *Gateway) run() {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-g.quit:
			return
		case <-g.n.quit:
			return
		case <-tick.C:
			g.table.Sweep(g.now())
		case r := <-g.hops.resolved:
			g.resolve(r)
		}
	}
}

// now is the time since the gateway was made.
func (g *Gateway) now() time.Duration { return g.n.clock.Now().Sub(g.start) }

// Join gives a card of a guest an address, and the guest a name. The address is the card's
// until it leaves. The error is one line, for people.
func (g *Gateway) Join(mac nic.MAC, host string) (netip.Addr, error) {
	a, err := g.leases.Add(mac, host)
	if err == nil {
		g.table.FlushGuest(a) // what came late from who had it before
		g.remember()
	}
	return a, err
}

// Leave takes a card's address back, and ends its flows and forwards.
func (g *Gateway) Leave(mac nic.MAC) {
	for _, e := range g.leases.Entries() {
		if e.MAC != mac {
			continue
		}
		for _, f := range g.table.Forwards() {
			if f.To.Addr() == e.Address {
				g.table.DropForward(f)
			}
		}
		g.table.FlushGuest(e.Address)
	}
	g.leases.Remove(mac)
	g.remember()
}

// Rename gives the guest of a card another name, by which others find it from now on.
func (g *Gateway) Rename(mac nic.MAC, host string) { g.leases.Rename(mac, host) }

// remember keeps who has which address, for frames to guests.
func (g *Gateway) remember() {
	g.remembers.Lock() // the last list is the one that is kept
	defer g.remembers.Unlock()
	all := map[uint32]nic.MAC{}
	for _, e := range g.leases.Entries() {
		all[number(e.Address)] = e.MAC
	}
	g.members.Store(&all)
}

// Leases are the cards that have an address, by address.
func (g *Gateway) Leases() []lease.Entry { return g.leases.Entries() }

// Forward lets the world reach a port of a guest. The error is one line, for people.
func (g *Gateway) Forward(f nat.Forward) error {
	if f.Port >= FirstPort && f.Port <= LastPort || f.UDP && f.Port == dhcpClient {
		return fmt.Errorf("forward %v: ports %d to %d, and %d of UDP, are dom0's own (choose another one)", f, FirstPort, LastPort, dhcpClient)
	}
	return g.table.AddForward(f)
}

// DropForward ends a forward, and connections by it.
func (g *Gateway) DropForward(f nat.Forward) { g.table.DropForward(f) }

// Forwards are those that there are, by port.
func (g *Gateway) Forwards() []nat.Forward { return g.table.Forwards() }

// Flows is how many connections there are, in all and of the guest at a.
func (g *Gateway) Flows(a netip.Addr) (all, guest int) { return g.table.Flows(a) }

// Address is the gateway's own, with the prefix of the network.
func (g *Gateway) Address() netip.Prefix { return g.opt.Address }

// Counters returns the gateway's.
func (g *Gateway) Counters() GatewayCounters {
	c := &g.counts
	return GatewayCounters{
		Counters: g.table.Counters(), Refused: c.refused.Load(), Unrouted: c.unrouted.Load(),
		Bad: c.malformed.Load(), Lost: c.lost.Load(), Answers: c.answers.Load(),
	}
}

// forget takes a card off the list.
func (n *Network) forget(i *Interface) {
	n.mu.Lock()
	for k, o := range n.cards {
		if o == i {
			n.cards = append(n.cards[:k:k], n.cards[k+1:]...)
		}
	}
	n.mu.Unlock()
	n.changed()
}

var be = binary.BigEndian

// number is an IPv4 address as one, 0 if a is none.
func number(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return be.Uint32(b[:])
}

// ip4 is a number's address.
func ip4(v uint32) tcpip.Address {
	var b [4]byte
	be.PutUint32(b[:], v)
	return tcpip.AddrFrom4(b)
}
