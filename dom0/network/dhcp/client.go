// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package dhcp is a DHCP client for IPv4 (RFC 2131, RFC 2132) without a clock, a socket
// or a goroutine: messages and times go in, messages and times come out. The libraries
// that there are want an operating system's interfaces.
//
// The server, and who says that he is one, may send what they like: lists are bounded,
// an answer counts if it is to the request that is under way, an address must be one
// that a machine can have, and a lease lasts for a minute at least, so that nobody can
// make the client talk without end.
package dhcp

import (
	"net/netip"
	"time"
)

// Lease is what a server has given.
type Lease struct {
	Address netip.Prefix
	Server  netip.Addr
	Routers []netip.Addr
	Routes  []Route
	DNS     []netip.Addr
	NTP     []netip.Addr
	Domain  string
	MTU     int // 0: not said
	// Renew, Rebind and Ends are when the client asks its server for more time, when it
	// asks any server, and when the lease is over.
	Renew, Rebind, Ends time.Time
}

// Event is what has changed by a step.
type Event uint8

// Events.
const (
	Nothing  Event = iota
	Bound          // there is a lease, another one than before
	Renewed        // the lease goes on
	Lost           // there is none any more
	Unheard        // nobody answers; the client goes on asking
	Declined       // the address that was offered is somebody else's
)

// Out is what a step asks for.
type Out struct {
	Event Event
	// Send is a message to send, nil if none; to To, or to everybody if that is not valid.
	Send []byte
	To   netip.Addr
	// Next is when the next step is due, without a message.
	Next time.Time
}

type state uint8

const (
	selecting  state = iota // for offers
	requesting              // what was offered, or what we had
	bound
	renewing
	rebinding
)

// Waiting times.
const (
	first      = 2 * time.Second // for the first answer; twice as long for each next one
	longest    = 64 * time.Second
	unheard    = 3 // so many unanswered messages are told
	requests   = 4 // so many, and what was offered is given up
	minRenewal = time.Minute
	minLease   = time.Minute
	forever    = 1<<32 - 1
)

// Client asks for an address. It starts with the first Step.
type Client struct {
	MAC  [6]byte
	Host string
	// Random is any number.
	Random func() uint32

	state state
	xid   uint32
	begin time.Time // of asking
	due   time.Time
	tries int
	told  bool // of Unheard
	offer Message
	lease *Lease
	had   *Lease // that it asks for again; the address is used meanwhile
}

// Lease returns what the client has, nil if nothing.
func (c *Client) Lease() *Lease { return c.lease }

// Restart asks again for what the client had, or anew if it had nothing: the cable may
// have been put elsewhere ("Reuse of a previously allocated network address").
func (c *Client) Restart(now time.Time) {
	if c.lease != nil {
		c.had = c.lease
	}
	c.lease, c.told = nil, false
	c.start(now, selecting)
	if c.had != nil {
		c.offer = Message{Yours: c.had.Address.Addr()}
		c.state = requesting
	}
}

// Refuse gives the lease back, since somebody else has the address, and starts anew.
func (c *Client) Refuse(now time.Time) (out Out) {
	if c.lease == nil {
		return Out{Next: c.due}
	}
	m := c.message(Decline, now)
	m.Requested, m.Server = c.lease.Address.Addr(), c.lease.Server
	c.lease = nil
	c.start(now, selecting)
	c.due = now.Add(10 * time.Second) // as RFC 2131 has it
	return Out{Event: Declined, Send: m.Marshal(), Next: c.due}
}

// start begins to ask.
func (c *Client) start(now time.Time, s state) {
	c.state, c.xid, c.begin, c.due, c.tries = s, c.Random(), now, now, 0
}

// Step does what is due now; in is a message that has come, or nil.
func (c *Client) Step(now time.Time, in []byte) Out {
	if c.xid == 0 && c.tries == 0 && c.begin.IsZero() {
		c.start(now, selecting)
	}
	out := Out{}
	if m, err := Parse(in); err == nil && m.Reply && m.XID == c.xid && m.MAC == c.MAC {
		out = c.receive(now, m)
	}
	if out.Event == Nothing {
		if e := c.expire(now); e != Nothing {
			out.Event = e
		}
	}
	if !now.Before(c.due) {
		next := c.send(now)
		next.Event = out.Event
		if next.Event == Nothing && c.tries > unheard && !c.told && c.lease == nil {
			next.Event, c.told = Unheard, true
		}
		out = next
	}
	out.Next = c.due
	return out
}

