// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ringo/drivers/nic"
)

// arpFrame is an ARP packet of op from an address.
func (r *rig) arpFrame(op header.ARPOp, from, target netip.Addr, mac nic.MAC) []byte {
	a := header.ARP(make([]byte, header.ARPSize))
	a.SetIPv4OverEthernet()
	a.SetOp(op)
	copy(a.HardwareAddressSender(), mac[:])
	s, d := from.As4(), target.As4()
	copy(a.ProtocolAddressSender(), s[:])
	copy(a.ProtocolAddressTarget(), d[:])
	return r.frame(nic.MAC{255, 255, 255, 255, 255, 255}, header.ARPProtocolNumber, a)
}

// TestARPStorm: a quarter of a million ARP packets, requests for us, for others, and
// answers that nobody asked for, from as many machines. We still talk to the one that we
// know, and have not kept what came.
func TestARPStorm(t *testing.T) {
	t.Parallel()
	r := newRig(t, nic.Info{}, Options{}, nil)
	r.ready()
	rnd := rand.New(rand.NewPCG(9, 9))
	before := heap()
	for n := range 250_000 {
		from := netip.AddrFrom4([4]byte{10, 0, byte(2 + rnd.IntN(200)), byte(rnd.IntN(256))})
		if from == hostAddr {
			continue // that one may say where it is
		}
		mac := nic.MAC{0x02, 0, byte(n >> 16), byte(n >> 8), byte(n), 1}
		op, target := header.ARPRequest, ourAddr
		switch n % 4 {
		case 1:
			op = header.ARPReply
		case 2:
			target = from // announces itself
		case 3:
			target = netip.AddrFrom4([4]byte{10, 0, 2, byte(rnd.IntN(256))})
		}
		r.card.Inject(r.arpFrame(op, from, target, mac))
	}
	r.eventually("an answer to ping", func() bool { return r.ping(hostAddr) == nil })
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// hostile lets everything that an input describes come over the wire: frames that are
// well in some parts and not in others.
type hostile struct {
	r    *rig
	sent int
}

// send makes frames of b and sends them. Of each, the first two bytes say what it is, and
// how long.
func (h *hostile) send(b []byte) {
	for len(b) > 4 {
		kind, n := b[0], min(int(binary.LittleEndian.Uint16(b[1:]))%1600, len(b)-3)
		body := b[3 : 3+n]
		b = b[3+n:]
		h.r.card.Inject(h.make(kind, body))
		h.sent++
	}
}

// make wraps a body, from deeper and deeper in what a frame is made of.
func (h *hostile) make(kind byte, body []byte) []byte {
	to := nic.MAC(h.r.card.Info().MAC)
	if kind&0x40 != 0 {
		to = nic.MAC{255, 255, 255, 255, 255, 255}
	} else if kind&0x80 != 0 {
		to = nic.MAC{0x33, 0x33, 0, 0, 0, 1}
	}
	protocols := [...]uint8{1, 2, 6, 17, 0, 44, 58, 60}
	switch proto := protocols[kind>>3&7]; kind & 7 {
	case 0:
		return append([]byte(nil), body...)
	case 1:
		return h.r.frame(to, header.ARPProtocolNumber, body)
	case 2:
		return h.r.frame(to, header.IPv4ProtocolNumber, body)
	case 3:
		return h.r.frame(to, header.IPv6ProtocolNumber, body)
	case 4, 5:
		return h.r.frame(to, header.IPv4ProtocolNumber, h.ip4(proto, kind&7 == 5, body))
	default:
		return h.r.frame(to, header.IPv6ProtocolNumber, h.ip6(proto, body))
	}
}

// ip4 is an IPv4 packet to us with a good header; of a fragment the body says which.
func (h *hostile) ip4(proto uint8, fragment bool, body []byte) []byte {
	b := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(body))
	f := &header.IPv4Fields{TotalLength: uint16(len(b) + len(body)), TTL: 64, Protocol: proto, SrcAddr: address(hostAddr), DstAddr: address(ourAddr)}
	if fragment && len(body) > 2 {
		f.ID, f.FragmentOffset = uint16(body[0]&3), uint16(body[1])<<3
		if body[0]&4 != 0 {
			f.Flags = header.IPv4FlagMoreFragments
		}
		body = body[2:]
		f.TotalLength -= 2
	}
	header.IPv4(b).Encode(f)
	header.IPv4(b).SetChecksum(^header.IPv4(b).CalculateChecksum())
	return append(b, body...)
}

