// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nictest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"ringo/drivers/nic"
)

// Wait is how long the suite waits for what must come.
const Wait = time.Minute

// Rig is a driver on a device in memory.
type Rig struct {
	Dev nic.Device
	// Receive has a frame come to the device; false: it has no room now.
	Receive func(frame []byte) bool

	mu       sync.Mutex
	got      [][]byte // that the driver has handed on
	verified int
	sent     [][]byte // that the device has sent
	changes  int
	room     chan struct{}
}

// Start starts the driver.
func (r *Rig) Start() {
	r.room = make(chan struct{}, 1)
	r.Dev.Start(nic.Handler{
		Receive: func(frames []nic.Frame) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for i := range frames {
				b := make([]byte, frames[i].Len())
				frames[i].CopyTo(b)
				r.got = append(r.got, b)
				if frames[i].Verified {
					r.verified++
				}
			}
		},
		Room: func() {
			select {
			case r.room <- struct{}{}:
			default:
			}
		},
		Changed: func() { r.mu.Lock(); r.changes++; r.mu.Unlock() },
	})
}

// Sent is what the device calls with each frame that leaves.
func (r *Rig) Sent(b []byte) {
	r.mu.Lock()
	r.sent = append(r.sent, bytes.Clone(b))
	r.mu.Unlock()
}

// Counts are how many frames were handed on, of these verified, were sent, and how often
// the link or the end was told of.
func (r *Rig) Counts() (got, verified, sent, changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got), r.verified, len(r.sent), r.changes
}

// Take returns what was sent, and forgets it.
func (r *Rig) Take() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.sent
	r.sent = nil
	return all
}

// Frames calls f with each frame that was handed on.
func (r *Rig) Frames(f func(b []byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.got {
		f(b)
	}
}

// Eventually waits until f is true.
func Eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(Wait); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Wait, what)
		}
	}
}

// Send sends frames, and waits for room where there is none.
func (r *Rig) Send(t *testing.T, frames ...nic.Frame) {
	t.Helper()
	for end := time.Now().Add(Wait); len(frames) > 0; {
		n := r.Dev.Send(frames)
		if frames = frames[n:]; len(frames) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("there is no room any more")
		}
		select {
		case <-r.room:
		case <-time.After(10 * time.Second):
			t.Log("nobody has told of room")
		}
	}
}

// Addresses asserts which frames the driver has come: those for its own address and for
// groups, and those for others while it is promiscuous.
func (r *Rig) Addresses(t *testing.T, others bool) {
	t.Helper()
	own, group, other := r.Dev.Info().MAC, nic.MAC{1, 0, 0x5e, 1, 2, 3}, nic.MAC{0x52, 0x54, 9, 9, 9, 9}
	before, _, _, _ := r.Counts()
	var want []nic.MAC
	for _, to := range []nic.MAC{other, group, own} {
		b := make([]byte, nic.MinFrame)
		copy(b, to[:])
		Eventually(t, "room", func() bool { return r.Receive(b) })
		if to != other || others {
			want = append(want, to)
		}
	}
	Eventually(t, "the frames", func() bool { n, _, _, _ := r.Counts(); return n >= before+len(want) })
	var got []nic.MAC
	r.Frames(func(b []byte) { got = append(got, nic.MAC(b)) })
	if got = got[before:]; !slices.Equal(got, want) {
		t.Errorf("frames for %v, want %v", got, want)
	}
}

// Random is a frame of random length and content, in pieces.
func Random(rnd *rand.Rand) (whole []byte, f nic.Frame) {
	whole = make([]byte, nic.MinFrame+rnd.IntN(nic.HeaderLen+nic.MTU-nic.MinFrame+1))
	for i := range whole {
		whole[i] = byte(rnd.Uint32())
	}
	at := rnd.IntN(len(whole))
	return whole, nic.Frame{Pieces: [][]byte{whole[:at], whole[at:]}}
}

// Both sends and receives random frames at the same time: each comes once, in order, as
// it was sent.
func (r *Rig) Both(t *testing.T, frames int) {
	t.Helper()
	before := r.Dev.Counters()
	var in, out [][]byte
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		rnd := rand.New(rand.NewPCG(5, 6))
		for end := time.Now().Add(Wait); len(in) < frames && time.Now().Before(end); {
			b, _ := Random(rnd)
			for !r.Receive(b) && time.Now().Before(end) {
				time.Sleep(10 * time.Microsecond)
			}
			in = append(in, b)
		}
	}()
	rnd := rand.New(rand.NewPCG(7, 8))
	for len(out) < frames {
		var some []nic.Frame
		for range 1 + rnd.IntN(40) {
			b, f := Random(rnd)
			out, some = append(out, b), append(some, f)
		}
		r.Send(t, some...)
	}
	done.Wait()
	Eventually(t, "all frames", func() bool {
		got, _, sent, _ := r.Counts()
		return got >= len(in) && sent >= len(out)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	same(t, "received", r.got, in)
	same(t, "sent", r.sent, out)
	r.got, r.sent = nil, nil
	c := r.Dev.Counters()
	if c.RxFrames < uint64(len(in)) || c.TxFrames < uint64(len(out)) || c.RxErrors+c.TxErrors+c.TxDropped != before.RxErrors+before.TxErrors+before.TxDropped {
		t.Errorf("%+v", c)
	}
}

func same(t *testing.T, what string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d frames, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: frame %d: %d bytes, want %d", what, i, len(got[i]), len(want[i]))
		}
	}
}
