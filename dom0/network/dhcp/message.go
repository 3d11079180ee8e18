// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dhcp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

var be = binary.BigEndian

// Kind is the type of a message (RFC 2132, "DHCP Message Type").
type Kind uint8

// Messages.
const (
	Discover Kind = 1 + iota
	Offer
	Request
	Decline
	Ack
	Nak
	Release
	Inform
)

// Options (RFC 2132; 121 is RFC 3442).
const (
	optPad       = 0
	optMask      = 1
	optRouter    = 3
	optDNS       = 6
	optHost      = 12
	optDomain    = 15
	optMTU       = 26
	optNTP       = 42
	optRequested = 50
	optTime      = 51
	optOverload  = 52
	optKind      = 53
	optServer    = 54
	optWanted    = 55
	optMost      = 57
	optRenew     = 58
	optRebind    = 59
	optClientID  = 61
	optRoutes    = 121
	optEnd       = 255
)

// The fixed part of a message (RFC 2131, "Protocol Summary").
const (
	fixedLen  = 240
	cookie    = 0x63825363
	minLen    = 300 // some relays drop shorter ones
	broadcast = 1 << 15
)

// Message is a DHCP message. Addresses that it does not have are not valid.
type Message struct {
	Reply           bool
	Relayed         bool // by an agent of another network
	XID             uint32
	Seconds         uint16
	Broadcast       bool
	Client, Yours   netip.Addr
	MAC             [6]byte
	Kind            Kind
	Server          netip.Addr // its identifier
	Requested       netip.Addr
	Mask            int // length of the prefix, 0: none
	Routers, DNS    []netip.Addr
	NTP             []netip.Addr
	Routes          []Route
	MTU             int
	Host, Domain    string
	Time            time.Duration // of the lease
	Renew, Rebind   time.Duration
	asks, hasClient bool
}

// Route is a way to a network.
type Route struct {
	To  netip.Prefix
	Via netip.Addr
}

// Marshal is the message in bytes.
func (m *Message) Marshal() []byte {
	b := make([]byte, fixedLen, 400)
	b[0], b[1], b[2] = 1, 1, 6
	if m.Reply {
		b[0] = 2
	}
	be.PutUint32(b[4:], m.XID)
	be.PutUint16(b[8:], m.Seconds)
	if m.Broadcast {
		be.PutUint16(b[10:], broadcast)
	}
	putAddr(b[12:], m.Client)
	putAddr(b[16:], m.Yours)
	copy(b[28:], m.MAC[:])
	be.PutUint32(b[236:], cookie)
	b = append(b, optKind, 1, byte(m.Kind))
	b = addAddrs(b, optServer, m.Server)
	b = addAddrs(b, optRequested, m.Requested)
	if m.Mask > 0 {
		b = be.AppendUint32(append(b, optMask, 4), ^uint32(0)<<(32-m.Mask))
	}
	b = addAddrs(b, optRouter, m.Routers...)
	b = addAddrs(b, optDNS, m.DNS...)
	b = addAddrs(b, optNTP, m.NTP...)
	if m.MTU > 0 {
		b = be.AppendUint16(append(b, optMTU, 2), uint16(m.MTU))
	}
	b = addText(b, optHost, m.Host)
	b = addText(b, optDomain, m.Domain)
	b = addTime(b, optTime, m.Time)
	b = addTime(b, optRenew, m.Renew)
	b = addTime(b, optRebind, m.Rebind)
	if m.asks {
		b = append(b, optMost, 2, 1500>>8, 1500&255)
		b = append(append(b, optClientID, 7, 1), m.MAC[:]...)
		wanted := []byte{optMask, optRoutes, optRouter, optDNS, optDomain, optMTU, optNTP, optTime, optServer, optRenew, optRebind}
		b = append(append(b, optWanted, byte(len(wanted))), wanted...)
	}
	b = append(b, optEnd)
	for len(b) < minLen {
		b = append(b, optPad)
	}
	return b
}

func putAddr(b []byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		copy(b, v[:])
	}
}

func addAddrs(b []byte, opt byte, all ...netip.Addr) []byte {
	if len(all) == 0 || !all[0].Is4() {
		return b
	}
	b = append(b, opt, byte(4*len(all)))
	for _, a := range all {
		v := a.As4()
		b = append(b, v[:]...)
	}
	return b
}

func addText(b []byte, opt byte, s string) []byte {
	if s == "" {
		return b
	}
	s = s[:min(len(s), 63)]
	return append(append(b, opt, byte(len(s))), s...)
}

func addTime(b []byte, opt byte, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	return be.AppendUint32(append(b, opt, 4), uint32(d/time.Second))
}
