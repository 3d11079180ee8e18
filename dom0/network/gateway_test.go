// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"ringo/dom0/network/nat"
	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// port is a card that gives frames to another one as they are: with sums and segments to
// be done, as a switch does.
type port struct {
	nic.Device // its end of a wire that nobody uses
	info       nic.Info
	peer       *port
	in         chan nic.Frame
	quit       chan struct{}
	once       sync.Once
	tap        func(f *nic.Frame)
}

// ports2 returns two cards that are joined so.
func ports2() (a, b *port) {
	mk := func(last byte) *port {
		w, _ := nictest.Wire(nic.Info{})
		return &port{Device: w, in: make(chan nic.Frame, 512), quit: make(chan struct{}),
			info: nic.Info{MTU: 1500, MAC: nic.MAC{2, 0, 0, 0, 0, last}, Checksum: true, Segment: true, MaxSegmented: 60 << 10, Verifies: true}}
	}
	a, b = mk(0x11), mk(0x12)
	a.peer, b.peer = b, a
	return a, b
}

func (p *port) Info() nic.Info { return p.info }
func (p *port) Close()         { p.once.Do(func() { close(p.quit) }) }

func (p *port) Send(frames []nic.Frame) int {
	for i := range frames {
		f := frames[i]
		b := make([]byte, f.Len())
		f.CopyTo(b)
		f.Pieces, f.Verified = [][]byte{b}, f.Sum || f.Verified
		if p.tap != nil {
			p.tap(&f)
		}
		select {
		case p.peer.in <- f:
		default: // lost
		}
	}
	return len(frames)
}

func (p *port) Start(h nic.Handler) {
	go func() {
		for {
			select {
			case <-p.quit:
				return
			case f := <-p.in:
				h.Receive([]nic.Frame{f})
			}
		}
	}()
}

// town is a guest, dom0 with a gateway, and a server in the world.
type town struct {
	*rig
	guest *Network
	card  *port // the guest's
	g     *Gateway
	addr  netip.Addr // the guest's
}

var insideNet = netip.MustParsePrefix("10.77.0.1/24")

// newTown returns one; info is of dom0's card to the world.
func newTown(t *testing.T, info nic.Info) *town {
	w := &town{rig: newRig(t, info, Options{}, nil)}
	inner, outer := ports2()
	w.card = outer
	g, err := w.us.NewGateway(GatewayOptions{Name: "default", Card: inner, Address: insideNet, Domain: "ringo"})
	if err != nil {
		t.Fatal(err)
	}
	w.g = g
	if w.addr, err = g.Join(outer.info.MAC, "web1"); err != nil {
		t.Fatal(err)
	}
	w.guest = New(Options{Hostname: "web1"})
	if _, err := w.guest.Add("net0", outer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.guest.Close(); g.Close() })
	w.ready()
	w.eventually("the guest's address", func() bool { return w.lease() != nil })
	w.eventually("the guest's way to the world", func() bool { return w.pingFrom(w.guest, hostAddr) == nil })
	return w
}

func (w *town) lease() *Interface {
	w.guest.mu.Lock()
	defer w.guest.mu.Unlock()
	if c := w.guest.cards[0]; c.v4.Prefix == netip.PrefixFrom(w.addr, 24) && c.v4.gateway == insideNet.Addr() {
		return c
	}
	return nil
}

// serveEcho has a network send back what comes to a port of TCP.
func serveEcho(t *testing.T, n *Network, at uint16) {
	l, err := gonet.ListenTCP(n.stack, tcpip.FullAddress{Port: at}, ipv4.ProtocolNumber)
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
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
}

// exchange sends n bytes from a network to a server that sends them back.
func exchange(from *Network, to netip.AddrPort, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	c, err := from.Dial(ctx, "tcp", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(wait))
	data := make([]byte, n)
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	go func() { _, _ = c.Write(data) }()
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("%d bytes are not as they were", n)
	}
	return nil
}

