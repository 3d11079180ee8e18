// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lan

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/dom0/config"
	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// ear is somebody who gets frames.
type ear struct {
	device
	came chan struct{}
}

func newEar() *ear { return &ear{came: make(chan struct{}, 1000)} }

func (e *ear) Deliver(frames []nic.Frame) {
	e.device.Deliver(frames)
	e.came <- struct{}{}
}

// wants waits for frames, which are all that there are.
func (e *ear) wants(t *testing.T, what string, want ...string) {
	t.Helper()
	var got []string
	for len(got) < len(want) {
		<-e.came
		got = append(got, e.taken()...)
	}
	if d := cmp.Diff(want, append(got, e.taken()...)); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func frame(to, from nic.MAC, text string, size int) []nic.Frame {
	b := append(append(append([]byte{}, to[:]...), from[:]...), 0x88, 0xb5)
	b = append(b, text...)
	return []nic.Frame{{Pieces: [][]byte{append(b, make([]byte, size-len(b))...)}}}
}

// Of a card, dom0's stack, a guest on its wire, and the world behind it each gets what is
// for it, before there is a guest, while there is one, and after that.
func TestUplink(t *testing.T) {
	machine, world := nictest.Wire(nic.Info{})
	defer machine.Close()
	defer world.Close()
	uplinks := &Uplinks{}
	own := uplinks.Add("net0", machine)
	n := New(Options{Uplinks: uplinks})
	host, outside := newEar(), newEar()
	own.Start(nic.Handler{Receive: host.Deliver})
	world.Start(nic.Handler{Receive: outside.Deliver})
	all := nic.MAC{255, 255, 255, 255, 255, 255}
	dom0, peer := own.Info().MAC, world.Info().MAC
	exchange := func(what string) {
		t.Helper()
		world.Send(frame(dom0, peer, "to..0", 60))
		host.wants(t, what, "to..0")
		own.Send(frame(peer, dom0, "out.0", 60))
		outside.wants(t, what, "out.0")
	}
	exchange("before")
	for range 3 {
		cards, err := n.Open(owner(1), []config.NIC{{Network: "bridge:net0"}})
		if err != nil {
			t.Fatal(err)
		}
		guest := newEar()
		if err := cards[0].Connect(guest); err != nil {
			t.Fatal(err)
		}
		exchange("with a guest")
		world.Send(frame(all, peer, "all..", 60))
		host.wants(t, "to all", "all..")
		guest.wants(t, "to all", "all..")
		own.Send(frame(cards[0].MAC, dom0, "hello", 60))
		guest.wants(t, "dom0 to the guest", "hello")
		cards[0].Send(frame(dom0, cards[0].MAC, "reply", 60))
		host.wants(t, "the guest to dom0", "reply")
		cards[0].Send(frame(peer, cards[0].MAC, "long.", 5000))
		cards[0].Send(frame(peer, cards[0].MAC, "short", 60))
		outside.wants(t, "the guest to the world", "short")
		cards[0].Close()
		exchange("after")
	}
	if d := cmp.Diff([]string(nil), names(n)); d != "" {
		t.Error(d)
	}
}

// While frames come, guests come and go: the stack is called by one at a time, and no frame
// of the world's is lost on the way or comes twice.
func TestUplinkBusy(t *testing.T) {
	machine, world := nictest.Wire(nic.Info{})
	defer machine.Close()
	defer world.Close()
	uplinks := &Uplinks{}
	own := uplinks.Add("net0", machine)
	n := New(Options{Uplinks: uplinks})
	const frames = 2000
	var inside sync.Mutex
	next := 0
	done := make(chan struct{})
	own.Start(nic.Handler{Receive: func(got []nic.Frame) {
		if !inside.TryLock() {
			t.Error("the stack is called twice at a time")
			return
		}
		defer inside.Unlock()
		for i := range got {
			if text := fmt.Sprintf("%05d", next); !bytes.Equal(got[i].Pieces[0][nic.HeaderLen:nic.HeaderLen+5], []byte(text)) {
				t.Errorf("%q, want %s", got[i].Pieces[0][nic.HeaderLen:nic.HeaderLen+5], text)
			}
			if next++; next == frames {
				close(done)
			}
		}
	}})
	room := make(chan struct{}, 1)
	world.Start(nic.Handler{Room: func() {
		select {
		case room <- struct{}{}:
		default:
		}
	}})
	go func() {
		for i := range frames {
			for world.Send(frame(own.Info().MAC, world.Info().MAC, fmt.Sprintf("%05d", i), 60)) == 0 {
				<-room
			}
		}
	}()
	for {
		cards, err := n.Open(owner(1), []config.NIC{{Network: "bridge:net0"}})
		if err != nil {
			t.Fatal(err)
		}
		cards[0].Close()
		select {
		case <-done:
			return
		default:
		}
	}
}

// A guest on a wire cannot say that it has an address of dom0's there, as long as it is
// dom0's.
func TestUplinkOwn(t *testing.T) {
	machine, world := nictest.Wire(nic.Info{})
	defer machine.Close()
	defer world.Close()
	uplinks := &Uplinks{}
	own := uplinks.Add("net0", machine)
	n := New(Options{Uplinks: uplinks})
	outside := newEar()
	own.Start(nic.Handler{Receive: func([]nic.Frame) {}})
	world.Start(nic.Handler{Receive: outside.Deliver})
	uplinks.Own("net9", nil)
	uplinks.Own("net0", []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 2, 15})})
	cards, _ := open(t, n, owner(1), config.NIC{Network: "bridge:net0"})
	claim := func(last byte) {
		b := append([]byte{255, 255, 255, 255, 255, 255}, cards[0].MAC[:]...)
		b = append(append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1), cards[0].MAC[:]...)
		b = append(b, 10, 0, 2, last, 0, 0, 0, 0, 0, 0, 10, 0, 2, last)
		cards[0].Send([]nic.Frame{{Pieces: [][]byte{append(b, make([]byte, 18)...)}}})
	}
	const arp = "\x00\x01\x08\x00\x06"
	claim(15)
	claim(16)
	outside.wants(t, "one that nobody has", arp)
	uplinks.Own("net0", []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 2, 16})})
	claim(16)
	claim(15)
	outside.wants(t, "one that dom0 had", arp)
	if _, p := cards[0].Counters(); p.Spoofed != 2 {
		t.Errorf("%+v", p)
	}
}
