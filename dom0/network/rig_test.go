// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/dom0/network/dhcp"
	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// wait is how long a test waits for what must come, on a machine that does other things.
const wait = time.Minute

// rig is a network of ours, and another one at the other end of the wire, with a DHCP
// server.
type rig struct {
	t           *testing.T
	us, them    *Network
	card, other *nictest.Card

	mu     sync.Mutex
	lines  []string
	silent bool          // the DHCP server says nothing
	lease  time.Duration // of the server
	acks   int
	taken  map[netip.Addr]bool // addresses that were declined
}

var (
	hostAddr = netip.MustParseAddr("10.0.2.2")
	ourAddr  = netip.MustParseAddr("10.0.2.15")
	nextAddr = netip.MustParseAddr("10.0.2.16")
)

// newRig returns a rig that ends with the test.
func newRig(t *testing.T, info nic.Info, opt Options, change func(r *rig)) *rig {
	r := makeRig(t, info, opt, change)
	t.Cleanup(func() { r.us.Close(); r.them.Close() })
	return r
}

func makeRig(t *testing.T, info nic.Info, opt Options, change func(r *rig)) *rig {
	r := &rig{t: t, lease: time.Hour, taken: map[netip.Addr]bool{}}
	r.card, r.other = nictest.Wire(info)
	opt.Hostname = "ringo"
	opt.Log = func(line string) {
		r.mu.Lock()
		r.lines = append(r.lines, line)
		r.mu.Unlock()
	}
	if change != nil {
		change(r)
	}
	r.card.Tap(r.serve)
	r.us = New(opt)
	r.them = New(Options{Settings: []Setting{{Device: "net0", Address: netip.PrefixFrom(hostAddr, 24)}}})
	if _, err := r.them.Add("net0", r.other); err != nil {
		t.Fatal(err)
	}
	if _, err := r.us.Add("net0", r.card); err != nil {
		t.Fatal(err)
	}
	return r
}

// serve is the DHCP server: it sees what we send, and answers in the host's name.
func (r *rig) serve(b []byte) []byte {
	const head = header.EthernetMinimumSize + header.IPv4MinimumSize
	if len(b) < head+header.UDPMinimumSize || header.Ethernet(b).Type() != header.IPv4ProtocolNumber {
		return b
	}
	if udp := header.UDP(b[head:]); b[23] != 17 || udp.DestinationPort() != dhcpServer {
		return b
	}
	m, err := dhcp.Parse(b[head+header.UDPMinimumSize:])
	if err != nil {
		r.t.Errorf("%v: %x", err, b)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := ourAddr
	if r.taken[a] {
		a = nextAddr
	}
	reply := &dhcp.Message{
		Reply: true, XID: m.XID, MAC: m.MAC, Server: hostAddr, Yours: a, Mask: 24, Time: r.lease,
		Routers: []netip.Addr{hostAddr}, DNS: []netip.Addr{hostAddr}, NTP: []netip.Addr{hostAddr},
	}
	switch m.Kind {
	case dhcp.Discover:
		reply.Kind = dhcp.Offer
	case dhcp.Request:
		reply.Kind = dhcp.Ack
		r.acks++
	case dhcp.Decline:
		r.taken[m.Requested] = true
		return nil
	}
	if !r.silent {
		r.inject(reply.Marshal())
	}
	return nil
}

// inject sends us a DHCP message, as if it came from the host.
func (r *rig) inject(payload []byte) {
	mac := r.other.Info().MAC
	b := dhcpFrame(mac, r.card.Info().MAC, hostAddr, netip.Addr{}, payload)
	udp := header.UDP(b[header.EthernetMinimumSize+header.IPv4MinimumSize:])
	udp.Encode(&header.UDPFields{SrcPort: dhcpServer, DstPort: dhcpClient, Length: uint16(len(udp))}) // no checksum
	r.card.Inject(b)
}

// eventually waits until f is true.
func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	for end := time.Now().Add(wait); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("not within %v: %s\n%s", wait, what, strings.Join(r.lines, "\n"))
		}
	}
}

// said reports whether a line with a text was logged.
func (r *rig) said(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if strings.Contains(l, text) {
			return true
		}
	}
	return false
}

// address is the card's IPv4 address.
func (r *rig) address() netip.Prefix {
	r.us.mu.Lock()
	defer r.us.mu.Unlock()
	return r.us.cards[0].v4.Prefix
}

// ready waits until we have an address and the way to the other end.
func (r *rig) ready() {
	r.t.Helper()
	r.eventually("an address", func() bool { return r.address().IsValid() })
	r.eventually("an answer to ping", func() bool { return r.ping(hostAddr) == nil })
}

func (r *rig) ping(to netip.Addr) error {
	p, err := r.us.NewPinger(to, 56)
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err = p.Once(ctx)
	return err
}

// frame is an Ethernet frame to us.
func (r *rig) frame(to nic.MAC, proto tcpip.NetworkProtocolNumber, payload []byte) []byte {
	from := r.other.Info().MAC
	b := make([]byte, header.EthernetMinimumSize+len(payload))
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: tcpip.LinkAddress(from[:]), DstAddr: tcpip.LinkAddress(to[:]), Type: proto})
	copy(b[header.EthernetMinimumSize:], payload)
	return b
}
