// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcon

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"ringo/drivers/virtio/ring"
)

// fill writes good requests of each kind into all queues.
func (r *rig) fill() {
	le := binary.LittleEndian
	for i := range r.queues {
		l := layout(i)
		for k := range queueSize {
			at, size, flags := data(i, k), uint32(200), uint16(2)
			if i%2 != 0 {
				size, flags = uint32(1+k), 0
			}
			if i == queueControl+1 {
				size = messageLen
				copy(r.m.b[at:], message(uint16(k%3), [...]uint16{eventReady, eventPortReady, eventOpen}[k/3%3], 1, ""))
			}
			desc := r.m.b[l.Desc+16*uint64(k):]
			le.PutUint64(desc, at)
			le.PutUint32(desc[8:], size)
			le.PutUint16(desc[12:], flags)
			le.PutUint16(desc[14:], 0)
			le.PutUint16(r.m.b[l.Avail+4+2*uint64(k):], uint16(k))
		}
		le.PutUint16(r.m.b[l.Avail:], 0)
		le.PutUint16(r.m.b[l.Avail+2:], queueSize)
	}
}

// mutate changes n bytes of the rings, or of the messages.
func (r *rig) mutate(rng *rand.Rand, n int) {
	for range n {
		i := rng.IntN(len(r.queues))
		at := layout(i).Desc + rng.Uint64N(0x300)
		if rng.IntN(4) == 0 {
			at = data(queueControl+1, rng.IntN(queueSize)) + rng.Uint64N(messageLen)
		}
		switch rng.IntN(3) {
		case 0:
			r.m.b[at] ^= 1 << rng.IntN(8)
		case 1:
			r.m.b[at] = byte(rng.Uint32())
		default: // what is good elsewhere
			copy(r.m.b[at:at+2], r.m.b[layout(rng.IntN(len(r.queues))).Desc+rng.Uint64N(0x300):])
		}
	}
}

// TestHostile has a guest write a million random changes into its rings and messages,
// before the device looks and while it does, while the other side types and listens now
// and then. Nothing panics, the device comes to an end or wants a reset, and after that it
// works; and so does another one.
func TestHostile(t *testing.T) {
	const all, most = 1_000_000, 200
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	r, other := newRig(t), newRig(t)
	r.dev.ports[0].sink, r.dev.ports[1].sink = nowhere{}, nowhere{}
	other.start(featPorts)
	other.greet()
	broken, sound := 0, 0
	for n := 0; n < all; {
		each := 1 + rng.IntN(most)
		n += each
		r.start(featPorts | [...]uint64{0, ring.FeatureEventIndex, ring.FeatureIndirect}[rng.IntN(3)])
		r.fill()
		early := rng.IntN(each + 1)
		r.mutate(rng, early)
		kick := func() {
			for i := range r.queues {
				r.d.Kick(i)
			}
		}
		kick()
		r.mutate(rng, each-early)
		r.dev.Console().Input(make([]byte, rng.IntN(600)))
		r.dev.Port(0).Input(make([]byte, rng.IntN(600)))
		r.dev.Port(0).Attend(rng.IntN(2) == 0)
		kick()
		for range rng.IntN(50) {
			runtime.Gosched()
		}
		if sound++; r.rd(20, 1)&64 != 0 {
			sound--
			broken++
		}
	}
	t.Logf("%d times it wanted a reset, %d times it did not", broken, sound)
	if broken == 0 || sound == 0 {
		t.Error("not hostile enough, or too much so")
	}
	r.dev.ports[0].sink = &r.con
	for _, p := range r.dev.ports {
		p.Attend(false)
		p.d.mu.Lock()
		p.take(p.n)
		p.d.mu.Unlock()
	}
	for _, x := range []*rig{r, other} {
		x.start(featPorts)
		x.greet()
		if x.send(1, "afterwards"); x.con.String() != "afterwards" {
			t.Errorf("afterwards it prints %q", x.con.String())
		}
	}
}

// nowhere takes all, and keeps nothing.
type nowhere struct{}

func (nowhere) Write(p []byte) int { return len(p) }
