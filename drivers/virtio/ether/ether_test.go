// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package ether

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
	"ringo/drivers/virtio/ether/ethertest"
	"ringo/drivers/virtio/virtiotest"
)

// all is what a device with everything offers.
const all = featureChecksum | featureGuestChecksum | guestTSO | featureTSO4 | featureTSO6 | featureMerge

type rig struct {
	*nictest.Rig
	dev *ethertest.Device

	mu    sync.Mutex
	lines []string
}

func (r *rig) log(line string) {
	r.mu.Lock()
	r.lines = append(r.lines, line)
	r.mu.Unlock()
}

func (r *rig) said(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

func start(t *testing.T, features uint64, change func(*ethertest.Device)) *rig {
	t.Helper()
	r := &rig{dev: ethertest.New(features), Rig: new(nictest.Rig)}
	r.dev.Sent, r.Receive = r.Rig.Sent, r.dev.Receive
	if change != nil {
		change(r.dev)
	}
	c, err := Start(r.dev.Function(r.log))
	if err != nil {
		t.Fatal(err)
	}
	r.Dev = c
	r.Start()
	t.Cleanup(func() {
		c.Close()
		if w := r.dev.Wrongs(); len(w) > 0 {
			t.Errorf("the driver does what it must not: %q", w[:min(len(w), 5)])
		}
		if r.dev.Receive(make([]byte, 60)) {
			t.Error("it has memory of ours after its end")
		}
	})
	nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up || r.Dev.Dead() != nil })
	return r
}

func TestFrames(t *testing.T) {
	for _, features := range []uint64{0, all, all &^ featureMerge, featureMerge, guestTSO | featureGuestChecksum} {
		t.Run(fmt.Sprintf("%x", features), func(t *testing.T) {
			t.Parallel()
			r := start(t, features, nil)
			r.Both(t, 10_000)
			if i := r.Dev.Info(); i.MAC != r.dev.MAC || i.Segment != (features&featureTSO4 != 0) || i.Verifies != (features&featureGuestChecksum != 0) {
				t.Errorf("%+v", i)
			}
		})
	}
	t.Run("no messages", func(t *testing.T) {
		t.Parallel()
		r := start(t, all, func(d *ethertest.Device) { d.Messages = 0 })
		r.Both(t, 2000)
		if r.said("it is asked every millisecond") != 1 {
			t.Errorf("%q", r.lines)
		}
	})
	t.Run("messages for receiving only", func(t *testing.T) {
		t.Parallel()
		start(t, all, func(d *ethertest.Device) { d.Messages = 2 }).Both(t, 2000)
	})
}

// TestLarge receives frames that the device has joined, in many buffers.
func TestLarge(t *testing.T) {
	t.Run("256", func(t *testing.T) { large(t, 256, 64_000) })
	t.Run("16", func(t *testing.T) { large(t, 16, 30_000) })
}

// large receives frames of at most so many bytes by a queue of a size.
func large(t *testing.T, size, most int) {
	t.Parallel()
	r := start(t, all, func(d *ethertest.Device) { d.Sizes[0] = size })
	rnd := rand.New(rand.NewPCG(3, 3))
	var want [][]byte
	for range 500 {
		b := make([]byte, 60+rnd.IntN(most))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		nictest.Eventually(t, "room", func() bool { return r.Receive(b) })
		want = append(want, b)
	}
	nictest.Eventually(t, "all frames", func() bool { n, _, _, _ := r.Counts(); return n == len(want) })
	i := 0
	r.Frames(func(b []byte) {
		if string(b) != string(want[i]) {
			t.Fatalf("frame %d: %d bytes, want %d", i, len(b), len(want[i]))
		}
		i++
	})
	if _, v, _, _ := r.Counts(); v != len(want) {
		t.Errorf("%d verified", v)
	}
}

// TestPromiscuous: a device without a control queue hands on frames for all addresses.
func TestPromiscuous(t *testing.T) {
	t.Parallel()
	r := start(t, all, nil)
	r.Addresses(t, true)
	r.Dev.Promiscuous(true)
	r.Addresses(t, true)
}

func TestLink(t *testing.T) {
	t.Parallel()
	r := start(t, all, nil)
	r.dev.SetLink(false)
	nictest.Eventually(t, "no link", func() bool { return !r.Dev.Link().Up })
	r.dev.SetLink(true)
	nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
	r.Both(t, 500)
}

// TestFaults: devices that hang, fail, lie, vanish, or refuse.
func TestFaults(t *testing.T) {
	_, f := nictest.Random(rand.New(rand.NewPCG(1, 2)))
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		r := start(t, all, nil)
		r.dev.Hang()
		r.Send(t, f)
		nictest.Eventually(t, "a reset", func() bool { return r.Dev.Counters().Resets == 1 })
		nictest.Eventually(t, "the link", func() bool { return r.Dev.Link().Up })
		r.Both(t, 500)
	})
	t.Run("needs a reset", func(t *testing.T) {
		t.Parallel()
		r := start(t, all, nil)
		r.dev.Die()
		nictest.Eventually(t, "a reset", func() bool { return r.Dev.Counters().Resets == 1 })
		r.Both(t, 500)
	})
	t.Run("vanishes", func(t *testing.T) {
		t.Parallel()
		r := start(t, all, nil)
		r.dev.Vanish()
		nictest.Eventually(t, "its end", func() bool { return errors.Is(r.Dev.Dead(), nic.ErrGone) })
		if r.Dev.Send([]nic.Frame{f}) != 1 || !r.dev.Stopped() || r.said("it is gone") != 1 {
			t.Errorf("%q, stopped: %v", r.lines, r.dev.Stopped())
		}
	})
	t.Run("does not stop", func(t *testing.T) {
		t.Parallel()
		d := ethertest.New(all)
		d.Stick()
		if _, err := Start(d.Function(func(string) {})); err == nil {
			t.Error("it works")
		}
	})
	lies := map[string]ethertest.Lie{
		"no buffers": {Parts: 0xffff}, "more than there are": {Parts: 200}, "a header cut short": {Short: true},
		"another one's": {Fault: &virtiotest.Fault{WrongID: true}}, "nobody's": {Fault: &virtiotest.Fault{Beyond: true}}, "many at once": {Fault: &virtiotest.Fault{Jump: 300}},
	}
	for name, lie := range lies {
		t.Run("lies: "+name, func(t *testing.T) {
			t.Parallel()
			r := start(t, all, func(d *ethertest.Device) { d.Lie = func() ethertest.Lie { return lie } })
			for i := range 4 {
				nictest.Eventually(t, "room", func() bool { return r.Receive(make([]byte, 60)) || r.Dev.Dead() != nil })
				nictest.Eventually(t, "a reset, or the end", func() bool { return r.Dev.Counters().Resets >= uint64(i+1) || r.Dev.Dead() != nil })
			}
			nictest.Eventually(t, "its end", func() bool { return errors.Is(r.Dev.Dead(), nic.ErrDevice) })
		})
	}
}
