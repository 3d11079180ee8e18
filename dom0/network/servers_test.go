// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"ringo/drivers/nic"
)

// serveUDP answers packets to a port at the other end by f.
func serveUDP(t *testing.T, r *rig, port uint16, f func(b []byte) []byte) {
	c, err := gonet.DialUDP(r.them.stack, &tcpip.FullAddress{Port: port}, nil, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := f(b[:n]); answer != nil {
				_, _ = c.WriteTo(answer, from)
			}
		}
	}()
}

// serveDNS is a server that knows files.test and time.test.
func serveDNS(t *testing.T, r *rig) {
	serveUDP(t, r, 53, func(b []byte) []byte {
		var m dnsmessage.Message
		if m.Unpack(b) != nil || len(m.Questions) != 1 {
			return nil
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		name := strings.TrimSuffix(q.Name.String(), ".")
		switch {
		case name != "files.test" && name != "time.test" && name != "example.com":
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: hostAddr.As4()},
			}}
		}
		out, _ := m.Pack()
		return out
	})
}

// TestClock sets the clock by a server that DHCP names, and by one that is named; one
// that says that it does not know the time is not believed.
func TestClock(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	serveDNS(t, r)
	const ahead = 1000 * time.Hour
	stratum := byte(2)
	serveUDP(t, r, 123, func(b []byte) []byte {
		return timeAnswer(b, ahead, stratum)
	})
	r.ready()
	var set time.Duration
	for _, servers := range [][]string{nil, {"time.test"}, {"nobody.test", "time.test"}} {
		c := r.us.NewClock(servers, func(offset time.Duration) { set = offset })
		s := c.Sync(context.Background())
		if s.Err != nil || s.Offset != set || (set-ahead).Abs() > time.Minute || c.State() != s {
			t.Errorf("%v: %+v, set by %v", servers, s, set)
		}
		set = 0
	}
	stratum = 16
	c := r.us.NewClock(nil, func(offset time.Duration) { set = offset })
	if s := c.Sync(context.Background()); s.Err == nil || set != 0 {
		t.Errorf("%+v, set by %v", s, set)
	}
}

// TestClockTurns has several ask at once. Who asks while another one sets the clock would
// get an offset of a clock that is no more: so each sets it before the next one asks.
func TestClockTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	events := make(chan string, 100)
	serveUDP(t, r, 123, func(b []byte) []byte {
		events <- "asked"
		return timeAnswer(b, time.Hour, 2)
	})
	r.ready()
	c := r.us.NewClock(nil, func(time.Duration) {
		time.Sleep(10 * time.Millisecond) // time enough for others to ask, if they may
		events <- "set"
	})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if s := c.Sync(context.Background()); s.Err != nil {
				t.Error(s.Err)
			}
		})
	}
	all.Wait()
	for range 10 {
		if a, b := <-events, <-events; a != "asked" || b != "set" {
			t.Fatalf("%s, %s", a, b)
		}
	}
}

// timeAnswer is what a server says to b that is so much ahead of us.
func timeAnswer(b []byte, ahead time.Duration, stratum byte) []byte {
	a := make([]byte, 48)
	a[0], a[1], a[2], a[3] = 4<<3|4, stratum, 6, 0xec
	now := ntpTime(time.Now().Add(ahead))
	binary.BigEndian.PutUint64(a[16:], now)
	copy(a[24:32], b[40:48])
	binary.BigEndian.PutUint64(a[32:], now)
	binary.BigEndian.PutUint64(a[40:], now)
	copy(a[12:16], "TEST")
	return a
}

// ntpTime is t as NTP has it: seconds since 1900, and their fraction.
func ntpTime(t time.Time) uint64 {
	return uint64(t.Unix()+2208988800)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// TestSettings reads what may stand on the command line.
func TestSettings(t *testing.T) {
	for word, want := range map[string]string{
		"ip=dhcp":                         "",
		"ip=none":                         "",
		"ip=10.0.0.2/24":                  "",
		"ip=2001:db8::2/64,gw=fe80::1":    "",
		"ip=10.0.0.2/24,dns=1.1.1.1":      "",
		"ip=dhcp,dev=net1":                "",
		"ip=10.0.0.2":                     "ip=10.0.0.2: \"10.0.0.2\" is no address with the length of its prefix, such as 10.0.0.2/24, nor dhcp or none",
		"ip=":                             "ip=: \"\" is no address with the length of its prefix, such as 10.0.0.2/24, nor dhcp or none",
		"ip=224.0.0.1/4":                  "ip=224.0.0.1/4: 224.0.0.1 is no address that a machine can have",
		"ip=10.0.0.2/24,gw=x":             "ip=10.0.0.2/24,gw=x: ParseAddr(\"x\"): unable to parse IP",
		"ip=10.0.0.2/24,gw=fe80::1":       "ip=10.0.0.2/24,gw=fe80::1: fe80::1 is of another kind than 10.0.0.2/24",
		"ip=10.0.0.2/24,gateway=10.0.0.1": "ip=10.0.0.2/24,gateway=10.0.0.1: unknown key \"gateway\": use gw, dns or dev",
		"ip=dhcp,gw=10.0.0.1":             "ip=dhcp,gw=10.0.0.1: a gateway without an address",
	} {
		all, _, errs := ParseSettings([]string{"nosmp", word})
		if want == "" && (len(errs) != 0 || len(all) != 1) || want != "" && (len(errs) != 1 || errs[0].Error() != want || len(all) != 0) {
			t.Errorf("%s: %+v, %v", word, all, errs)
		}
	}
	all, ntp, errs := ParseSettings(strings.Fields("ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.1,dns=10.0.0.3,dev=net1 ntp=a.test,b.test"))
	s := all[0]
	if errs != nil || s.Device != "net1" || s.Address.String() != "10.0.0.2/24" || s.Gateway != netip.MustParseAddr("10.0.0.1") || len(s.DNS) != 2 || len(ntp) != 2 {
		t.Errorf("%+v %v %v", all, ntp, errs)
	}
}

// TestAdvertisedServers: DNS servers that routers tell of are used for as long as they say. Those
// whose time is over keep no others away.
func TestAdvertisedServers(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	r.ready()
	i := r.us.Interfaces()[0]
	known := func() int { return len(r.us.DNS()) + len(i.Status().DNS) }
	before := known()
	var all []tcpip.Address
	for n := range byte(2 * maxLearnt) {
		all = append(all, tcpip.AddrFrom16([16]byte{0xfe, 0x80, 15: n}))
	}
	a := advertised{r.us}
	a.OnRecursiveDNSServerOption(i.id, all, time.Hour)
	if n := known(); n != before+2*maxLearnt {
		t.Errorf("%d servers, %d before", n, before)
	}
	a.OnRecursiveDNSServerOption(i.id, all, 0)
	if n := known(); n != before {
		t.Errorf("%d servers whose time is over", n-before)
	}
	a.OnRecursiveDNSServerOption(i.id, []tcpip.Address{tcpip.AddrFrom16([16]byte{0xfe, 0x80, 15: 99})}, time.Hour)
	if n := known(); n != before+2 {
		t.Errorf("%d servers, %d before: want one more", n, before)
	}
}
