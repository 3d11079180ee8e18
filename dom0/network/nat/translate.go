// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nat

import (
	"net/netip"
	"time"
)

// Out says what becomes of a packet from a guest that goes to the world by a card whose
// address is outside. now is the time since any moment. Verdicts are Pass, Drop and
// Expired.
func (t *Table) Out(p *Packet, outside netip.Addr, now time.Duration) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick(now)
	h, ok := parse(p.Head, p.Len, true)
	if !ok || p.Sum && (h.more || !h.first || h.proto != tcp && h.proto != udp) {
		t.count.Malformed++
		return Drop
	}
	if n := h.src - t.base; n == 0 || n >= t.size-1 || h.src == t.gateway || h.dst-t.base < t.size || !routable(h.dst) {
		t.count.Foreign++
		return Drop
	}
	if p.Head[8] <= 1 {
		return Expired
	}
	v := t.outward(p, &h, number(outside))
	if v == Pass {
		age(p.Head)
		t.count.Out++
	}
	return v
}

func (t *Table) outward(p *Packet, h *header, outside uint32) Verdict {
	switch {
	case !h.first:
		return t.pass(p.Head, h, source)
	case h.proto == icmp && h.kind != echo:
		return t.errorOut(p.Head, h, outside)
	case h.proto != tcp && h.proto != udp && h.proto != icmp:
		t.count.Unsupported++
		return Drop
	}
	i := t.findOut(h.proto, h.src, h.dst, h.sport, h.dport)
	if i != none && t.flows[i].outside != outside {
		t.drop(i) // the world is another way now
		i = none
	}
	if i == none {
		if h.proto == tcp && h.flags&rst != 0 {
			t.count.Unsolicited++
			return Drop
		}
		f := flow{inside: h.src, outside: outside, remote: h.dst, iport: h.sport, rport: h.dport, proto: h.proto}
		if i = t.add(f, firstClass(h.proto, false)); i == none {
			return Drop
		}
	}
	t.step(i, h, true)
	f := &t.flows[i]
	if h.more {
		t.remember(h, source, outside, f.inside-t.base)
	}
	rewrite(p.Head, h, source, outside, f.xport, p.Sum)
	return Pass
}

// In says what becomes of a packet that has come to an address of the machine's outside.
// Verdicts are Pass, Drop, Expired and Local.
func (t *Table) In(p *Packet, now time.Duration) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick(now)
	h, ok := parse(p.Head, p.Len, true)
	switch {
	case !ok:
		return Local // its stack counts such ones
	case h.src-t.base < t.size || !routable(h.src):
		t.count.Foreign++
		return Drop
	}
	v := t.inward(p, &h)
	if v == Pass {
		age(p.Head)
		t.count.In++
	}
	return v
}

func (t *Table) inward(p *Packet, h *header) Verdict {
	switch {
	case !h.first:
		return t.pass(p.Head, h, destination)
	case h.proto == icmp && h.kind != echoReply:
		return t.errorIn(p.Head, h)
	case h.proto != tcp && h.proto != udp && h.proto != icmp:
		return Local
	}
	i := t.findIn(h.proto, h.dst, h.src, h.dport, h.sport)
	if i == none {
		to, ok := netip.AddrPort{}, false
		if h.proto == udp || h.flags&(syn|ack|rst|fin) == syn {
			to, ok = t.forwardTo(h.proto, h.dport)
		}
		if !ok && h.dport < First {
			return Local
		}
		if !ok { // nor may it be answered (RFC 5382 REQ-4)
			t.count.Unsolicited++
			return Drop
		}
		if p.Head[8] <= 1 {
			return Expired
		}
		f := flow{inside: number(to.Addr()), outside: h.dst, remote: h.src, iport: to.Port(), xport: h.dport, rport: h.sport, proto: h.proto, state: inbound}
		if i = t.add(f, firstClass(h.proto, true)); i == none {
			return Drop
		}
	}
	if p.Head[8] <= 1 {
		return Expired
	}
	t.step(i, h, false)
	f := &t.flows[i]
	if h.more {
		t.remember(h, destination, f.inside, f.inside-t.base)
	}
	rewrite(p.Head, h, destination, f.inside, f.iport, p.Sum)
	return Pass
}

// firstClass is a new flow's.
func firstClass(proto uint8, outside bool) class {
	switch {
	case proto == icmp:
		return pinged
	case proto == tcp && outside:
		return knocked
	case proto == tcp:
		return opening
	case outside:
		return told
	}
	return asked
}

// What has been seen of a flow.
const (
	byGuest  = 1 << iota // the guest has sent something
	byOther              // the other end has
	finGuest             // TCP: the guest sends no more
	finOther             // the other end does not
	cut                  // TCP: one end has reset it
	inbound              // the other end has begun it
	open                 // TCP: who began it knows that it is heard
)

// step lets a flow know of a packet. Packets from outside do not keep a flow that is not
// TCP's (RFC 4787 REQ-6).
func (t *Table) step(i int32, h *header, guest bool) {
	f := &t.flows[i]
	if f.proto == tcp {
		var c class
		f.state, c = stepTCP(f.state, h.flags, guest)
		t.touch(i, c)
		return
	}
	before := f.state
	if guest {
		f.state |= byGuest
	} else {
		f.state |= byOther
	}
	c := firstClass(f.proto, f.state&inbound != 0)
	if f.proto == udp && f.state&byGuest != 0 && f.state&byOther != 0 {
		c = talking
	}
	if guest || f.state != before {
		t.touch(i, c)
	}
}

// stepTCP is what a segment makes of a connection: after RFC 6146, "State Machine for TCP
// Processing in the NAT64", but that nothing lasts long before its beginner has answered
// an answer, so that one side alone, who may have made his address up, makes nothing that
// does. A reset may be made up too: the guest knows, and goes on.
func stepTCP(s, flags uint8, guest bool) (uint8, class) {
	began := guest == (s&inbound == 0)
	over := s&cut != 0 || s&finGuest != 0 && s&finOther != 0
	if flags&syn != 0 && over && began {
		s &= inbound // the ports are used once more
	}
	mine, end := uint8(byGuest), uint8(finGuest)
	if !guest {
		mine, end = byOther, finOther
	}
	switch {
	case flags&rst != 0:
		s |= cut
	case guest:
		s &^= cut
	}
	if flags&rst == 0 {
		if began && flags&syn == 0 && s&byGuest != 0 && s&byOther != 0 {
			s |= open
		}
		s |= mine
	}
	if flags&fin != 0 {
		s |= end
	}
	switch {
	case s&cut != 0 || s&finGuest != 0 && s&finOther != 0:
		return s, closing
	case s&open != 0:
		return s, established
	case s&inbound != 0:
		return s, knocked
	}
	return s, opening
}