// ip6 is an IPv6 packet from the router to us.
func (h *hostile) ip6(proto uint8, body []byte) []byte {
	b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(body))
	copy(b[8:24], netip.MustParseAddr("fe80::5054:ff:fe00:2").AsSlice())
	copy(b[24:40], netip.MustParseAddr("fe80::5054:ff:fe00:1").AsSlice())
	b[0], b[6], b[7] = 0x60, proto, 255
	binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
	return append(b, body...)
}

// TestMartian: what comes from an address of ours that never leaves a machine is dropped,
// and not a word of it stands on standard error, which is the console.
func TestMartian(t *testing.T) {
	r := newRig(t, nic.Info{}, Options{}, nil)
	r.ready()
	words, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	kept, err := unix.Dup(2)
	if err == nil {
		err = unix.Dup2(int(stderr.Fd()), 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	h := hostile{r: r}
	p := h.ip4(1, false, make([]byte, 8))
	ip := header.IPv4(p)
	ip.SetSourceAddress(tcpip.AddrFrom4([4]byte{127, 0, 0, 1}))
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	r.card.Inject(r.frame(nic.MAC(r.card.Info().MAC), header.IPv4ProtocolNumber, p))
	dropped := func() bool { return r.us.stack.Stats().IP.InvalidSourceAddressesReceived.Value() != 0 }
	r.eventually("a packet that was dropped", dropped)
	r.eventually("an answer to ping", func() bool { return r.ping(hostAddr) == nil })
	_ = unix.Dup2(kept, 2)
	_ = unix.Close(kept)
	stderr.Close()
	if text, err := io.ReadAll(words); err != nil || len(text) != 0 {
		t.Errorf("the stack wrote %q (%v)", text, err)
	}
}

// TestMalformed sends a million random frames: nothing of it makes the stack panic, and
// it goes on.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, info := range []nic.Info{offloads["plain"], offloads["verifies"]} {
		r := newRig(t, info, Options{}, nil)
		r.ready()
		h := &hostile{r: r}
		rnd := rand.New(rand.NewPCG(4, 2))
		b := make([]byte, 2000)
		for h.sent < 500_000 {
			n := 5 + rnd.IntN(len(b)-5)
			if rnd.IntN(3) > 0 {
				n = 5 + rnd.IntN(80)
			}
			for i := range b[:n] {
				b[i] = byte(rnd.Uint32())
			}
			h.send(b[:n])
		}
		h.alive(t)
	}
}

// alive asserts that we still talk to others, and that nothing has panicked.
func (h *hostile) alive(t *testing.T) {
	t.Helper()
	if h.r.said("panic") {
		t.Fatal(h.r.lines)
	}
	// What pretends to be the other end may have said that it is elsewhere: it says where
	// it is.
	h.r.eventually("an answer to ping", func() bool {
		h.r.card.Inject(h.r.arpFrame(header.ARPRequest, hostAddr, ourAddr, h.r.other.Info().MAC))
		return h.r.ping(hostAddr) == nil
	})
}

// FuzzFrames sends arbitrary frames to one stack, and asks now and then whether it is
// still there.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{4, 20, 0, 8, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	f.Add([]byte{1, 28, 0, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15})
	f.Add(append([]byte{0x6e, 80, 0}, advertisement(netip.MustParseAddr("fe80::5054:ff:fe00:2"))[40:]...))
	var h *hostile
	n := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		if h == nil || h.r.us == nil {
			h = &hostile{r: newLastingRig(t)}
		}
		h.r.t = t
		h.send(b)
		if n++; n%500 == 0 || h.r.said("panic") {
			h.alive(t)
		}
	})
}

// newLastingRig is a rig that outlives the test that makes it. Its address is static: one
// by DHCP others may claim, and a new one takes ten seconds.
func newLastingRig(t *testing.T) *rig {
	r := makeRig(t, nic.Info{Verifies: true}, Options{Settings: []Setting{{Device: FirstDevice, Address: netip.PrefixFrom(ourAddr, 24)}}}, nil)
	r.ready()
	return r
}
