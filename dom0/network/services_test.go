// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"ringo/drivers/nic"
)

// TestServices: a guest looks up domains and the world's names, and has the time. Its own
// resolver and its own client of NTP ask.
func TestServices(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{})
	serveDNS(t, w.rig)
	if _, err := w.g.Join(nic.MAC{2, 0, 0, 0, 0, 0x33}, "db"); err != nil {
		t.Fatal(err)
	}
	leases := w.g.Leases()
	for name, want := range map[string]string{
		"web1": w.addr.String(), "web1.ringo": w.addr.String(), "db": leases[1].Address.String(),
		"nobody.ringo": "", "files.test": hostAddr.String(), "nobody.test": "",
	} {
		all, err := w.guest.Lookup(context.Background(), name)
		if want == "" && err == nil || want != "" && (err != nil || all[0].String() != want) {
			t.Errorf("%s: %v, %v, want %q", name, all, err, want)
		}
	}
	r, err := ntp.QueryWithOptions(insideNet.Addr().String(), ntp.QueryOptions{Timeout: wait, Dialer: func(_, remote string) (net.Conn, error) {
		return w.guest.Dial(context.Background(), "udp", remote)
	}})
	if err != nil || r.Validate() != nil || r.ClockOffset.Abs() > time.Minute || r.Stratum != ntpStratum {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestServicesTCP asks by TCP, several queries in one connection.
func TestServicesTCP(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{})
	l, err := gonet.ListenTCP(w.them.stack, tcpip.FullAddress{Port: 53}, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if q, err := readDNS(c, dnsMost); err == nil {
				q[2] |= 0x80 // it is an answer, without more
				_ = writeDNS(c, q)
			}
			c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	c, err := w.guest.Dial(ctx, "tcp", netip.AddrPortFrom(insideNet.Addr(), 53).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"web1.", "files.test.", "web1.ringo."} {
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: 5}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		b, _ := m.Pack()
		if err := writeDNS(c, b); err != nil {
			t.Fatal(err)
		}
		b, err := readDNS(c, dnsMost)
		if err != nil || m.Unpack(b) != nil || m.ID != 5 || !m.Response || m.RCode != 0 || len(m.Answers) == 1 != strings.HasPrefix(name, "web1") {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := readDNS(strings.NewReader("\xff\xffx"), dnsMost); err != errLong {
		t.Error(err)
	}
}

// TestNTPAnswer: what is no client's packet has no answer.
func TestNTPAnswer(t *testing.T) {
	b := make([]byte, 48)
	for first, want := range map[byte]bool{0x23: true, 0x1b: true, 0x24: false, 0x13: false, 0x2b: false, 0: false} {
		b[0] = first
		if a := ntpAnswer(b, time.Now()); (a != nil) != want {
			t.Errorf("%#x: %x", first, a)
		}
	}
	if ntpAnswer(b[:47], time.Now()) != nil || ntpAnswer(nil, time.Now()) != nil {
		t.Error("a cut packet is answered")
	}
}
