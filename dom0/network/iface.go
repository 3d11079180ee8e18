// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringo/dom0/network/dhcp"
	"ringo/drivers/nic"
)

// Interface is a card of the network.
type Interface struct {
	n        *Network
	name     string
	id       tcpip.NICID
	inside   bool // of the guests' network
	dev      nic.Device
	link     *link
	settings []Setting
	speech   limiter

	frames  chan []byte     // for the DHCP client
	news    chan struct{}   // the link has changed
	wake    chan struct{}   // the client's next step is due
	refused chan netip.Addr // somebody else has it
	free    chan netip.Addr // nobody has it: a link-local one
	timer   tcpip.Timer
	client  *dhcp.Client
	up      bool
	server  nic.MAC // whose frames were the DHCP server's

	// What follows is guarded by n.mu.
	v4, v6     own
	lease      *dhcp.Lease
	onLink     []netip.Prefix
	routers    []way
	advertised []server
}

// own is an address that the card was given.
type own struct {
	netip.Prefix
	origin  string
	gateway netip.Addr
}

func newInterface(n *Network, name string, id tcpip.NICID, dev nic.Device, settings []Setting) *Interface {
	i := &Interface{
		n: n, name: name, id: id, dev: dev, link: newLink(dev), settings: settings,
		frames: make(chan []byte, 16), news: make(chan struct{}, 1), wake: make(chan struct{}, 1), refused: make(chan netip.Addr, 1), free: make(chan netip.Addr, 1),
	}
	i.speech.clock = n.clock
	i.link.fault = func(v any) { i.say("a frame made the TCP/IP stack panic, it is lost: %v", v) }
	asks := true
	for _, s := range i.settings {
		asks = asks && !s.None && !s.Address.Addr().Is4()
	}
	if asks {
		i.client = &dhcp.Client{MAC: dev.Info().MAC, Host: n.opt.Hostname, Random: rand.Uint32}
		i.link.dhcp = func(f []byte) {
			select {
			case i.frames <- f:
			default: // the client has enough to do
			}
		}
	}
	return i
}

// Inside reports whether it is dom0's card in the network of guests.
func (i *Interface) Inside() bool { return i.inside }

// Name is what the card is called here.
func (i *Interface) Name() string { return i.name }

// start lets frames come, and begins to ask for an address.
func (i *Interface) start() {
	for _, s := range i.settings {
		if s.Address.IsValid() {
			i.assign(s.Address, byHand, s.Gateway, nil)
		}
	}
	i.n.changed()
	i.dev.Start(nic.Handler{
		Receive: i.link.receive, Room: i.link.ready,
		Changed: func() {
			select {
			case i.news <- struct{}{}:
			default:
			}
		},
	})
	i.n.done.Add(1)
	go i.run()
}

// run looks after the card's link and address.
func (i *Interface) run() {
	defer i.n.done.Done()
	i.look()
	for {
		select {
		case <-i.n.quit:
			if i.timer != nil {
				i.timer.Stop()
			}
			return
		case <-i.news:
			i.look()
		case f := <-i.frames:
			if b, ok := dhcpPayload(f); ok && i.up {
				copy(i.server[:], f[6:12])
				i.step(b)
			}
		case <-i.wake:
			if i.up {
				i.step(nil)
			}
		case a := <-i.refused:
			i.conflict(a)
		case a := <-i.free:
			if !i.v4.IsValid() { // else DHCP was faster; nobody writes it but who is here
				i.assign(netip.PrefixFrom(a, linkLocal), byNobody, netip.Addr{}, nil)
				i.say("no DHCP answer: %v, and asking on", a)
			}
		}
	}
}

// look asks the card for its link.
func (i *Interface) look() {
	if err := i.dev.Dead(); err != nil {
		i.up = false
		i.say("%v", err)
		return
	}
	l := i.dev.Link()
	if l.Up == i.up {
		return
	}
	if i.up = l.Up; !l.Up {
		i.say("no link")
		return
	}
	if !i.inside {
		i.solicit()
	}
	if i.client == nil {
		return
	}
	i.client.Restart(i.n.clock.Now())
	i.step(nil)
}

// solicit has the stack ask for routers again.
func (i *Interface) solicit() {
	if ep, err := i.n.stack.GetNetworkEndpoint(i.id, ipv6.ProtocolNumber); err == nil {
		ep.Disable()
		_ = ep.Enable()
	}
}

// step lets the DHCP client do what is due.
func (i *Interface) step(in []byte) {
	i.act(i.client.Step(i.n.clock.Now(), in))
}

// act does what the DHCP client asks for.
func (i *Interface) act(out dhcp.Out) {
	switch out.Event {
	case dhcp.Bound:
		i.bound()
	case dhcp.Renewed:
		i.n.mu.Lock()
		i.lease = i.client.Lease()
		i.n.mu.Unlock()
	case dhcp.Lost, dhcp.Declined:
		i.unassign()
		i.say("the address is lost")
	case dhcp.Unheard:
		i.linkLocal(0)
	}
	if out.Send != nil {
		to := nic.MAC{255, 255, 255, 255, 255, 255}
		var from netip.Addr
		if l := i.client.Lease(); l != nil {
			from = l.Address.Addr()
		}
		if out.To.IsValid() {
			to = i.server
		}
		i.link.send([]nic.Frame{{Pieces: [][]byte{dhcpFrame(i.dev.Info().MAC, to, from, out.To, out.Send)}}})
	}
	if i.timer != nil {
		i.timer.Stop()
	}
	i.timer = i.n.clock.AfterFunc(max(out.Next.Sub(i.n.clock.Now()), 0), func() {
		select {
		case i.wake <- struct{}{}:
		default:
		}
	})
}

