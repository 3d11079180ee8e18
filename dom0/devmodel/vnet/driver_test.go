// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vnet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
	"ringo/drivers/nic/offload"
	"ringo/drivers/virtio/ether"
)

const everything = ^uint64(0)

// end is our own driver on a device.
type end struct {
	*nictest.Rig
	r *rig
}

// newEnd starts the driver. It wants all that comes: it sets no filters.
func newEnd(t *testing.T, mask uint64, sent func(e *end, frames []nic.Frame)) *end {
	t.Helper()
	e := &end{Rig: new(nictest.Rig)}
	e.r = newRig(t, Config{}, mask)
	e.r.sent = func(frames []nic.Frame) { sent(e, frames) }
	c, err := ether.Start(e.r.function())
	if err != nil {
		t.Fatal(err)
	}
	e.Dev = c
	e.Receive = func(b []byte) bool {
		before := e.r.dev.Counters().RxFrames
		e.r.dev.Deliver([]nic.Frame{{Pieces: [][]byte{b[:20], b[20:]}}})
		return e.r.dev.Counters().RxFrames > before
	}
	e.Start()
	t.Cleanup(c.Close)
	nictest.Eventually(t, "the device serves", func() bool {
		e.r.dev.mu.Lock()
		defer e.r.dev.mu.Unlock()
		e.r.dev.filter.modes[promiscuous] = true
		return e.r.dev.serving && c.Link().Up
	})
	return e
}

// masks are what drivers agree to, more or less.
var masks = map[string]uint64{
	"everything":   everything,
	"nothing":      featMAC,
	"no merging":   everything &^ featMerge,
	"sums":         everything &^ (featTSO4 | featTSO6 | featGuestTSO4 | featGuestTSO6),
	"merging only": featMAC | featMerge,
}

// TestDriver has our driver send and receive frames at the same time.
func TestDriver(t *testing.T) {
	for name, mask := range masks {
		t.Run(name, func(t *testing.T) {
			e := newEnd(t, mask, func(e *end, frames []nic.Frame) {
				for i := range frames {
					if frames[i].Sum || frames[i].Segment > 0 {
						t.Error("it asks for something")
					}
					e.Sent(whole(&frames[i]))
				}
			})
			e.Both(t, 3000)
			if i := e.Dev.Info(); i.MAC != mac || i.Segment != (mask&featTSO4 != 0) || i.Verifies != (mask&featGuestChecksum != 0) {
				t.Errorf("%+v", i)
			}
		})
	}
}

// TestDriverLink has our driver see the link go and come, and lose what is sent meanwhile.
func TestDriverLink(t *testing.T) {
	e := newEnd(t, everything, func(e *end, frames []nic.Frame) { t.Error("sent without a link") })
	e.r.dev.SetLink(false)
	nictest.Eventually(t, "no link", func() bool { return !e.Dev.Link().Up })
	e.r.dev.SetLink(false)
	if e.Receive(make([]byte, 60)) {
		t.Error("it receives without a link")
	}
	e.r.dev.SetLink(true)
	nictest.Eventually(t, "the link", func() bool { return e.Dev.Link().Up })
	if c := e.r.dev.Counters(); c.LinkChanges != 2 || c.RxDropped != 1 {
		t.Errorf("%+v", c)
	}
}

// join makes what a switch would do between two guests: what the receiver cannot take is
// done before.
func join(to func() *end) func(e *end, frames []nic.Frame) {
	var mu sync.Mutex
	var s offload.Scratch
	return func(_ *end, frames []nic.Frame) {
		mu.Lock()
		defer mu.Unlock()
		d := to().r.dev
		checksum, segment := d.Accepts()
		s.Resolve(frames, checksum, segment, d.Deliver)
	}
}

// tcp is a TCP segment with data at random, whose sum is to be computed.
func tcp(rnd *rand.Rand, v6 bool, data int) ([]byte, nic.Frame) {
	head := 54
	if v6 {
		head = 74
	}
	b := make([]byte, head+data)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	copy(b, mac[:])
	f := nic.Frame{Pieces: [][]byte{b}, Sum: true, SumStart: uint16(head - 20), SumOffset: 16, V6: v6, Headers: uint16(head)}
	ip, pseudo := b[14:head-20], uint16(6+20+data)
	if v6 {
		copy(b[12:], "\x86\xdd\x60")
		copy(ip[4:], []byte{byte((20 + data) >> 8), byte(20 + data), 6, 64})
		pseudo = offload.Sum(ip[8:40], pseudo)
	} else {
		copy(b[12:], "\x08\x00\x45\x00")
		be.PutUint16(ip[2:], uint16(40+data))
		copy(ip[6:], []byte{0, 0, 64, 6, 0, 0})
		be.PutUint16(ip[10:], ^offload.Sum(ip, 0))
		pseudo = offload.Sum(ip[12:20], pseudo)
	}
	l4 := b[head-20:]
	l4[12], l4[13] = 0x50, 0x18
	be.PutUint16(l4[16:], pseudo)
	return b, f
}

// TestGuests has one guest send to another, which agree to different things: what comes is
// what a card would have made of it, where it does not come whole.
func TestGuests(t *testing.T) {
	for from, m1 := range masks {
		for to, m2 := range masks {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				var a, b *end
				b = newEnd(t, m2, func(*end, []nic.Frame) {})
				a = newEnd(t, m1, join(func() *end { return b }))
				rnd := rand.New(rand.NewPCG(1, 2))
				info := a.Dev.Info()
				var want [][]byte
				// No more than there are buffers, since what has no room is lost.
				for i := range 40 {
					size := 1 + rnd.IntN(1400)
					if info.Segment && i%4 == 0 {
						size += 3000
					}
					whole, f := tcp(rnd, i%2 == 0, size)
					if f.Headers = 0; size > 1400 {
						f.Segment, f.Headers = 1400, f.SumStart+20
					}
					if !info.Checksum {
						f = nic.Frame{Pieces: f.Pieces}
						want = append(want, whole)
					} else if c, s := b.r.dev.Accepts(); c && (s || f.Segment == 0) {
						want = append(want, whole)
					} else if all := nictest.Finish(bytes.Clone(whole), &f); c {
						for i := range all {
							be.PutUint16(all[i][f.SumStart+16:], 0) // left to the receiver
						}
						want = append(want, all...)
					} else {
						want = append(want, all...)
					}
					a.Send(t, f)
				}
				nictest.Eventually(t, "all of it", func() bool { got, _, _, _ := b.Counts(); return got >= len(want) })
				i := 0
				c, s := b.r.dev.Accepts()
				b.Frames(func(got []byte) {
					if info.Checksum && c && !s {
						at := 34
						if got[12] == 0x86 {
							at = 54
						}
						be.PutUint16(got[at+16:], 0)
						be.PutUint16(want[i][at+16:], 0)
					}
					if !bytes.Equal(got, want[i]) {
						t.Fatalf("frame %d: %d bytes, want %d", i, len(got), len(want[i]))
					}
					i++
				})
				if n := b.r.dev.Counters(); n.RxDropped+n.RxErrors+a.r.dev.Counters().TxErrors != 0 {
					t.Errorf("%+v", n)
				}
			})
		}
	}
}
