// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dhcp

import (
	"errors"
	"math/bits"
	"net/netip"
	"time"
)

var errMessage = errors.New("not a DHCP message")

// maxList bounds lists of addresses and routes in a message.
const maxList = 16

// Parse reads a message. Options that it cannot read are left out.
func Parse(b []byte) (*Message, error) {
	if len(b) < fixedLen || b[1] != 1 || b[2] != 6 || be.Uint32(b[236:]) != cookie {
		return nil, errMessage
	}
	m := &Message{
		Reply: b[0] == 2, XID: be.Uint32(b[4:]), Seconds: be.Uint16(b[8:]), Broadcast: be.Uint16(b[10:])&broadcast != 0,
		Client: addr(b[12:]), Relayed: be.Uint32(b[24:]) != 0, Yours: addr(b[16:]), MAC: [6]byte(b[28:34]),
	}
	overload := m.options(b[fixedLen:])
	// The fields for names may hold options as well ("Option Overload").
	if overload&1 != 0 {
		m.options(b[108:236])
	}
	if overload&2 != 0 {
		m.options(b[44:108])
	}
	if m.Kind == 0 {
		return nil, errMessage
	}
	return m, nil
}

// options reads a list of options, and returns what it says about more of them.
func (m *Message) options(b []byte) (overload byte) {
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return overload
		}
		opt, v := b[0], b[2:2+int(b[1])]
		b = b[2+len(v):]
		if opt == optOverload && len(v) == 1 {
			overload = v[0]
			continue
		}
		m.option(opt, v)
	}
	return overload
}

func (m *Message) option(opt byte, v []byte) {
	switch opt {
	case optKind:
		if len(v) == 1 {
			m.Kind = Kind(v[0])
		}
	case optServer:
		m.Server = one(v)
	case optRequested:
		m.Requested = one(v)
	case optMask:
		if len(v) == 4 {
			if ones := bits.LeadingZeros32(^be.Uint32(v)); ones == bits.OnesCount32(be.Uint32(v)) {
				m.Mask = ones
			}
		}
	case optRouter:
		m.Routers = list(m.Routers, v)
	case optDNS:
		m.DNS = list(m.DNS, v)
	case optNTP:
		m.NTP = list(m.NTP, v)
	case optRoutes:
		m.routes(v)
	case optMTU:
		if len(v) == 2 {
			m.MTU = int(be.Uint16(v))
		}
	case optHost:
		m.Host = text(v)
	case optDomain:
		m.Domain = text(v)
	case optTime:
		m.Time = seconds(v)
	case optRenew:
		m.Renew = seconds(v)
	case optRebind:
		m.Rebind = seconds(v)
	case optClientID:
		m.hasClient = true
	}
}

// routes reads RFC 3442's list: the length of a prefix, as many bytes of it as count,
// the router.
func (m *Message) routes(v []byte) {
	for len(v) > 0 && len(m.Routes) < maxList {
		bits := int(v[0])
		n := (bits + 7) / 8
		if bits > 32 || len(v) < 1+n+4 {
			return
		}
		var to [4]byte
		copy(to[:], v[1:1+n])
		m.Routes = append(m.Routes, Route{netip.PrefixFrom(netip.AddrFrom4(to), bits).Masked(), netip.AddrFrom4([4]byte(v[1+n:]))})
		v = v[1+n+4:]
	}
}

// addr is the address in b, none if it is 0.0.0.0.
func addr(b []byte) netip.Addr {
	if be.Uint32(b) == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

func one(v []byte) netip.Addr {
	if len(v) != 4 {
		return netip.Addr{}
	}
	return addr(v)
}

func list(all []netip.Addr, v []byte) []netip.Addr {
	for ; len(v) >= 4 && len(all) < maxList; v = v[4:] {
		if a := addr(v); a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}

// text keeps what can be printed, and takes away zeros at the end.
func text(v []byte) string {
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	for _, c := range v {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return string(v)
}

func seconds(v []byte) time.Duration {
	if len(v) != 4 {
		return 0
	}
	return time.Duration(be.Uint32(v)) * time.Second
}
