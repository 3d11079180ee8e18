// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
)

// fate is what becomes of a frame from a guest.
type fate int

const (
	lost   fate = iota // or answered
	stacks             // dom0's stack gets it
	passed             // it is in the batch
)

// fromGuests takes frames from the inside card.
func (g *Gateway) fromGuests(frames []nic.Frame) {
	o := &g.out
	o.mu.Lock()
	defer o.mu.Unlock()
	now := g.now()
	for i := 0; i < len(frames); {
		from := i
		for i < len(frames) && g.fromGuest(&frames[i], now) == stacks {
			i++
		}
		if from < i {
			g.inside.link.take(frames[from:i])
		}
		i++ // this one was not the stack's
	}
	g.flush(&o.batch)
}

// fromGuest takes one frame.
func (g *Gateway) fromGuest(f *nic.Frame, now time.Duration) fate {
	out, head := g.out.copied(f)
	if len(head) < header.EthernetMinimumSize {
		g.counts.malformed.Add(1)
		return lost
	}
	ours := nic.MAC(head[:6]) == g.inside.link.info.MAC
	switch be.Uint16(head[12:]) {
	case uint16(header.ARPProtocolNumber):
		return stacks
	case uint16(header.IPv4ProtocolNumber):
	default:
		return lost // nothing else is spoken here
	}
	p := nat.Packet{Head: head[header.EthernetMinimumSize:], Len: out.Len() - header.EthernetMinimumSize, Sum: f.Sum}
	if len(p.Head) < header.IPv4MinimumSize || p.Head[0]>>4 != 4 || f.Sum && !sumAtPlace(f, p.Head) {
		g.counts.malformed.Add(1)
		return lost
	}
	to := be.Uint32(p.Head[16:])
	if isTo(p.Head, uint8(header.UDPProtocolNumber), dhcpServer) && (to == g.us || to == ^uint32(0)) {
		g.lend(f)
		return lost
	}
	if !ours || to == ^uint32(0) {
		return lost // to all, or to another guest, by mistake
	}
	if to == g.us {
		if allowed(p.Head) {
			return stacks
		}
		g.counts.refused.Add(1)
		return g.answer(head, &p, nat.PortUnreachable, 0, now)
	}
	return g.leave(out, head, &p, to, now)
}

// leave sends a frame of a guest into the world.
func (g *Gateway) leave(out *nic.Frame, head []byte, p *nat.Packet, to uint32, now time.Duration) fate {
	if g.ours(to) {
		g.counts.refused.Add(1)
		return g.answer(head, p, nat.PortUnreachable, 0, now)
	}
	e := g.exit(to)
	if e == nil {
		g.counts.unrouted.Add(1)
		return g.answer(head, p, nat.NetUnreachable, 0, now)
	}
	size := int(be.Uint16(p.Head[2:]))
	if out.Segment != 0 {
		size = min(size, int(out.Headers)-header.EthernetMinimumSize+int(out.Segment))
	}
	if mtu := int(e.card.link.mtu.Load()); size > mtu {
		return g.answer(head, p, nat.TooBig, uint16(mtu), now)
	}
	switch g.table.Out(p, e.addr, now) {
	case nat.Pass:
	case nat.Expired:
		return g.answer(head, p, nat.TimeExceeded, 0, now)
	default:
		return lost
	}
	hop := e.via
	if hop == 0 {
		hop = to
	}
	g.sendTo(&g.out.batch, out, e.card, hop, now)
	return passed
}

// sendTo lets the frame that a batch has made leave by a card, to a neighbour, now or when
// that is known.
func (g *Gateway) sendTo(b *batch, out *nic.Frame, card *Interface, hop uint32, now time.Duration) {
	mac, ok := g.hop(card, hop, now)
	head := out.Pieces[0]
	copy(head, mac[:])
	copy(head[6:], card.link.info.MAC[:])
	if !ok {
		g.wait(card, hop, out)
		return
	}
	g.keep(b, card)
}