// bound takes the address that a server has given.
func (i *Interface) bound() {
	l := i.client.Lease()
	var gw netip.Addr
	if len(l.Routers) > 0 && len(l.Routes) == 0 {
		gw = l.Routers[0]
	}
	if l.MTU >= 576 && l.MTU < i.dev.Info().MTU {
		i.link.SetMTU(uint32(l.MTU))
	}
	i.n.mu.Lock()
	same := i.v4 == own{l.Address, byDHCP, gw}
	i.n.mu.Unlock()
	i.assign(l.Address, byDHCP, gw, l)
	i.probe(l.Address.Addr())
	if same {
		return // the cable was out for a while
	}
	text := fmt.Sprintf("%v by DHCP from %v", l.Address, l.Server)
	if gw.IsValid() {
		text += fmt.Sprintf(", gateway %v", gw)
	}
	i.say("%s", text)
}

// probe asks whether somebody else has an address that we have been given.
func (i *Interface) probe(a netip.Addr) {
	_, _ = i.n.stack.CheckDuplicateAddress(i.id, ipv4.ProtocolNumber, address(a), func(r stack.DADResult) {
		if _, ok := r.(*stack.DADDupAddrDetected); ok {
			select {
			case i.refused <- a:
			default:
			}
		}
	})
}

// Origins of an IPv4 address.
const (
	byDHCP    = "DHCP"
	byHand    = "static"
	byNobody  = "link-local"
	linkLocal = 16 // bits of the prefix
)

// linkLocal takes an address by itself, if nobody else has it (RFC 3927). try is how many
// were taken already.
func (i *Interface) linkLocal(try int) {
	const tries = 10
	if try == tries {
		i.say("no DHCP answer, and no address is free; asking on")
		return
	}
	a := linkLocalAddress(i.dev.Info().MAC, try)
	_, err := i.n.stack.CheckDuplicateAddress(i.id, ipv4.ProtocolNumber, address(a), func(r stack.DADResult) {
		switch r.(type) {
		case *stack.DADSucceeded:
			select {
			case i.free <- a:
			default: // there is one
			}
		case *stack.DADDupAddrDetected:
			go i.linkLocal(try + 1)
		}
	})
	if err != nil {
		i.say("no DHCP answer, and no address: %v", err)
	}
}

// linkLocalAddress is the address number try of a card: always the same ones.
func linkLocalAddress(mac nic.MAC, try int) netip.Addr {
	var seed uint64
	for _, b := range mac {
		seed = seed<<8 | uint64(b)
	}
	r := rand.New(rand.NewPCG(seed, uint64(try)))
	return netip.AddrFrom4([4]byte{169, 254, byte(1 + r.IntN(254)), byte(r.IntN(256))})
}

// conflict gives an address back that somebody else has.
func (i *Interface) conflict(a netip.Addr) {
	if l := i.client.Lease(); l != nil && l.Address.Addr() == a {
		i.say("somebody else has %v", a)
		i.act(i.client.Refuse(i.n.clock.Now()))
	}
}

// assign gives the card an address, instead of the one of that kind that it had.
func (i *Interface) assign(p netip.Prefix, origin string, gw netip.Addr, l *dhcp.Lease) {
	i.n.mu.Lock()
	old := &i.v4
	if p.Addr().Is6() {
		old = &i.v6
	} else {
		i.lease = l
	}
	was := old.Prefix
	*old = own{p, origin, gw}
	i.n.mu.Unlock()
	if was != p {
		if was.IsValid() {
			_ = i.n.stack.RemoveAddress(i.id, address(was.Addr()))
		}
		i.add(p)
	}
	i.n.changed()
}

func (i *Interface) add(p netip.Prefix) {
	err := i.n.stack.AddProtocolAddress(i.id, tcpip.ProtocolAddress{
		Protocol:          protocol(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: address(p.Addr()), PrefixLen: p.Bits()},
	}, stack.AddressProperties{})
	if err != nil {
		i.say("%v: %v", p, err)
	}
}

// unassign takes the IPv4 address away.
func (i *Interface) unassign() {
	i.n.mu.Lock()
	was := i.v4
	i.v4, i.lease = own{}, nil
	i.n.mu.Unlock()
	if was.IsValid() {
		_ = i.n.stack.RemoveAddress(i.id, address(was.Addr()))
	}
	i.n.changed()
}

// say tells people something about the card, unless too much was said lately.
func (i *Interface) say(format string, a ...any) {
	if more, ok := i.speech.allow(); ok {
		if more > 0 {
			format += fmt.Sprintf(" (%d lines were left out before)", more)
		}
		i.n.log(i.name+": "+format, a...)
	}
}

// limiter lets a few things pass a minute.
type limiter struct {
	clock tcpip.Clock
	mu    sync.Mutex
	start time.Time
	said  int
	lost  int
}

const linesAMinute = 10

// allow reports whether one more is due, and how many were not before.
func (l *limiter) allow() (lost int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if now.Sub(l.start) > time.Minute {
		l.start, l.said = now, 0
	}
	if l.said == linesAMinute {
		l.lost++
		return 0, false
	}
	l.said++
	lost, l.lost = l.lost, 0
	return lost, true
}
