// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package lease is a DHCP server (RFC 2131) without a socket: messages in, messages out.
// It serves cards that were added, and no others; each has an address from its addition to
// its removal, whether or not it has asked for one.
//
// # Threats
//
//	guest does                            the server does
//	------------------------------------  ---------------------------------------
//	asks in the name of other cards       nothing is kept of a request; an address is
//	                                      told to whoever asks with the card's MAC,
//	                                      and sent to that MAC
//	asks for an address of its choice     NAK; it has the one that it was given
//	declines or releases it               it keeps it
//	sends nonsense                        no answer
package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ringo/dom0/network/dhcp"
	"ringo/drivers/nic"
)

// Config is what guests are told.
type Config struct {
	// Gateway is the server's address, and the network's: 10.77.0.1/24. It is the router,
	// and the server of DNS and NTP.
	Gateway netip.Prefix
	Domain  string
	MTU     int
	// Time is how long an address is lent: until then guests hear of changes.
	Time time.Duration
}

// Entry is a card that has an address.
type Entry struct {
	MAC     nic.MAC
	Host    string
	Address netip.Addr
	// Asked says that the card has asked for it.
	Asked bool
}

// Server is a DHCP server. Its methods are safe for concurrent use.
type Server struct {
	c Config

	mu    sync.Mutex
	cards []Entry // by address
}

// New returns a server without cards.
func New(c Config) *Server { return &Server{c: c} }

// Add gives a card an address, the lowest that is free, and tells it the name host. The
// error is one line, for people.
func (s *Server) Add(mac nic.MAC, host string) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(mac) != nil {
		return netip.Addr{}, fmt.Errorf("two network cards with the address %v (choose another one for one of them)", mac)
	}
	// The lowest tenth stays for those without a filter that have addresses by hand.
	first := s.c.Gateway.Masked().Addr()
	for range 1 << (32 - s.c.Gateway.Bits()) / 10 {
		first = first.Next()
	}
	for a := first.Next(); s.c.Gateway.Contains(a.Next()); a = a.Next() { // the last one is for all
		if a != s.c.Gateway.Addr() && !slices.ContainsFunc(s.cards, func(e Entry) bool { return e.Address == a }) {
			s.cards = append(s.cards, Entry{MAC: mac, Host: host, Address: a})
			slices.SortFunc(s.cards, func(x, y Entry) int { return x.Address.Compare(y.Address) })
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("network %v has no free address (destroy a domain that has one)", s.c.Gateway.Masked())
}

// Remove takes a card's address back.
func (s *Server) Remove(mac nic.MAC) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cards = slices.DeleteFunc(s.cards, func(e Entry) bool { return e.MAC == mac })
}

// Rename gives a card another name: it hears of that when it asks the next time.
func (s *Server) Rename(mac nic.MAC, host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(mac); e != nil {
		e.Host = host
	}
}

// Entries are all cards, by address.
func (s *Server) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.cards)
}

// Lookup is the address of a host, of its first card.
func (s *Server) Lookup(host string) (netip.Addr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.cards {
		if e.Host == host {
			return e.Address, true
		}
	}
	return netip.Addr{}, false
}

// Host is the name of who has an address.
func (s *Server) Host(a netip.Addr) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.cards {
		if e.Address == a {
			return e.Host, true
		}
	}
	return "", false
}

func (s *Server) find(mac nic.MAC) *Entry {
	for i := range s.cards {
		if s.cards[i].MAC == mac {
			return &s.cards[i]
		}
	}
	return nil
}

// Answer is what the server says to a message, nil if nothing, and to which address; not
// valid: to all. It goes to the card mac.
func (s *Server) Answer(b []byte) (reply []byte, to netip.Addr, mac nic.MAC) {
	m, err := dhcp.Parse(b)
	if err != nil || m.Reply || m.Relayed {
		return nil, to, mac
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(m.MAC)
	us := s.c.Gateway.Addr()
	if e == nil || m.Server.IsValid() && m.Server != us {
		return nil, to, mac // of another network, or it has chosen another server
	}
	r := &dhcp.Message{
		Reply: true, XID: m.XID, Broadcast: m.Broadcast, MAC: m.MAC, Client: m.Client, Server: us,
		Mask: s.c.Gateway.Bits(), Routers: []netip.Addr{us}, DNS: []netip.Addr{us}, NTP: []netip.Addr{us},
		MTU: s.c.MTU, Host: e.Host, Domain: s.c.Domain,
	}
	switch m.Kind {
	case dhcp.Discover:
		r.Kind, r.Yours, r.Time, r.Client = dhcp.Offer, e.Address, s.c.Time, netip.Addr{}
	case dhcp.Request:
		asked := m.Requested
		if !asked.IsValid() {
			asked = m.Client
		}
		if asked != e.Address {
			return (&dhcp.Message{Reply: true, XID: m.XID, Broadcast: true, MAC: m.MAC, Kind: dhcp.Nak, Server: us}).Marshal(), netip.Addr{}, m.MAC
		}
		r.Kind, r.Yours, r.Time = dhcp.Ack, e.Address, s.c.Time
		e.Asked = true
	case dhcp.Inform: // it has an address, and wants the rest
		r.Kind = dhcp.Ack
	default:
		return nil, to, mac
	}
	switch { // RFC 2131, "Constructing and sending DHCP messages"
	case m.Client.IsValid():
		to = m.Client
	case !m.Broadcast:
		to = r.Yours
	}
	return r.Marshal(), to, m.MAC
}
