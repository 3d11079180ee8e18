// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/drivers/nic"
)

// TestNotAnAnswer: of an answer one thing is wrong each time. Nobody but the stack gets it.
func TestNotAnAnswer(t *testing.T) {
	us := nic.MAC{2, 0, 0, 0, 0, 1}
	n, l := new(Network), &link{info: nic.Info{MAC: us}}
	came := make(chan struct{}, 1)
	p := &Pinger{came: came, seq: 7}
	s := &shortcut{
		link: l, from: ourAddr.As4(), to: hostAddr.As4(), ident: 0x1234, payload: []byte("abcd"), want: &p.want, came: came,
	}
	n.echoes.Store(&[]*shortcut{s})
	sums := func(b []byte) {
		if len(b) >= echoHead+echoLen {
			ip := header.IPv4(b[header.EthernetMinimumSize:])
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
			m := header.ICMPv4(b[echoHead : echoHead+echoLen+4])
			m.SetChecksum(0)
			m.SetChecksum(^checksum.Checksum(m, 0))
		}
	}
	answer := func() []byte {
		b := make([]byte, 60)
		header.Ethernet(b).Encode(&header.EthernetFields{DstAddr: l.LinkAddress(), Type: header.IPv4ProtocolNumber})
		header.IPv4(b[14:]).Encode(&header.IPv4Fields{TotalLength: 32, TTL: 64, Protocol: 1, SrcAddr: address(hostAddr), DstAddr: address(ourAddr)})
		m := header.ICMPv4(b[echoHead:])
		m.SetIdent(0x1234)
		m.SetSequence(7)
		copy(m[echoLen:], "abcd")
		sums(b)
		return b
	}
	other := netip.MustParseAddr("10.0.2.9").As4()
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		sums   bool // are right again
	}{
		{"too short", func(b []byte) []byte { return b[:echoHead+echoLen-1] }, false},
		{"cut", func(b []byte) []byte { return b[:echoHead+echoLen+3] }, false},
		{"IPv6", func(b []byte) []byte { b[12], b[13] = 0x86, 0xdd; return b }, false},
		{"to another card", func(b []byte) []byte { b[5]++; return b }, false},
		{"options", func(b []byte) []byte { b[14] = 0x46; return b }, true},
		{"TCP", func(b []byte) []byte { b[23] = 6; return b }, true},
		{"a first piece", func(b []byte) []byte { b[20] |= 0x20; return b }, true},
		{"a later piece", func(b []byte) []byte { b[21] = 1; return b }, true},
		{"no message", func(b []byte) []byte { b[17] = 24; return b }, true},
		{"longer than its frame", func(b []byte) []byte { b[16] = 1; return b }, true},
		{"of another length", func(b []byte) []byte { b[17] = 33; return b }, true},
		{"sum of the header", func(b []byte) []byte { b[24]++; return b }, false},
		{"sum of the message", func(b []byte) []byte { b[36]++; return b }, false},
		{"from another", func(b []byte) []byte { copy(b[26:], other[:]); return b }, true},
		{"to another", func(b []byte) []byte { copy(b[30:], other[:]); return b }, true},
		{"a request", func(b []byte) []byte { b[34] = 8; return b }, true},
		{"code", func(b []byte) []byte { b[35] = 1; return b }, true},
		{"identifier", func(b []byte) []byte { b[38]++; return b }, true},
		{"number", func(b []byte) []byte { b[41]++; return b }, true},
		{"payload", func(b []byte) []byte { b[45]++; return b }, true},
	} {
		p.want.Store(7)
		b := c.change(answer())
		if c.sums {
			sums(b)
		}
		if n.echoed(l, &nic.Frame{Pieces: [][]byte{b}}) || len(came) != 0 {
			t.Errorf("%s: it counts as the answer", c.name)
		}
	}
	whole := &nic.Frame{Pieces: [][]byte{answer()}}
	if n.echoed(&link{info: l.info}, whole) {
		t.Error("it came by another card, and counts")
	}
	if !n.echoed(l, whole) || len(came) != 1 {
		t.Error("the answer does not count")
	}
	if n.echoed(l, whole) {
		t.Error("it counts twice")
	}
	if a := testing.AllocsPerRun(100, func() { p.want.Store(7); n.echoed(l, whole) }); a != 0 {
		t.Errorf("an answer allocates %v times", a)
	}
}

// TestBeside: requests to a neighbour that is known do not pass the stack, nor do the
// answers; those to ourselves do. What a pinger has set up is gone when it is closed.
func TestBeside(t *testing.T) {
	r := newRig(t, nic.Info{}, Options{}, nil)
	r.ready()
	requests := func() uint64 { return r.us.stack.Stats().ICMP.V4.PacketsSent.EchoRequest.Value() }
	answers := func() uint64 { return r.us.stack.Stats().ICMP.V4.PacketsReceived.EchoReply.Value() }
	p, err := r.us.NewPinger(hostAddr, 56)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	sent, came := requests(), answers()
	for range 100 {
		if took, err := p.Once(ctx); err != nil || took <= 0 {
			t.Fatal(took, err)
		}
	}
	if requests() != sent || answers() != came {
		t.Errorf("%d requests and %d answers of 100 have passed the stack", requests()-sent, answers()-came)
	}
	p.Close()
	if all := *r.us.echoes.Load(); len(all) != 0 {
		t.Errorf("%d are left", len(all))
	}
	if err := r.ping(ourAddr); err != nil || requests() != sent+1 {
		t.Errorf("to ourselves: %v, %d requests", err, requests()-sent)
	}
	// One that nobody answers leaves nothing behind either.
	late, stop := context.WithCancel(context.Background())
	if p, err = r.us.NewPinger(hostAddr, 56); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r.card.Tap(func([]byte) []byte { stop(); return nil })
	if _, err := p.Once(late); err == nil || p.want.Load() != noEcho {
		t.Errorf("without an answer: %v, waits for %#x", err, p.want.Load())
	}
	if !slices.Equal(p.request[:2], []byte{8, 0}) {
		t.Errorf("the request has become % x", p.request[:2])
	}
}
