// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"ringo/drivers/nic"
)

// offloads are the kinds of cards that there are.
var offloads = map[string]nic.Info{
	"plain":    {},
	"offloads": {Checksum: true, Segment: true, MaxSegmented: 64 << 10, Verifies: true},
	"verifies": {Verifies: true},
}

// TestTransfers moves data over TCP, both ways, over all kinds of cards, and over a wire
// that loses frames.
func TestTransfers(t *testing.T) {
	for name, info := range offloads {
		for _, loss := range []int{0, 200} {
			t.Run(fmt.Sprintf("%s, loss of one in %d", name, loss), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, info, Options{}, nil)
				r.ready()
				size := 8 << 20
				if loss > 0 {
					size = 512 << 10
					lose(r, loss)
				}
				transfer(t, r, size)
				if info.Segment && loss == 0 {
					// Far fewer frames were given to the card than went over the wire.
					if c := r.card.Counters(); c.TxFrames < uint64(size)/nic.MTU {
						t.Errorf("%d frames of %d bytes", c.TxFrames, size)
					}
				}
			})
		}
	}
}

// lose has the wire lose one of so many frames, both ways.
func lose(r *rig, one int) {
	rnd := rand.New(rand.NewPCG(1, uint64(one)))
	drop := func(b []byte) []byte {
		r.mu.Lock()
		defer r.mu.Unlock()
		if rnd.IntN(one) == 0 {
			return nil
		}
		return b
	}
	r.card.Tap(drop)
	r.other.Tap(drop)
}

// transfer sends what comes in back, and compares the sums.
func transfer(t *testing.T, r *rig, size int) {
	t.Helper()
	l, err := gonet.ListenTCP(r.them.stack, tcpip.FullAddress{Port: 7}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	c, err := r.us.Dial(context.Background(), "tcp", "10.0.2.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	sent, got := sha256.New(), sha256.New()
	go func() {
		_, _ = io.CopyN(io.MultiWriter(c, sent), rand.NewChaCha8([32]byte{7}), int64(size))
		_ = c.(*gonet.TCPConn).CloseWrite()
	}()
	if n, err := io.Copy(got, c); err != nil || n != int64(size) {
		t.Fatalf("%d bytes: %v", n, err)
	}
	if a, b := fmt.Sprintf("%x", sent.Sum(nil)), fmt.Sprintf("%x", got.Sum(nil)); a != b {
		t.Errorf("sent %s, got %s", a, b)
	}
}

// TestHTTP fetches by a name that DNS knows, and is told when there is no such name, no
// such server, and no such port.
func TestHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	serveDNS(t, r)
	l, err := gonet.ListenTCP(r.them.stack, tcpip.FullAddress{Port: 80}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/long" {
				w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
			}
			fmt.Fprintf(w, "%s %s", q.Host, q.URL.Path)
		}))
	}()
	defer l.Close()
	r.ready()
	if _, _, err := r.us.Get(context.Background(), "http://files.test/long"); err == nil || !strings.Contains(err.Error(), "exceeded 65536 bytes") {
		t.Errorf("a server that says too much: %v", err)
	}
	resp, err := r.us.Client().Get("http://files.test/kernel")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(b) != "files.test /kernel" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	for url, want := range map[string]string{
		"http://nobody.test/":   `Get "http://nobody.test/": "nobody.test": no such host`,
		"http://10.0.2.2:81/":   `Get "http://10.0.2.2:81/": 10.0.2.2:81: connection was refused`,
		"http://files.test:99/": `Get "http://files.test:99/": 10.0.2.2:99: connection was refused`,
	} {
		if _, err := r.us.Client().Get(url); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

// TestHTTPS fetches from a server that is who it says, and from none that is not.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	own := httptest.NewUnstartedServer(nil) // for its certificate, of example.com
	own.StartTLS()
	pair := own.TLS.Certificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(own.Certificate())
	own.Close()
	for _, c := range []struct {
		roots      *x509.CertPool
		host, want string
	}{
		{roots, "example.com", ""},
		{roots, "10.0.2.2", "10.0.2.2: the server's certificate is not for this name"},
		{nil, "example.com", "unknown authority"},
	} {
		r := newRig(t, nic.Info{}, Options{Roots: c.roots}, nil)
		serveDNS(t, r)
		l, err := gonet.ListenTCP(r.them.stack, tcpip.FullAddress{Port: 443}, ipv4.ProtocolNumber)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.TLS.ServerName) }), ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = s.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})) }()
		t.Cleanup(func() { s.Close() })
		r.ready()
		body, _, err := r.us.Get(context.Background(), "https://"+c.host+"/x")
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.host, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		body.Close()
		if string(b) != c.host || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	if publicRoots().Equal(x509.NewCertPool()) {
		t.Error("no public authorities")
	}
}

// TestRenewals is the whole of a card's life with a lease that is renewed a thousand
// times.
func TestRenewals(t *testing.T) {
	t.Parallel()
	clock := faketime.NewManualClock()
	r := newRig(t, nic.Info{}, Options{Clock: clock}, nil)
	r.eventually("an address", func() bool { return r.address().Addr() == ourAddr })
	for i := range 1000 {
		r.mu.Lock()
		before := r.acks
		r.mu.Unlock()
		clock.Advance(r.lease / 2)
		r.eventually(fmt.Sprintf("renewal %d", i), func() bool {
			r.mu.Lock()
			n := r.acks
			r.mu.Unlock()
			r.us.mu.Lock()
			defer r.us.mu.Unlock()
			l := r.us.cards[0].lease
			return n > before && l != nil && !l.Renew.Before(clock.Now().Add(r.lease/2))
		})
	}
	if r.address().Addr() != ourAddr {
		t.Error(r.address())
	}
	if n := runtime.NumGoroutine(); n > 200 {
		t.Errorf("%d goroutines", n)
	}
}