// expire moves from state to state as time goes on.
func (c *Client) expire(now time.Time) Event {
	l := c.lease
	switch {
	case l == nil:
		if c.had != nil && !now.Before(c.had.Ends) {
			c.had, c.told = nil, false
			return Lost
		}
		if c.state == requesting && c.tries >= requests && !now.Before(c.due) {
			begin := c.begin
			c.start(now, selecting)
			c.begin = begin
			c.tries = unheard // who offers and does not keep it is as good as nobody
		}
	case !now.Before(l.Ends):
		c.lease, c.told = nil, false
		c.start(now, selecting)
		return Lost
	case c.state != rebinding && !now.Before(l.Rebind):
		c.start(now, rebinding)
	case c.state == bound && !now.Before(l.Renew):
		c.start(now, renewing)
	}
	return Nothing
}

// send makes the message of the state, and says when it is due again.
func (c *Client) send(now time.Time) (out Out) {
	m := c.message(Request, now)
	switch c.state {
	case selecting:
		m.Kind = Discover
	case requesting:
		m.Requested, m.Server = c.offer.Yours, c.offer.Server
	case renewing:
		m.Client, out.To = c.lease.Address.Addr(), c.lease.Server
	case rebinding:
		m.Client = c.lease.Address.Addr()
	case bound:
		c.due = c.lease.Renew
		return out
	}
	out.Send = m.Marshal()
	c.tries++
	c.due = now.Add(c.wait(now))
	return out
}

// wait is how long to wait for an answer to the message that was just sent.
func (c *Client) wait(now time.Time) time.Duration {
	if c.state == renewing || c.state == rebinding {
		end := c.lease.Rebind
		if c.state == rebinding {
			end = c.lease.Ends
		}
		// Half of what is left, a minute at least, and never beyond it.
		return min(max(end.Sub(now)/2, minRenewal), max(end.Sub(now), time.Second))
	}
	d := min(first<<min(c.tries-1, 8), longest)
	// Up to a second more or less, so that machines that start together do not ask together.
	return d - time.Second/2 + time.Duration(c.Random()%1000)*time.Millisecond
}

// message is one from us, without what depends on the state.
func (c *Client) message(k Kind, now time.Time) *Message {
	return &Message{
		XID: c.xid, Seconds: uint16(min(now.Sub(c.begin)/time.Second, 0xffff)), MAC: c.MAC, Kind: k, Host: c.Host, asks: k != Decline,
	}
}

// receive takes an answer to the request that is under way.
func (c *Client) receive(now time.Time, m *Message) (out Out) {
	switch {
	case m.Kind == Offer && c.state == selecting && c.tries > 0 && usable(m.Yours) && m.Server.IsValid():
		xid, begin := c.xid, c.begin
		c.start(now, requesting)
		c.xid, c.begin, c.offer = xid, begin, *m
	case c.state == selecting || c.state == bound || c.tries == 0:
	case m.Kind == Nak:
		out.Event = Nothing
		if c.lease != nil || c.had != nil {
			out.Event = Lost
		}
		c.lease, c.had, c.told = nil, nil, false
		c.start(now, selecting)
		c.due = now.Add(first) // not at once: this could go on
	case m.Kind == Ack && usable(m.Yours) && (c.lease == nil || m.Yours == c.lease.Address.Addr()):
		out.Event = Bound
		if c.lease != nil {
			out.Event = Renewed
		}
		c.accept(now, m)
	}
	return out
}

// accept takes the lease of an answer.
func (c *Client) accept(now time.Time, m *Message) {
	bits := m.Mask
	if bits == 0 || bits > 32 {
		bits = 24
	}
	d := max(m.Time, minLease)
	if m.Time/time.Second == forever || m.Time == 0 {
		d = 100 * 365 * 24 * time.Hour
	}
	renew, rebind := m.Renew, m.Rebind
	if renew < minLease/2 || renew >= d {
		renew = d / 2
	}
	if rebind <= renew || rebind >= d {
		rebind = max(d/8*7, renew)
	}
	server := m.Server
	if !server.IsValid() && c.lease != nil {
		server = c.lease.Server
	}
	// The time counts from when the request was sent, at the latest.
	c.lease = &Lease{
		Address: netip.PrefixFrom(m.Yours, bits), Server: server, Routers: m.Routers, Routes: m.Routes, DNS: m.DNS, NTP: m.NTP, Domain: m.Domain,
		MTU: m.MTU, Renew: now.Add(renew), Rebind: now.Add(rebind), Ends: now.Add(d),
	}
	c.had = nil
	c.state, c.due, c.told = bound, c.lease.Renew, false
}

// usable reports whether a machine can have the address.
func usable(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.As4()[0] < 224
}