// TestGateway: a guest has an address by DHCP, and talks to the world by TCP, UDP and ping,
// by a card that cuts segments and by one that does nothing.
func TestGateway(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]nic.Info{
		"a card that cuts":      {Checksum: true, Segment: true, MaxSegmented: 64 << 10, Verifies: true},
		"a card that does not":  {},
		"a card that only sums": {Checksum: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t, info)
			var mu sync.Mutex
			whole := 0
			w.card.tap = func(f *nic.Frame) {
				mu.Lock()
				defer mu.Unlock()
				if f.Segment != 0 {
					whole++
				}
			}
			serveEcho(t, w.them, 80)
			serveUDP(t, w.rig, 7, func(b []byte) []byte { return b })
			if err := exchange(w.guest, netip.AddrPortFrom(hostAddr, 80), 1<<20); err != nil {
				t.Fatal(err)
			}
			if mu.Lock(); whole == 0 {
				t.Error("no frame was to be cut")
			}
			mu.Unlock()
			c, err := w.guest.Dial(context.Background(), "udp", netip.AddrPortFrom(hostAddr, 7).String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			b := make([]byte, 100)
			w.eventually("an answer", func() bool {
				_ = c.SetDeadline(time.Now().Add(time.Second))
				_, _ = c.Write([]byte("hello"))
				n, err := c.Read(b)
				return err == nil && string(b[:n]) == "hello"
			})
			if c := w.g.Counters(); c.Out == 0 || c.In == 0 || c.Malformed+c.Bad+c.Unrouted != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func (w *town) pingFrom(n *Network, to netip.Addr) error {
	p, err := n.NewPinger(to, 56)
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err = p.Once(ctx)
	return err
}

// TestGatewayForward: the world reaches a guest's port, as often as it likes, and no other.
func TestGatewayForward(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{})
	serveEcho(t, w.guest, 22)
	f := nat.Forward{Port: 2222, To: netip.AddrPortFrom(w.addr, 22)}
	if err := w.g.Forward(nat.Forward{Port: FirstPort, To: f.To}); err == nil || err.Error() !=
		"forward tcp:16384:22: ports 16384 to 32767, and 68 of UDP, are dom0's own (choose another one)" {
		t.Error(err)
	}
	if err := w.g.Forward(f); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := exchange(w.them, netip.AddrPortFrom(ourAddr, 2222), 100_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := exchange(w.them, netip.AddrPortFrom(ourAddr, 22), 1); err == nil {
		t.Error("a port that is not forwarded leads somewhere")
	}
	w.g.Leave(w.card.info.MAC)
	if n := len(w.g.Forwards()); n != 0 {
		t.Errorf("%d forwards of a guest that is gone", n)
	}
	if err := exchange(w.them, netip.AddrPortFrom(ourAddr, 2222), 1); err == nil {
		t.Error("a guest that is gone answers")
	}
}

// TestGatewayRefuses: of dom0 a guest reaches nothing but what it is offered: neither by the
// gateway's address, nor by those of other cards; and dom0 itself reaches the guest.
func TestGatewayRefuses(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{})
	serveEcho(t, w.us, 80)
	serveEcho(t, w.guest, 80)
	if err := exchange(w.them, netip.AddrPortFrom(ourAddr, 80), 1); err != nil {
		t.Fatalf("dom0 itself does not answer: %v", err)
	}
	before := w.g.Counters().Refused
	for _, to := range []netip.Addr{insideNet.Addr(), ourAddr} {
		if err := exchange(w.guest, netip.AddrPortFrom(to, 80), 1); err == nil {
			t.Errorf("%v answers", to)
		}
	}
	if c := w.g.Counters(); c.Refused < before+2 || c.Answers == 0 {
		t.Errorf("%+v", c)
	}
	if err := w.pingFrom(w.guest, ourAddr); err == nil {
		t.Errorf("%v answers ping", ourAddr)
	}
	w.eventually("the gateway's answer to ping", func() bool { return w.pingFrom(w.guest, insideNet.Addr()) == nil })
	if err := exchange(w.us, netip.AddrPortFrom(w.addr, 80), 1000); err != nil {
		t.Errorf("dom0 to the guest: %v", err)
	}
	if err := exchange(w.them, netip.AddrPortFrom(insideNet.Addr(), 53), 1); err == nil {
		t.Error("the world reaches the gateway")
	}
	if err := exchange(w.guest, netip.MustParseAddrPort("203.0.113.9:80"), 1); err == nil {
		t.Error("nobody answers")
	}
}

// TestGatewayMany: a thousand connections at once.
func TestGatewayMany(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{Checksum: true, Segment: true, MaxSegmented: 64 << 10})
	serveEcho(t, w.them, 80)
	var all sync.WaitGroup
	turn := make(chan struct{}, 50) // of the other end, whose queue is short, at a time
	for range 1000 {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if err := exchange(w.guest, netip.AddrPortFrom(hostAddr, 80), 2000); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n, guest := w.g.Flows(w.addr); n < 1000 || guest != n {
		t.Errorf("%d flows, of the guest %d", n, guest)
	}
}

// TestGatewayMoves: when the address to the world is another one, no flow is left.
func TestGatewayMoves(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{})
	serveEcho(t, w.them, 80)
	c, err := w.guest.Dial(context.Background(), "udp", netip.AddrPortFrom(hostAddr, 7).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := w.g.Counters().Out
	if _, err := c.Write([]byte("once")); err != nil {
		t.Fatal(err)
	}
	w.eventually("a flow", func() bool { n, _ := w.g.Flows(w.addr); return n > 0 && w.g.Counters().Out > sent })
	w.us.Interfaces()[0].assign(netip.PrefixFrom(nextAddr, 24), byHand, hostAddr, nil)
	w.eventually("the end of all flows", func() bool { n, _ := w.g.Flows(w.addr); return n == 0 })
	if err := exchange(w.guest, netip.AddrPortFrom(hostAddr, 80), 1000); err != nil {
		t.Errorf("by the new address: %v", err)
	}
	w.us.Interfaces()[0].unassign()
	w.eventually("no way", func() bool { return w.g.exit(number(hostAddr)) == nil })
	before := w.g.Counters().Answers
	if err := exchange(w.guest, netip.AddrPortFrom(hostAddr, 80), 1); err == nil {
		t.Error("there is no address, and an answer")
	}
	if c := w.g.Counters(); c.Unrouted == 0 || c.Answers == before {
		t.Errorf("%+v", c)
	}
}

// TestGatewayHostile: a guest sends two hundred thousand frames that are well in some parts
// and not in others, and ask for sums and segments wherever they like; the world does the
// same. Nothing panics, nothing but what is offered comes to dom0's stack, and little is
// kept.
func TestGatewayHostile(t *testing.T) {
	t.Parallel()
	w := newTown(t, nic.Info{})
	serveUDP(t, &rig{t: t, them: w.us}, 7, func(b []byte) []byte { t.Errorf("dom0 has heard %q", b); return nil })
	w.rig.card.Tap(nil) // its DHCP server reads what is none
	rnd := rand.New(rand.NewPCG(3, 4))
	before := heap()
	world := w.us.Interfaces()[0]
	for range 200_000 {
		b := w.hostileFrame(rnd)
		f := nic.Frame{Pieces: [][]byte{b}}
		if cut := rnd.IntN(len(b) + 1); rnd.IntN(3) == 0 {
			f.Pieces = [][]byte{b[:cut], {}, b[cut:]}
		}
		if rnd.IntN(3) == 0 {
			f.Sum, f.SumStart, f.SumOffset = true, uint16(rnd.IntN(80)), uint16([]int{6, 16, rnd.IntN(1 << 16)}[rnd.IntN(3)])
			if rnd.IntN(2) == 0 {
				f.SumStart = 34
			}
			if rnd.IntN(2) == 0 {
				f.Segment, f.Headers = uint16(rnd.IntN(3000)), uint16(rnd.IntN(120))
			}
		}
		if rnd.IntN(3) == 0 {
			w.g.fromWorld(world, []nic.Frame{f})
		} else {
			w.g.fromGuests([]nic.Frame{f})
		}
	}
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if c := w.g.Counters(); c.Out == 0 || c.Refused == 0 || c.Bad == 0 || c.Foreign == 0 {
		t.Errorf("%+v", c)
	}
}

// hostileFrame is a frame of a guest, or of the world.
func (w *town) hostileFrame(rnd *rand.Rand) []byte {
	b := make([]byte, rnd.IntN(200))
	if rnd.IntN(20) == 0 {
		b = make([]byte, rnd.IntN(2000))
	}
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	if len(b) < 54 || rnd.IntN(20) == 0 {
		return b
	}
	mac := w.g.inside.link.info.MAC
	copy(b, mac[:])
	be.PutUint16(b[12:], []uint16{0x800, 0x800, 0x800, 0x800, 0x806, 0x86dd, 0x8100}[rnd.IntN(7)])
	b[14] = 0x45
	if rnd.IntN(10) == 0 {
		b[14] = byte(rnd.Uint32())
	}
	be.PutUint16(b[16:], uint16(len(b)-14))
	be.PutUint16(b[20:], []uint16{0, 0, 0, 0x2000, 5, 0x4000}[rnd.IntN(6)])
	b[23] = []byte{1, 6, 17, 17, 47}[rnd.IntN(5)]
	all := []netip.Addr{w.addr, w.addr, insideNet.Addr(), ourAddr, hostAddr, netip.AddrFrom4([4]byte{10, 77, 0, byte(rnd.Uint32())}), netip.AddrFrom4([4]byte{10, 0, 2, byte(rnd.Uint32())})}
	for _, at := range []int{26, 30} {
		if rnd.IntN(8) > 0 {
			a := all[rnd.IntN(len(all))].As4()
			copy(b[at:], a[:])
		}
	}
	be.PutUint16(b[36:], []uint16{7, 53, 67, 123, uint16(rnd.Uint32())}[rnd.IntN(5)])
	return b
}
