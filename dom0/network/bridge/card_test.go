// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package bridge

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/drivers/nic"
	"ringo/drivers/nic/nictest"
)

// TestCard: the stack of dom0 gets what is for it, one goroutine at a time, also what comes
// while it sends or works.
func TestCard(t *testing.T) {
	s := New("lan")
	c := NewCard(s, "gateway", mac(9))
	var inside, got atomic.Int64
	guest, k := join(t, s, Options{MAC: mac(1)})
	c.Start(nic.Handler{Receive: func(frames []nic.Frame) {
		if inside.Add(1) != 1 {
			t.Error("two are inside")
		}
		for i := range frames {
			b := make([]byte, frames[i].Len())
			frames[i].CopyTo(b)
			if nic.MAC(b) != mac(9) || !frames[i].Verified {
				t.Errorf("%x", b)
			}
			c.Send(whole(frame(nic.MAC(b[6:12]), mac(9), 0x88b5, b[14:]...)))
		}
		got.Add(int64(len(frames)))
		inside.Add(-1)
	}})
	var want []string
	var wg sync.WaitGroup
	for i := range byte(100) {
		want = append(want, string(frame(mac(1), mac(9), 0x88b5, i)))
	}
	for range 3 {
		p, _ := s.Join(&quiet{}, Options{Unfiltered: true})
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 1000 {
				f := whole(frame(mac(9), nic.MAC{2, 7}, 0x88b5, 1))
				f[0].Verified = true
				p.Send(f)
			}
		}()
	}
	wg.Wait()
	nictest.Eventually(t, "nobody inside", func() bool {
		return got.Load()+int64(c.Counters().RxDropped) == 3000
	})
	for i := range byte(100) {
		f := whole(frame(mac(9), mac(1), 0x88b5, i))
		f[0].Verified = true
		guest.Send(f)
	}
	if diff := cmp.Diff(want, k.take()); diff != "" {
		t.Error(diff)
	}
	n := c.Counters()
	if n.RxFrames != 3100 || n.TxFrames != 3100-n.RxDropped {
		t.Errorf("%+v", n)
	}
	c.Close()
	guest.Send(whole(frame(mac(9), mac(1), 0x88b5)))
	c.Send(whole(frame(mac(1), mac(9), 0x88b5)))
	if !errors.Is(c.Dead(), nic.ErrGone) || c.Link().Up || len(k.take()) > 0 || c.Counters().RxFrames != 3100 {
		t.Errorf("%v, %+v", c.Dead(), c.Counters())
	}
	c.Close()
}

// TestCardQueue: what comes while the stack works waits, as it was, for as long as there
// is room, and the stack's panic loses the frames of that call only.
func TestCardQueue(t *testing.T) {
	s := New("lan")
	c := NewCard(s, "gateway", mac(9))
	p, _ := s.Join(&quiet{}, Options{MAC: mac(1)})
	var got []string
	var calls int
	more := 10
	done := make(chan struct{}, 20)
	c.Start(nic.Handler{Receive: func(frames []nic.Frame) {
		calls++
		for i := range frames {
			b := make([]byte, frames[i].Len())
			frames[i].CopyTo(b)
			got = append(got, string(b))
		}
		if more--; more >= 0 {
			p.Send(whole(frame(mac(9), mac(1), 0x88b5, byte(more), 1, 2, 3)))
		}
		done <- struct{}{}
		if more == 5 {
			panic("a mistake")
		}
	}})
	p.Send(whole(frame(mac(9), mac(1), 0x88b5, 10, 1, 2, 3)))
	for range 11 {
		<-done
	}
	var want []string
	for i := range byte(11) {
		want = append(want, string(frame(mac(9), mac(1), 0x88b5, 10-i, 1, 2, 3)))
	}
	nictest.Eventually(t, "the end", func() bool { return c.Counters().RxDropped == 1 })
	c.Close()
	if diff := cmp.Diff(want, got); diff != "" || calls != 11 {
		t.Errorf("%d calls\n%s", calls, diff)
	}

	bounded := NewCard(s, "bounded", mac(8))
	n := 0
	bounded.Start(nic.Handler{Receive: func(frames []nic.Frame) {
		if n += len(frames); n > 1 {
			return
		}
		for range waitFrames + 44 {
			p.Send(whole(frame(mac(8), mac(1), 0x88b5)))
		}
	}})
	p.Send(whole(frame(mac(8), mac(1), 0x88b5)))
	bounded.Close()
	if lost := bounded.Counters().RxDropped; n != waitFrames+1 || lost != 44 {
		t.Errorf("%d frames, %d lost", n, lost)
	}
	if d := NewCard(s, "second", mac(1)); d.Dead() == nil || d.Link().Up || d.Send(whole(frame(mac(1), mac(1), 0))) != 1 {
		t.Error("a card whose address somebody has")
	}
}
