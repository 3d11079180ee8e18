// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ringo/drivers/nic"
)

// Bounds of a link.
const (
	// patience is how long a frame waits for room in the card before it is lost.
	patience = time.Second
	// batchMost is how many frames are given to the card at once.
	batchMost = 32
)

var (
	_ stack.LinkEndpoint = (*link)(nil)
	_ stack.GSOEndpoint  = (*link)(nil)
)

// link joins the stack and a card.
type link struct {
	dev  nic.Device
	info nic.Info
	mtu  atomic.Uint32
	to   atomic.Pointer[stack.NetworkDispatcher]
	room chan struct{}
	// verified is about the frame that is being delivered. The stack asks for it, as a
	// capability, once for each.
	verified atomic.Bool
	// dhcp gets the frames for the DHCP client; it does not block.
	dhcp func(frame []byte)
	// early, if not nil, gets each frame before everybody else, and reports whether nobody
	// else shall have it.
	early func(l *link, f *nic.Frame) bool
	// offer, if not nil, gets frames before the stack does; it calls take with those that
	// are the stack's.
	offer func(frames []nic.Frame)
	// fault is told what a frame did to the stack.
	fault func(v any)

	join joiner // of the goroutine that receives

	lost atomic.Uint64 // frames that the card had no room for
}

func newLink(dev nic.Device) *link {
	l := &link{dev: dev, info: dev.Info(), room: make(chan struct{}, 1)}
	l.mtu.Store(uint32(l.info.MTU))
	return l
}

// ready is called when the card has room again.
func (l *link) ready() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// receive takes frames from the card, whose bytes are the card's again afterwards.
func (l *link) receive(frames []nic.Frame) {
	for i := 0; i < len(frames); i++ {
		from := i
		for i < len(frames) && (l.early == nil || !l.early(l, &frames[i])) {
			i++
		}
		if from < i {
			l.pass(frames[from:i])
		}
	}
}

// pass lets the gateway choose first, if there is one.
func (l *link) pass(frames []nic.Frame) {
	if l.offer != nil {
		l.offer(frames)
		return
	}
	l.take(frames)
}

// take hands frames to the stack.
func (l *link) take(frames []nic.Frame) {
	to := l.to.Load()
	if to == nil || *to == nil {
		return
	}
	for len(frames) > 0 {
		n, packet := l.join.take(frames)
		switch {
		case packet != nil:
			l.deliver(*to, packet, true)
		case n == 0:
			n = 1
			l.one(*to, &frames[0], len(l.join.list) > 0)
		}
		frames = frames[n:]
	}
}

// one hands a frame to the stack, or to the DHCP client. sure says that its sums are right.
func (l *link) one(to stack.NetworkDispatcher, f *nic.Frame, sure bool) {
	if f.Len() < header.EthernetMinimumSize {
		return
	}
	v := buffer.NewViewSize(f.Len())
	b := v.AsSlice()
	f.CopyTo(b)
	if l.dhcp != nil && isDHCP(b) {
		l.dhcp(append([]byte(nil), b...))
		v.Release()
		return
	}
	l.deliver(to, v, sure || f.Verified && ipHeaderRight(header.Ethernet(b).Type(), b[header.EthernetMinimumSize:]))
}

// deliver hands one frame to the stack. A frame that makes it panic is lost, and that is
// all: whoever is on the wire may send what he likes.
func (l *link) deliver(to stack.NetworkDispatcher, v *buffer.View, verified bool) {
	eth := header.Ethernet(v.AsSlice())
	proto, dst := eth.Type(), eth.DestinationAddress()
	l.verified.Store(verified)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
	defer pkt.DecRef()
	if _, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize); !ok {
		return
	}
	switch {
	case dst == header.EthernetBroadcastAddress:
		pkt.PktType = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		pkt.PktType = tcpip.PacketMulticast
	case dst == l.LinkAddress():
		pkt.PktType = tcpip.PacketHost
	default:
		return // it is not for us, and the card should have known
	}
	defer func() {
		if v := recover(); v != nil && l.fault != nil {
			l.fault(v)
		}
	}()
	to.DeliverNetworkPacket(proto, pkt)
}

// ipHeaderRight reports whether what the card does not look at is right: the sum of
// IPv4's header, and that the packet is whole, since of a fragment it knows nothing.
func ipHeaderRight(proto tcpip.NetworkProtocolNumber, b []byte) bool {
	if proto != header.IPv4ProtocolNumber {
		return proto == header.IPv6ProtocolNumber
	}
	h := header.IPv4(b)
	if len(b) < header.IPv4MinimumSize || int(h.HeaderLength()) > len(b) || h.HeaderLength() < header.IPv4MinimumSize {
		return false
	}
	return !h.More() && h.FragmentOffset() == 0 && checksum.Checksum(b[:h.HeaderLength()], 0) == 0xffff
}

