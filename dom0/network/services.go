// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"ringo/dom0/network/names"
)

// Bounds of what guests ask of dom0.
const (
	dnsAnswer  = 5 * time.Second // to a query that is asked elsewhere
	dnsTry     = 2 * time.Second // of one server
	dnsIdle    = 10 * time.Second
	dnsMost    = 4096 // bytes of a message by UDP
	dnsStreams = 32   // connections, of all guests
	dnsShare   = 4    // and of one
)

// services are the servers at the gateway's address, but for DHCP.
type services struct {
	g     *Gateway
	names *names.Server
	time  *gonet.UDPConn
	dns   *gonet.UDPConn
	tcp   *gonet.TCPListener

	mu    sync.Mutex
	conns map[net.Conn]netip.Addr
}

// serve begins to answer guests.
func (g *Gateway) serve() (err error) {
	s := &g.services
	s.g, s.conns = g, map[net.Conn]netip.Addr{}
	s.names = names.New(names.Config{
		Domain: g.opt.Domain, Inside: g.opt.Address.Masked(), Lookup: g.leases.Lookup, Host: g.leases.Host, Ask: g.n.askDNS,
	})
	at := func(port uint16) tcpip.FullAddress {
		return tcpip.FullAddress{NIC: g.inside.id, Addr: ip4(g.us), Port: port}
	}
	dns, ntp := at(portDNS), at(portNTP)
	if s.dns, err = gonet.DialUDP(g.n.stack, &dns, nil, ipv4.ProtocolNumber); err != nil {
		return fmt.Errorf("DNS for guests: %w", err)
	}
	if s.time, err = gonet.DialUDP(g.n.stack, &ntp, nil, ipv4.ProtocolNumber); err != nil {
		return fmt.Errorf("NTP for guests: %w", err)
	}
	if s.tcp, err = gonet.ListenTCP(g.n.stack, dns, ipv4.ProtocolNumber); err != nil {
		return fmt.Errorf("DNS for guests: %w", err)
	}
	g.done.Go(s.packets)
	g.done.Go(s.streams)
	g.done.Go(s.clock)
	return nil
}

// end closes what serve has opened.
func (s *services) end() {
	if s.dns != nil {
		_ = s.dns.Close()
	}
	if s.time != nil {
		_ = s.time.Close()
	}
	if s.tcp != nil {
		_ = s.tcp.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// guestOf is who is at an address of a connection.
func guestOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

// packets answers DNS by UDP.
func (s *services) packets() {
	b := make([]byte, dnsMost)
	for {
		n, from, err := s.dns.ReadFrom(b)
		if err != nil {
			return
		}
		answer, done := s.names.Local(b[:n])
		if done {
			if answer != nil {
				_, _ = s.dns.WriteTo(answer, from)
			}
			continue
		}
		guest := guestOf(from)
		if !s.names.Begin(guest) {
			continue // it asks again
		}
		query := append([]byte(nil), b[:n]...)
		s.g.done.Go(func() {
			defer s.names.End(guest)
			_, _ = s.dns.WriteTo(s.forward(query, false), from)
		})
	}
}

// forward has a query asked elsewhere.
func (s *services) forward(query []byte, tcp bool) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), dnsAnswer)
	defer cancel()
	return s.names.Forward(ctx, query, tcp)
}

