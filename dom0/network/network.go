// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package network is dom0's TCP/IP: gVisor's stack over network cards (package nic), with
// a DHCP client, addresses that the command line says, link-local ones, IPv6 by router
// advertisements, DNS, NTP and HTTP. It needs no operating system's sockets; the
// standard library's packages get their connections from it.
//
// Nothing waits for the network: cards are added when they are there, and addresses come
// when they come.
//
// # Threats
//
// Who is on the wire may send anything. Frames that are none are dropped; a frame that
// makes the stack panic is lost, with a line; what the stack keeps for others (fragments,
// neighbours, connections that are half open) has bounds of its own; and of lines about
// what others do a card has a few a minute.
package network

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
)

// Ports from which dom0's own connections come, [FirstPort, LastPort]: those above are the
// guests' (package nat), those below for servers.
const (
	FirstPort = 16384
	LastPort  = nat.First - 1
)

// Options are what a network is made with.
type Options struct {
	Hostname string
	Settings []Setting
	// Log takes lines for people.
	Log func(line string)
	// Moved is told which addresses a card has, whenever those of one may have changed; nil:
	// nobody is.
	Moved func(card string, all []netip.Addr)
	// Roots are the certificates by which servers of https are believed, nil for those of
	// public authorities.
	Roots *x509.CertPool
	// Clock is nil for the time that there is.
	Clock tcpip.Clock
}

// Network is a TCP/IP stack and its cards. Its methods are safe for concurrent use.
type Network struct {
	opt   Options
	clock tcpip.Clock
	stack *stack.Stack
	dirty chan struct{} // the routes must be made anew
	// gateway is that of the guests, nil if there is none.
	gateway atomic.Pointer[Gateway]
	echoes  atomic.Pointer[[]*shortcut] // changed with mu held
	quit    chan struct{}
	done    sync.WaitGroup

	mu    sync.Mutex // guards what follows, and what interfaces say is guarded by it
	cards []*Interface
	made  int // cards so far
}

// init lets the stack's own log end nowhere: it would write to the console whenever
// somebody sends a packet that the stack thinks worth a line. Its packages have kept the
// logger since they were initialized, so what changes is where that one writes to.
func init() { log.Log().Emitter = &log.MultiEmitter{} }

// New returns a network without cards.
func New(opt Options) *Network {
	n := &Network{opt: opt, clock: opt.Clock, dirty: make(chan struct{}, 1), quit: make(chan struct{})}
	n.echoes.Store(new([]*shortcut))
	if n.clock == nil {
		n.clock = tcpip.NewStdClock()
	}
	ndp := ipv6.DefaultNDPConfigurations()
	ndp.AutoGenTempGlobalAddresses = false // a server's address stays
	n.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocol, arp.NewProtocolWithOptions(arp.Options{DADConfigs: stack.DefaultDADConfigurations()}),
			ipv6.NewProtocolWithOptions(ipv6.Options{NDPConfigs: ndp, AutoGenLinkLocal: true, NDPDisp: advertised{n}}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		Clock:              n.clock,
		HandleLocal:        true,
	})
	n.tune()
	if err := n.stack.SetPortRange(FirstPort, LastPort); err != nil {
		panic("network: " + err.String())
	}
	n.done.Add(1)
	go n.reroute()
	return n
}

// tune sets what is not as it should be by default: RACK off (it was seen to stall),
// SACK on, and buffers that one connection may have.
func (n *Network) tune() {
	recovery, sack, moderate := tcpip.TCPRecovery(0), tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 256 << 10, Max: 2 << 20}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 256 << 10, Max: 2 << 20}
	for _, o := range []tcpip.SettableTransportProtocolOption{&recovery, &sack, &moderate, &receive, &send} {
		if err := n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			panic("network: " + err.String())
		}
	}
}

// Add has the network use a card, under a name that no other has, and starts it.
func (n *Network) Add(name string, dev nic.Device) (*Interface, error) {
	i, err := n.create(name, dev, n.settings(name), false)
	if err != nil {
		return nil, err
	}
	i.link.offer = func(frames []nic.Frame) {
		if g := n.gateway.Load(); g != nil {
			g.fromWorld(i, frames)
		} else {
			i.link.take(frames)
		}
	}
	i.start()
	return i, nil
}

// create makes an interface, which does nothing yet; inside is the network of guests.
func (n *Network) create(name string, dev nic.Device, settings []Setting, inside bool) (*Interface, error) {
	n.mu.Lock()
	n.made++
	i := newInterface(n, name, tcpip.NICID(n.made), dev, settings)
	i.inside, i.link.early = inside, n.echoed
	n.cards = append(n.cards, i)
	n.mu.Unlock()
	if err := n.stack.CreateNICWithOptions(i.id, i.link, stack.NICOptions{Name: i.name}); err != nil {
		return nil, errors.New(i.name + ": " + err.String())
	}
	return i, nil
}

// Interfaces are all cards, in the order of their names.
func (n *Network) Interfaces() []*Interface {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Interface(nil), n.cards...)
}

// settings are what was said of a card.
func (n *Network) settings(name string) (all []Setting) {
	for _, s := range n.opt.Settings {
		if s.Device == name {
			all = append(all, s)
		}
	}
	return all
}

// changed has the routes made anew.
func (n *Network) changed() {
	select {
	case n.dirty <- struct{}{}:
	default:
	}
}

// Close ends the network and its cards.
func (n *Network) Close() {
	close(n.quit)
	n.gateway.Store(nil)
	for _, i := range n.Interfaces() {
		i.dev.Close()
	}
	n.done.Wait()
	n.stack.Destroy()
}

func (n *Network) log(format string, a ...any) {
	if n.opt.Log != nil {
		n.opt.Log(fmt.Sprintf(format, a...))
	}
}

// address is a in gVisor's form.
func address(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

// fromAddress is a in the standard library's form.
func fromAddress(a tcpip.Address) netip.Addr {
	v, _ := netip.AddrFromSlice(a.AsSlice())
	return v
}

// subnet is p in gVisor's form.
func subnet(p netip.Prefix) tcpip.Subnet {
	p = p.Masked()
	return tcpip.AddressWithPrefix{Address: address(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}

// protocol is the number of a's.
func protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}