// TestNoAnswer: nobody has an address for us. There is one line, and a link-local one;
// and an address when somebody has.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	clock := faketime.NewManualClock()
	r := newRig(t, nic.Info{}, Options{Clock: clock}, func(r *rig) { r.silent = true })
	r.eventually("a link-local address", func() bool {
		clock.Advance(time.Second)
		return r.address().IsValid()
	})
	if a := r.address(); !a.Addr().IsLinkLocalUnicast() || a.Bits() != 16 {
		t.Error(a)
	}
	r.eventually("the line", func() bool { return r.said("no DHCP answer: 169.254.") })
	for range 600 {
		clock.Advance(time.Second)
	}
	r.mu.Lock()
	if len(r.lines) != 1 {
		t.Errorf("%q", r.lines)
	}
	r.silent = false
	r.mu.Unlock()
	r.eventually("an address", func() bool {
		clock.Advance(time.Second)
		return r.address().Addr() == ourAddr
	})
}

// TestTaken: somebody has the address that the server gives us.
func TestTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	r.them.cards[0].add(netip.PrefixFrom(ourAddr, 24))
	r.eventually("the line", func() bool { return r.said("somebody else has 10.0.2.15") })
	r.eventually("another address", func() bool { return r.address().Addr() == nextAddr })
}

// TestStatic has the address that the command line says, and the link that goes and
// comes.
func TestStatic(t *testing.T) {
	t.Parallel()
	all, _, errs := ParseSettings([]string{"ip=10.0.2.9/24,gw=10.0.2.2,dns=10.0.2.2"})
	if errs != nil {
		t.Fatal(errs)
	}
	r := newRig(t, nic.Info{}, Options{Settings: all}, func(r *rig) { r.silent = true })
	r.ready()
	if r.address().Addr().String() != "10.0.2.9" || r.said("DHCP") {
		t.Error(r.address())
	}
	r.card.SetLink(false)
	r.eventually("the line", func() bool { return r.said("net0: no link") })
	if err := r.ping(hostAddr); err == nil {
		t.Error("an answer without a link")
	}
	r.card.SetLink(true)
	r.eventually("an answer", func() bool { return r.ping(hostAddr) == nil })
	r.card.Kill(nic.ErrGone)
	r.eventually("the line", func() bool { return r.said("the device is gone") })
}

// TestLinkComes: the cable is put in later, and taken out and put in again.
func TestLinkComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, func(r *rig) { r.card.SetLink(false) })
	if r.address().IsValid() {
		t.Error("an address without a link")
	}
	r.card.SetLink(true)
	r.ready()
	for range 50 {
		r.card.SetLink(false)
		r.card.SetLink(true)
	}
	r.eventually("an answer", func() bool { return r.ping(hostAddr) == nil })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) > linesAMinute {
		t.Errorf("%d lines", len(r.lines))
	}
}

// TestAdvertised has addresses, routes and DNS servers by a router's advertisement.
func TestAdvertised(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	r.ready()
	router := netip.MustParseAddr("fe80::5054:ff:fe00:2")
	r.eventually("an IPv6 address, a route, a DNS server", func() bool {
		r.card.Inject(r.frame(nic.MAC{0x33, 0x33, 0, 0, 0, 1}, header.IPv6ProtocolNumber, advertisement(router)))
		r.us.mu.Lock()
		routed := len(r.us.cards[0].routers) == 1 && len(r.us.cards[0].onLink) == 1
		r.us.mu.Unlock()
		dns := r.us.DNS()
		for _, a := range r.us.Interfaces()[0].Status().Addresses {
			if a.Address.String() == "2001:db8::5054:ff:fe00:1/64" && routed && len(dns) == 2 && dns[1].String() == "2001:db8::53" {
				return true
			}
		}
		return false
	})
}

// advertisement is a router's, for 2001:db8::/64, with a DNS server (RFC 4861, RFC 8106).
func advertisement(router netip.Addr) []byte {
	icmp := []byte{134, 0, 0, 0, 64, 0, 1000 >> 8, 1000 & 255, 0, 0, 0, 0, 0, 0, 0, 0}
	icmp = append(icmp, 3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0)
	p := netip.MustParseAddr("2001:db8::").As16()
	icmp = append(icmp, p[:]...)
	d := netip.MustParseAddr("2001:db8::53").As16()
	icmp = append(append(icmp, 25, 3, 0, 0, 0, 0, 0x0e, 0x10), d[:]...)
	src, dst := address(router), tcpip.AddrFrom16(netip.MustParseAddr("ff02::1").As16())
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, src, dst, uint16(len(icmp)))
	be16(icmp[2:], ^checksum.Checksum(icmp, sum))
	b := make([]byte, header.IPv6MinimumSize)
	header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(len(icmp)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 255, SrcAddr: src, DstAddr: dst})
	return append(b, icmp...)
}

func be16(b []byte, v uint16) { b[0], b[1] = byte(v>>8), byte(v) }

var _ net.Conn = (*gonet.TCPConn)(nil)

// The addresses of a card are told.
func TestMoved(t *testing.T) {
	var mu sync.Mutex
	told := map[netip.Addr]string{}
	r := newRig(t, nic.Info{}, Options{Moved: func(card string, all []netip.Addr) {
		mu.Lock()
		defer mu.Unlock()
		clear(told)
		for _, a := range all {
			told[a] = card
		}
	}}, nil)
	r.eventually("its address is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return told[ourAddr] == "net0" && len(told) == 2 // and that of IPv6's link
	})
}
