// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

var errNoServer = errors.New("no DNS server is known")

// DNS are the servers to ask: those that the command line says, then DHCP's, then those
// that routers tell of.
func (n *Network) DNS() (all []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	add := func(a netip.Addr) {
		if a.IsValid() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, s := range n.opt.Settings {
		for _, a := range s.DNS {
			add(a)
		}
	}
	for _, i := range n.cards {
		if i.lease != nil {
			for _, a := range i.lease.DNS {
				add(a)
			}
		}
	}
	now := n.clock.Now()
	for _, i := range n.cards {
		for _, s := range i.advertised {
			if now.Before(s.end) {
				add(s.addr)
			}
		}
	}
	return all
}

// Resolver looks up names, by the servers that there are at the time.
func (n *Network) Resolver() *net.Resolver {
	var turn atomic.Uint32 // it asks for both kinds of addresses at once
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, proto, _ string) (net.Conn, error) {
		all := n.DNS()
		if len(all) == 0 {
			return nil, errNoServer
		}
		// The resolver tries again when there is no answer: then it is the next one's turn.
		a := all[(turn.Add(1)-1)%uint32(len(all))]
		return n.dial(ctx, proto, netip.AddrPortFrom(a, 53))
	}}
}

// Lookup returns the addresses of a host, which may be an address itself.
func (n *Network) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	all, err := n.Resolver().LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			return nil, fmt.Errorf("%q: %s", host, dns.Err)
		}
		return nil, err
	}
	// IPv4 first, as long as IPv6 may be there and lead nowhere.
	slices.SortStableFunc(all, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	for k := range all {
		all[k] = all[k].Unmap()
	}
	return all, nil
}

// connectTime is how long a connection may take to each of a host's addresses.
const connectTime = 10 * time.Second

// Dial connects to an address as the standard library's net.Dial does; "tcp" and "udp".
func (n *Network) Dial(ctx context.Context, proto, addr string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is no port", service)
	}
	all, err := n.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("%q has no address", host)
	for _, a := range all {
		var c net.Conn
		one, cancel := context.WithTimeout(ctx, connectTime)
		c, err = n.dial(one, proto, netip.AddrPortFrom(a, uint16(port)))
		cancel()
		if err == nil {
			return c, nil
		}
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = fmt.Errorf("%v does not answer", netip.AddrPortFrom(a, uint16(port)))
		}
	}
	return nil, err
}

func (n *Network) dial(ctx context.Context, proto string, to netip.AddrPort) (net.Conn, error) {
	full := tcpip.FullAddress{Addr: address(to.Addr()), Port: to.Port()}
	var c net.Conn
	var err error
	if proto[:3] == "udp" {
		c, err = gonet.DialUDP(n.stack, nil, &full, protocol(to.Addr()))
	} else {
		c, err = gonet.DialContextTCP(ctx, n.stack, full, protocol(to.Addr()))
	}
	if err != nil {
		return nil, plain(err, to)
	}
	return c, nil
}

// plain takes the names of the library's layers out of an error.
func plain(err error, to netip.AddrPort) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return fmt.Errorf("%v: %w", to, op.Err)
	}
	return err
}

// maxHeader is how long what an HTTP server says before a file may be: by default that
// would be as much as some machines have left.
const maxHeader = 64 << 10

// Client is an HTTP client over the network.
func (n *Network) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: n.Dial, DialTLSContext: n.dialSecure, ResponseHeaderTimeout: 30 * time.Second, MaxResponseHeaderBytes: maxHeader, DisableCompression: true, DisableKeepAlives: true,
	}}
}
