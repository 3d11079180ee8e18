// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lan

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"ringo/dom0/config"
	"ringo/dom0/network/bridge"
	"ringo/dom0/network/nat"
	"ringo/dom0/problem"
	"ringo/drivers/nic"
)

// Card is a network card of a domain.
type Card struct {
	Network  string
	MAC      nic.MAC
	MTU      int
	VLAN     uint16
	Trunk    []uint16
	Forwards []config.Forward
	Slot     int // of its domain's PCI bus
	// Rules, and what is received and sent in a second at most.
	Rules   []string
	In, Out config.Limit
	// Address is what the network default has given the card; not valid: it is elsewhere.
	Address netip.Addr

	n          *Networks
	net        *network
	number     int
	owner      Owner // guarded by n.mu
	unfiltered bool
	rules      *bridge.Rules // nil: none
	port       atomic.Pointer[bridge.Port]
	dev        Device      // nil: it is not connected yet
	up         atomic.Bool // its cable is in
	leave      func()      // the gateway
	once       sync.Once
}

// Device is the other end of a card: the device that a guest has.
type Device interface {
	bridge.Receiver
	SetLink(up bool)
	Counters() nic.Counters
}

// Domain is the domain whose card it is.
func (c *Card) Domain() string {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	return c.owner.Name
}

// Name is what the card is called: DOMAIN.NUMBER, as in "web1.0" (config.NIC.Number).
func (c *Card) Name() string {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	return c.name()
}

// name is Name. Preconditions: c.n.mu is held.
func (c *Card) name() string { return fmt.Sprintf("%s.%d", c.owner.Name, c.number) }

// Open takes the cards of a domain's configuration. They are in their networks when they
// are connected.
func (n *Networks) Open(o Owner, all []config.NIC) (cards []*Card, err error) {
	defer func() {
		if err != nil {
			for _, c := range cards {
				c.Close()
			}
			cards = nil
		}
	}()
	list := want(o, all)
	for i := range list {
		c, err := n.take(o, list, i)
		if err != nil {
			return cards, err
		}
		cards = append(cards, c)
	}
	return cards, nil
}

// Add takes the last of the cards of a domain's configuration: it has the others.
func (n *Networks) Add(o Owner, all []config.NIC) (*Card, error) {
	return n.take(o, want(o, all), len(all)-1)
}

// take takes card i of those that a domain wants.
func (n *Networks) take(o Owner, all []wanted, i int) (*Card, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.conflict(o, all, i, false); err != nil {
		return nil, err
	}
	w := all[i]
	rules, err := w.rules(i)
	if err != nil {
		return nil, err
	}
	x, err := n.find(w.On())
	if err != nil {
		return nil, fmt.Errorf("nic %d: %w", i+1, err)
	}
	x.cards++
	c := &Card{
		Slot: w.Slot, number: w.Number(), Network: x.name, MAC: w.mac, MTU: w.Bytes(),
		VLAN: uint16(w.VLAN), Forwards: w.Forwards(), n: n, net: x, owner: o, leave: func() {}, unfiltered: w.Unfiltered,
		Rules: w.Rule, rules: rules,
	}
	c.In, c.Out = w.Limits()
	c.up.Store(w.Link != "down" && x.sw != nil)
	for _, v := range w.Trunk {
		c.Trunk = append(c.Trunk, uint16(v))
	}
	if err := c.arrive(o.Name); err != nil {
		c.leave()
		x.cards--
		n.drop(x)
		return nil, fmt.Errorf("nic %d: %w", i+1, err)
	}
	n.cards = append(n.cards, c)
	return c, nil
}

// arrive has the gateway give the card an address, and lead ports of the machine to it.
func (c *Card) arrive(name string) (err error) {
	g := c.n.o.Gateway
	if c.Network != config.NetworkDefault || g == nil {
		return nil
	}
	if c.Address, err = g.Join(c.MAC, name); err != nil {
		return err
	}
	c.leave = func() { g.Leave(c.MAC) }
	for _, f := range c.Forwards {
		to := nat.Forward{UDP: f.Protocol == "udp", Port: f.From, To: netip.AddrPortFrom(c.Address, f.To)}
		if err := g.Forward(to); err != nil {
			return err
		}
	}
	return nil
}

// Connect puts the cable in: d gets what comes for the card.
func (c *Card) Connect(d Device) error {
	c.n.mu.Lock()
	c.dev = d
	c.n.mu.Unlock()
	d.SetLink(c.up.Load())
	if c.net.sw == nil {
		return nil
	}
	p, err := c.net.sw.Join(d, bridge.Options{
		Name: c.Name(), MAC: c.MAC, Unfiltered: c.unfiltered, VLAN: c.VLAN, Trunk: c.Trunk, Leased: c.Address.IsValid(),
		Rules: c.rules, In: rate(c.In), Out: rate(c.Out),
	})
	if err != nil {
		return err
	}
	if c.Address.IsValid() {
		p.Allow(c.Address)
	}
	c.port.Store(p)
	return nil
}

// Send sends what the guest has sent. It does not block.
func (c *Card) Send(frames []nic.Frame) {
	if p := c.port.Load(); p != nil {
		p.Send(frames)
	}
}

// Up reports whether the cable is in.
func (c *Card) Up() bool { return c.up.Load() }

// SetLink takes the cable out, or puts it in again.
func (c *Card) SetLink(up bool) error {
	if c.net.sw == nil && up {
		return problem.New(problem.Refused, "", "card %s is in no network", c.Name())
	}
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.up.Store(up); c.dev != nil {
		c.dev.SetLink(up)
	}
	return nil
}

// Counters are the guest's, which receives what the network delivers, and why frames were
// lost on the way.
func (c *Card) Counters() (guest nic.Counters, port bridge.Counters) {
	c.n.mu.Lock()
	d := c.dev
	c.n.mu.Unlock()
	if d != nil {
		guest = d.Counters()
	}
	if p := c.port.Load(); p != nil {
		port = p.Counters()
	}
	return guest, port
}

// Close takes the cable out for good, and forgets the card. When it returns, nothing of
// the network calls what was connected.
func (c *Card) Close() {
	c.once.Do(func() {
		if p := c.port.Swap(nil); p != nil {
			p.Leave() // or what it still sends would be somebody's who gets its address
		}
		c.leave()
		n := c.n
		n.mu.Lock()
		defer n.mu.Unlock()
		n.cards = slices.DeleteFunc(n.cards, func(x *Card) bool { return x == c })
		c.net.cards--
		n.drop(c.net)
	})
}
