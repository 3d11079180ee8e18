// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"ringo/drivers/nic"
)

// TestHopsKeep: a guest that sends to addresses that share a place does not take it from
// the one that is asked for, nor the router's, and each is asked for once.
func TestHopsKeep(t *testing.T) {
	w := newTown(t, nic.Info{})
	card, h := (*w.g.exits.Load())[0].card, &w.g.hops
	first, router := uint32(0x0a000264), number(hostAddr)
	second := first + 1
	for h.find(card, second) != h.find(card, first) {
		second++
	}
	now := w.g.now()
	for range 100 {
		w.g.hop(card, first, now)
		w.g.hop(card, second, now)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.find(card, first); s.addr != first {
		t.Errorf("%#x has the place of %#x, which was asked for", s.addr, first)
	}
	r := h.find(card, router)
	for i := range h.slot {
		if r == &h.slot[i] {
			t.Error("the router has a place that others can take")
		}
	}
}

// TestEndedStreams: of connections to the name server that dom0 has ended nothing is left,
// whether or not the guest ever says a word again.
func TestEndedStreams(t *testing.T) {
	r := newRig(t, nic.Info{}, Options{}, nil)
	inner, outer := ports2()
	g, err := r.us.NewGateway(GatewayOptions{Name: "default", Card: inner, Address: insideNet, Domain: "ringo"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	a, err := g.Join(outer.info.MAC, "web1")
	if err != nil {
		t.Fatal(err)
	}
	guest, us := address(a), address(insideNet.Addr())
	if err := r.us.stack.AddStaticNeighbor(g.inside.id, ipv4.ProtocolNumber, guest, tcpip.LinkAddress(outer.info.MAC[:])); err != nil {
		t.Fatal(err)
	}
	send := func(port uint16, seq, ack uint32, flags header.TCPFlags) {
		b := make([]byte, 54)
		header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: tcpip.LinkAddress(outer.info.MAC[:]), DstAddr: g.inside.link.LinkAddress(), Type: header.IPv4ProtocolNumber})
		ip := header.IPv4(b[14:])
		ip.Encode(&header.IPv4Fields{TotalLength: 40, TTL: 64, Protocol: 6, SrcAddr: guest, DstAddr: us})
		ip.SetChecksum(^ip.CalculateChecksum())
		tcp := header.TCP(ip[20:])
		tcp.Encode(&header.TCPFields{SrcPort: port, DstPort: portDNS, SeqNum: seq, AckNum: ack, DataOffset: 20, Flags: flags, WindowSize: 1000})
		tcp.SetChecksum(^checksum.Checksum(tcp, header.PseudoHeaderChecksum(6, guest, us, 20)))
		g.fromGuests([]nic.Frame{{Pieces: [][]byte{b}}})
	}
	before := len(r.us.stack.RegisteredEndpoints())
	for port := range uint16(64) {
		r.eventually("an answer", func() bool {
			send(1024+port, 1, 0, header.TCPFlagSyn) // again, until the gateway has its address
			for {
				select {
				case f := <-outer.in:
					b := f.Pieces[0]
					if tcp := header.TCP(b[min(34, len(b)):]); len(b) >= 54 && b[23] == 6 && tcp.DestinationPort() == 1024+port && tcp.Flags() == header.TCPFlagSyn|header.TCPFlagAck {
						send(1024+port, 2, tcp.SequenceNumber()+1, header.TCPFlagAck)
						return true
					}
				default:
					return false
				}
			}
		})
	}
	r.eventually("the end of connections beyond a guest's share", func() bool {
		return len(r.us.stack.RegisteredEndpoints()) <= before+dnsShare
	})
}