// sumAtPlace reports whether the sum that a frame asks for is TCP's or UDP's.
func sumAtPlace(f *nic.Frame, ip header.IPv4) bool {
	at := uint16(16)
	if ip.Protocol() == uint8(header.UDPProtocolNumber) {
		at = 6
	} else if ip.Protocol() != uint8(header.TCPProtocolNumber) {
		return false
	}
	return f.SumStart == header.EthernetMinimumSize+uint16(ip.HeaderLength()) && f.SumOffset == at && !f.V6
}

// ports returns those of a packet, if it has some: TCP or UDP, not a later piece.
func ports(ip header.IPv4, proto uint8) (next []byte, port uint16, ok bool) {
	at := int(ip.HeaderLength())
	if ip.Protocol() != proto || ip.FragmentOffset() != 0 || at < header.IPv4MinimumSize || len(ip) < at+8 {
		return nil, 0, false
	}
	return ip[at:], be.Uint16(ip[at+2:]), true
}

// isTo reports whether a packet is to a port.
func isTo(ip header.IPv4, proto uint8, port uint16) bool {
	_, p, ok := ports(ip, proto)
	return ok && p == port
}

// Ports of what guests reach of dom0.
const (
	portDNS = 53
	portNTP = 123
)

// allowed reports whether a packet to the gateway's address may come to dom0's stack: what
// is offered to guests, and of connections that dom0 has opened to them what is not the
// beginning of one. Pieces may not: nothing here needs them.
func allowed(ip header.IPv4) bool {
	if ip.More() || ip.FragmentOffset() != 0 {
		return false
	}
	if _, port, ok := ports(ip, uint8(header.UDPProtocolNumber)); ok {
		return port == portDNS || port == portNTP
	}
	if next, port, ok := ports(ip, uint8(header.TCPProtocolNumber)); ok {
		return len(next) >= header.TCPMinimumSize && (port == portDNS ||
			port >= FirstPort && port <= LastPort && header.TCPFlags(next[13])&(header.TCPFlagSyn|header.TCPFlagAck) != header.TCPFlagSyn)
	}
	if next, _, ok := ports(ip, uint8(header.ICMPv4ProtocolNumber)); ok {
		return next[0] == uint8(header.ICMPv4Echo) || next[0] == uint8(header.ICMPv4EchoReply)
	}
	return false
}

// answersMost is how many ICMP errors are sent a second.
const answersMost = 1000

// answer tells a guest what has become of its packet.
func (g *Gateway) answer(head []byte, p *nat.Packet, why nat.Reason, mtu uint16, now time.Duration) fate {
	o := &g.out
	if s := now / time.Second; s != o.second {
		o.second, o.answers = s, 0
	}
	if o.answers >= answersMost {
		return lost
	}
	n := nat.Answer(o.reply[header.EthernetMinimumSize:], why, mtu, g.opt.Address.Addr(), p)
	if n == 0 {
		return lost
	}
	o.answers++
	g.counts.answers.Add(1)
	n += header.EthernetMinimumSize
	copy(o.reply[:], head[6:12])
	copy(o.reply[6:], g.inside.link.info.MAC[:])
	copy(o.reply[12:], head[12:14])
	o.one[0] = o.reply[:n]
	o.answered[0] = nic.Frame{Pieces: o.one[:]}
	g.inside.dev.Send(o.answered[:])
	return lost
}

// lend lets the DHCP server answer.
func (g *Gateway) lend(f *nic.Frame) {
	if f.Len() > 1500+header.EthernetMinimumSize {
		return
	}
	b := make([]byte, f.Len())
	f.CopyTo(b)
	m, ok := udpPayload(b, dhcpServer)
	if !ok {
		return
	}
	reply, to, mac := g.leases.Answer(m)
	if reply == nil {
		return
	}
	us := g.inside.link.info.MAC
	answer := udpFrame(us, mac, netip.AddrPortFrom(g.opt.Address.Addr(), dhcpServer), netip.AddrPortFrom(to, dhcpClient), reply)
	g.inside.dev.Send([]nic.Frame{{Pieces: [][]byte{answer}}})
}
