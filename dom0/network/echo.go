// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringo/drivers/nic"
)

// Echo requests of ours by IPv4, and the answers to them, pass beside the stack, which
// takes longer over a packet than everybody else together. It is asked where they go, as
// it is for the guests (hop.go), and its endpoint of the pinger has their identifier. What
// is not as simple is its own: IPv6, what does not leave the machine or goes to many, what
// does not fit into a frame, and a neighbour that it does not know yet.

// echoHead is what is in front of a message of ICMP in such a frame.
const echoHead = header.EthernetMinimumSize + header.IPv4MinimumSize

// shortcut is the way of a pinger's requests, and of the answers. It does not change.
type shortcut struct {
	link     *link
	from, to [4]byte
	ident    uint16
	payload  []byte
	want     *atomic.Uint32 // the pinger's
	came     chan<- struct{}
}

// noEcho is a value of want, which are sequence numbers else: no answer is waited for.
const noEcho = 1 << 16

// leave sends the request beside the stack, and reports false where the stack must.
func (p *Pinger) leave(now time.Time) bool {
	if p.to.Is6() {
		return false
	}
	if !now.Before(p.stale) {
		p.find(now)
	}
	if p.way == nil {
		return false
	}
	ip, m := header.IPv4(p.frame[header.EthernetMinimumSize:echoHead]), header.ICMPv4(p.request)
	ip.SetID(p.seq)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	m.SetIdent(p.way.ident)
	m.SetChecksum(0)
	m.SetChecksum(^checksum.Checksum(m, 0))
	p.want.Store(uint32(p.seq))
	p.pieces[0] = p.frame
	p.frames[0] = nic.Frame{Pieces: p.pieces[:]}
	p.way.link.send(p.frames[:])
	return true
}

// find asks the stack for the way again, if it knows one. That also has the stack look
// whether the neighbour is still there.
func (p *Pinger) find(now time.Time) {
	p.forget()
	p.stale = now.Add(hopFresh)
	local, err := p.ep.GetLocalAddress()
	if err != nil {
		return
	}
	r, err := p.n.stack.FindRoute(0, tcpip.Address{}, address(p.to), ipv4.ProtocolNumber, false)
	if err != nil {
		return
	}
	defer r.Release()
	if !r.IsResolutionRequired() || len(p.request) > int(r.MTU()) {
		return
	}
	next := r.NextHop()
	if next.BitLen() == 0 {
		next = r.RemoteAddress()
	}
	var mac atomic.Pointer[tcpip.LinkAddress] // it may call back late
	_ = p.n.stack.GetLinkAddress(r.NICID(), next, tcpip.Address{}, ipv4.ProtocolNumber, func(r stack.LinkResolutionResult) {
		if r.Err == nil {
			mac.Store(&r.LinkAddress)
		}
	})
	l, hop := p.n.link(r.NICID()), mac.Load()
	if l == nil || hop == nil {
		p.stale = now // the stack is looking for it
		return
	}
	header.Ethernet(p.frame).Encode(&header.EthernetFields{SrcAddr: l.LinkAddress(), DstAddr: *hop, Type: ipv4.ProtocolNumber})
	header.IPv4(p.frame[header.EthernetMinimumSize:]).Encode(&header.IPv4Fields{
		TotalLength: uint16(len(p.frame) - header.EthernetMinimumSize), TTL: r.DefaultTTL(),
		Protocol: uint8(header.ICMPv4ProtocolNumber), SrcAddr: r.LocalAddress(), DstAddr: r.RemoteAddress(),
	})
	p.way = &shortcut{
		link: l, from: r.LocalAddress().As4(), to: r.RemoteAddress().As4(), ident: local.Port,
		payload: p.request[echoLen:], want: &p.want, came: p.came,
	}
	p.n.shortcuts(func(all []*shortcut) []*shortcut { return append(all, p.way) })
}

// forget has answers go to the stack again.
func (p *Pinger) forget() {
	if p.way != nil {
		p.n.shortcuts(func(all []*shortcut) []*shortcut {
			return slices.DeleteFunc(all, func(s *shortcut) bool { return s == p.way })
		})
		p.way = nil
	}
}

// link is that of a card, nil if it is gone.
func (n *Network) link(id tcpip.NICID) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, i := range n.cards {
		if i.id == id {
			return i.link
		}
	}
	return nil
}

// shortcuts changes the list of them: f gets a copy.
func (n *Network) shortcuts(f func(all []*shortcut) []*shortcut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := f(slices.Clone(*n.echoes.Load()))
	n.echoes.Store(&all)
}

// echoed takes a frame that came by a card before the stack gets it, if it is an answer
// that somebody waits for.
func (n *Network) echoed(l *link, f *nic.Frame) bool {
	all := *n.echoes.Load()
	if len(all) == 0 || len(f.Pieces) != 1 || f.Segment != 0 || f.Sum {
		return false
	}
	b := f.Pieces[0]
	if len(b) < echoHead+echoLen || be.Uint16(b[12:]) != uint16(ipv4.ProtocolNumber) || nic.MAC(b[:6]) != l.info.MAC {
		return false
	}
	ip := header.IPv4(b[header.EthernetMinimumSize:])
	size := int(ip.TotalLength())
	if ip[0] != 0x45 || ip.Protocol() != uint8(header.ICMPv4ProtocolNumber) || ip.More() || ip.FragmentOffset() != 0 ||
		size < header.IPv4MinimumSize+echoLen || size > len(ip) || checksum.Checksum(ip[:header.IPv4MinimumSize], 0) != 0xffff {
		return false
	}
	for _, s := range all {
		if s.link == l && s.answered(ip[:size]) {
			return true
		}
	}
	return false
}

// answered takes a packet, if it is the answer.
func (s *shortcut) answered(ip header.IPv4) bool {
	m := header.ICMPv4(ip[header.IPv4MinimumSize:])
	seq := uint32(m.Sequence())
	if [4]byte(ip[12:]) != s.to || [4]byte(ip[16:]) != s.from || m.Type() != header.ICMPv4EchoReply || m.Code() != 0 ||
		m.Ident() != s.ident || seq != s.want.Load() || !bytes.Equal(m[echoLen:], s.payload) || checksum.Checksum(m, 0) != 0xffff ||
		!s.want.CompareAndSwap(seq, noEcho) {
		return false
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
	return true
}