// streams answers DNS by TCP.
func (s *services) streams() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		from := c.RemoteAddr() // nil if the guest has ended it already
		guest, mine := guestOf(from), 0
		s.mu.Lock()
		for _, o := range s.conns {
			if o == guest {
				mine++
			}
		}
		full := len(s.conns) >= dnsStreams || mine >= dnsShare
		if !full {
			s.conns[c] = guest
		}
		s.mu.Unlock()
		if full {
			s.abort(c, from)
			continue
		}
		s.g.done.Go(func() {
			s.stream(c, guest)
			s.abort(c, from)
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// abort ends a connection with from at once: one that is only closed is kept until the
// guest has answered, which it need not.
func (s *services) abort(c net.Conn, from net.Addr) {
	_ = c.Close()
	a, ok := from.(*net.TCPAddr)
	if !ok {
		return
	}
	p := a.AddrPort()
	id := stack.TransportEndpointID{LocalPort: portDNS, LocalAddress: ip4(s.g.us), RemotePort: p.Port(), RemoteAddress: address(p.Addr().Unmap())}
	e := s.g.n.stack.FindTransportEndpoint(ipv4.ProtocolNumber, tcp.ProtocolNumber, id, s.g.inside.id)
	if t, ok := e.(*tcp.Endpoint); ok && t.EndpointState() != tcp.StateListen { // the listener has what no connection has
		t.Abort()
	}
}

// stream answers the queries of one connection, one after the other.
func (s *services) stream(c net.Conn, guest netip.Addr) {
	for {
		_ = c.SetDeadline(time.Now().Add(dnsIdle))
		query, err := readDNS(c, dnsMost)
		if err != nil {
			return
		}
		answer, done := s.names.Local(query)
		if !done {
			if !s.names.Begin(guest) {
				return
			}
			answer = s.forward(query, true)
			s.names.End(guest)
		}
		if answer == nil || writeDNS(c, answer) != nil {
			return
		}
	}
}

var errLong = errors.New("a DNS message is too long")

// readDNS reads a message of a stream: its length is in front of it.
func readDNS(r io.Reader, most int) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(be.Uint16(head[:]))
	if n > most {
		return nil, errLong
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeDNS(w io.Writer, b []byte) error {
	if len(b) > 0xffff {
		return errLong
	}
	_, err := w.Write(append(be.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// askDNS asks dom0's servers, one after the other, until one answers.
func (n *Network) askDNS(ctx context.Context, query []byte, tcp bool) (answer []byte, err error) {
	err = errNoServer
	for _, a := range n.DNS() {
		one, cancel := context.WithTimeout(ctx, dnsTry)
		answer, err = n.askOne(one, a, query, tcp)
		cancel()
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
	}
	return nil, err
}

func (n *Network) askOne(ctx context.Context, server netip.Addr, query []byte, tcp bool) ([]byte, error) {
	proto := "udp"
	if tcp {
		proto = "tcp"
	}
	c, err := n.dial(ctx, proto, netip.AddrPortFrom(server, portDNS))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	if tcp {
		if err := writeDNS(c, query); err != nil {
			return nil, err
		}
		return readDNS(c, 0xffff)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	b := make([]byte, dnsMost)
	k, err := c.Read(b)
	return b[:k], err
}

// clock answers NTP.
func (s *services) clock() {
	b := make([]byte, 512)
	for {
		n, from, err := s.time.ReadFrom(b)
		if err != nil {
			return
		}
		if a := ntpAnswer(b[:n], time.Now()); a != nil {
			_, _ = s.time.WriteTo(a, from)
		}
	}
}

// The header of NTP (RFC 5905, "Packet Header Variables"), and who answers: a server
// whose stratum is low enough to be believed, and so high that any other one counts more.
const (
	ntpLen     = 48
	ntpClient  = 3
	ntpServer  = 4
	ntpStratum = 10
	ntpEpoch   = 2208988800 // 1970, in seconds since 1900
)

// ntpAnswer is a server's answer to a client's packet that came now, nil if it is none.
func ntpAnswer(b []byte, now time.Time) []byte {
	if len(b) < ntpLen {
		return nil
	}
	version := b[0] >> 3 & 7
	if b[0]&7 != ntpClient || version < 3 || version > 4 {
		return nil
	}
	stamp := func(t time.Time) uint64 {
		return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/1e9
	}
	a := make([]byte, ntpLen)
	a[0], a[1], a[2], a[3] = version<<3|ntpServer, ntpStratum, b[2], 0xec // 2^-20 s
	be.PutUint32(a[8:], 1<<16/100)                                        // root dispersion: 10 ms
	copy(a[12:], "LOCL")
	be.PutUint64(a[16:], stamp(now))
	copy(a[24:32], b[40:48])
	be.PutUint64(a[32:], stamp(now))
	be.PutUint64(a[40:], stamp(now))
	return a
}