// WritePackets implements stack.LinkWriter. It waits for room rather than lose packets,
// for a while.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	frames := batches.Get().(*[batchMost]nic.Frame)
	all := pkts.AsSlice()
	for sent := 0; sent < len(all); {
		n := min(len(all)-sent, batchMost)
		for i := range n {
			l.frame(&frames[i], all[sent+i])
		}
		l.send(frames[:n])
		for i := range n {
			clear(frames[i].Pieces) // they are the packets'
		}
		sent += n
	}
	batches.Put(frames)
	return len(all), nil
}

// batches are frames that nobody sends now, with room for their pieces: to make them
// anew takes longer than to send one.
var batches = sync.Pool{New: func() any { return new([batchMost]nic.Frame) }}

// send gives frames to the card.
func (l *link) send(frames []nic.Frame) {
	var end time.Time
	for {
		n := l.dev.Send(frames)
		if frames = frames[n:]; len(frames) == 0 {
			return
		}
		now := time.Now()
		if end.IsZero() || n > 0 {
			end = now.Add(patience)
		}
		if now.After(end) {
			l.lost.Add(uint64(len(frames)))
			return
		}
		// The goroutine that tells of room may be the one that sends, out of receive.
		t := time.NewTimer(time.Millisecond)
		select {
		case <-l.room:
		case <-t.C:
		}
		t.Stop()
	}
}

// frame makes a card's frame of a packet.
func (l *link) frame(f *nic.Frame, pkt *stack.PacketBuffer) {
	*f = nic.Frame{Pieces: f.Pieces[:0]}
	views, unused := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		skip := min(unused, len(b))
		if unused -= skip; skip < len(b) {
			f.Pieces = append(f.Pieces, b[skip:])
		}
	}
	g := &pkt.GSOOptions
	if g.Type == stack.GSONone || g.Type == stack.GSOGvisor || !l.info.Checksum {
		return
	}
	f.SumStart = header.EthernetMinimumSize + g.L3HdrLen
	f.SumOffset = g.CsumOffset
	f.Sum = g.NeedsCsum
	if pkt.Data().Size() > int(g.MSS) && l.info.Segment {
		f.Segment, f.V6 = g.MSS, g.Type == stack.GSOTCPv6
		f.Headers = uint16(pkt.HeaderSize())
	}
}

// MTU implements stack.LinkEndpoint, as do the next ones.
func (l *link) MTU() uint32                             { return l.mtu.Load() }
func (l *link) SetMTU(mtu uint32)                       { l.mtu.Store(min(mtu, uint32(l.info.MTU))) }
func (l *link) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (l *link) LinkAddress() tcpip.LinkAddress          { return tcpip.LinkAddress(l.info.MAC[:]) }
func (l *link) SetLinkAddress(tcpip.LinkAddress)        {}
func (l *link) IsAttached() bool                        { return l.to.Load() != nil }
func (l *link) Wait()                                   {}
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (l *link) Close()                                  {}
func (l *link) SetOnCloseAction(func())                 {}

// Attach implements stack.LinkEndpoint.
func (l *link) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		l.to.Store(nil)
		return
	}
	l.to.Store(&d)
}

// Capabilities implements stack.LinkEndpoint. Checksums of UDP the stack computes: it
// leaves no pseudo header's sum where a card would want one.
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	c := stack.CapabilityResolutionRequired
	if l.verified.Load() {
		c |= stack.CapabilityRXChecksumOffload
	}
	return c
}

// gsoMost is how long packets are that TCP cuts for a card that does not.
const gsoMost = 32 << 10

// GSOMaxSize implements stack.GSOEndpoint: with what goes in front of it, a packet is no
// longer than the card takes.
func (l *link) GSOMaxSize() uint32 {
	if l.SupportedGSO() == stack.GVisorGSOSupported {
		return gsoMost
	}
	return uint32(max(l.info.MaxSegmented-header.EthernetMinimumSize-header.IPv6MinimumSize-header.TCPHeaderMaximumSize, 0))
}

// SupportedGSO implements stack.GSOEndpoint.
func (l *link) SupportedGSO() stack.SupportedGSO {
	if l.info.Segment && l.info.Checksum {
		return stack.HostGSOSupported
	}
	return stack.GVisorGSOSupported
}

// AddHeader implements stack.LinkEndpoint.
func (l *link) AddHeader(pkt *stack.PacketBuffer) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: pkt.EgressRoute.LocalLinkAddress, DstAddr: pkt.EgressRoute.RemoteLinkAddress, Type: pkt.NetworkProtocolNumber,
	})
}

// ParseHeader implements stack.LinkEndpoint.
func (l *link) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}
