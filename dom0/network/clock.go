// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

// Clock sets the time by NTP.
type Clock struct {
	n       *Network
	servers []string // that somebody has named
	set     func(offset time.Duration)

	asking sync.Mutex // an offset is of the clock as it was when it was asked for

	mu   sync.Mutex
	last ClockState
}

// ClockState is what came of asking the last time.
type ClockState struct {
	Server string
	At     time.Time     // when the clock was set, zero if never
	Offset time.Duration // by how much
	Delay  time.Duration // to the server and back
	Err    error
}

// publicServers are asked if nobody has named others.
var publicServers = []string{"pool.ntp.org"}

// Intervals of asking.
const (
	clockSoon   = 20 * time.Second // after a failure
	clockLater  = 17 * time.Minute
	clockFirst  = time.Second // after power-on, while there is no address
	clockAnswer = 5 * time.Second
	// worthTelling is an offset that people hear of.
	worthTelling = 2 * time.Second
)

// NewClock returns a clock that set changes, by the given servers, or else by those that
// DHCP names, or else by public ones.
func (n *Network) NewClock(servers []string, set func(offset time.Duration)) *Clock {
	return &Clock{n: n, servers: servers, set: set}
}

// State is what came of asking the last time.
func (c *Clock) State() ClockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Servers are those that are asked.
func (c *Clock) Servers() []string {
	if len(c.servers) > 0 {
		return c.servers
	}
	var all []string
	for _, i := range c.n.Interfaces() {
		c.n.mu.Lock()
		if i.lease != nil {
			for _, a := range i.lease.NTP {
				all = append(all, a.String())
			}
		}
		c.n.mu.Unlock()
	}
	if len(all) == 0 {
		return publicServers
	}
	return all
}

// Run asks again and again, until the network is closed.
func (c *Clock) Run() {
	wait := clockFirst
	for told := false; ; {
		select {
		case <-c.n.quit:
			return
		case <-time.After(wait):
		}
		wait = clockFirst
		if !c.n.hasAddress() {
			continue
		}
		wait = clockSoon
		s := c.Sync(context.Background())
		if s.Err == nil {
			wait = clockLater
			if !told && s.Offset.Abs() > worthTelling {
				c.n.log("the clock was set by %v, by NTP from %s", s.Offset.Round(time.Millisecond), s.Server)
			}
			told = true
		}
	}
}

// hasAddress reports whether any card has an address that leads somewhere.
func (n *Network) hasAddress() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.cards, func(i *Interface) bool {
		return !i.inside && (i.v4.IsValid() && i.v4.origin != byNobody || i.v6.IsValid() || len(i.routers) > 0)
	})
}

var errNoAnswer = errors.New("no server has answered")

// Sync asks the servers, one after the other, and sets the clock by the first that
// answers well.
func (c *Clock) Sync(ctx context.Context) ClockState {
	c.asking.Lock()
	defer c.asking.Unlock()
	s := ClockState{Err: errNoAnswer}
	for _, server := range c.Servers() {
		r, err := c.query(ctx, server)
		if err != nil {
			s.Server, s.Err = server, fmt.Errorf("%s: %w", server, err)
			continue
		}
		c.set(r.ClockOffset)
		s = ClockState{Server: server, At: time.Now(), Offset: r.ClockOffset, Delay: r.RTT}
		break
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Err != nil {
		s.At = c.last.At
	}
	c.last = s
	return s
}

// query asks one server, and checks what it says.
func (c *Clock) query(ctx context.Context, server string) (*ntp.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, clockAnswer)
	defer cancel()
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{
		Timeout: clockAnswer,
		Dialer: func(_, remote string) (net.Conn, error) {
			return c.n.Dial(ctx, "udp", remote)
		},
	})
	if err != nil {
		return nil, err
	}
	return r, r.Validate()
}
