// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guestmem

import (
	"math"
	"sync/atomic"
	"testing"
)

func TestRAM(t *testing.T) {
	low, high := make([]byte, 0x1000), make([]byte, 0x2000)
	m := New([]Extent{{1 << 32, 0x8000, high}, {0x1000, 0x4000, low}})
	for _, c := range []struct {
		a, n uint64
		want []byte
	}{
		{0x1000, 16, low[:16]},
		{0x1fff, 16, low[0xfff:]}, // the rest is elsewhere
		{1 << 32, math.MaxUint64, high},
		{1<<32 + 0x1ff0, 8, high[0x1ff0:0x1ff8]},
		{0, 1, nil}, {0xfff, 2, nil}, {0x2000, 1, nil}, {1<<32 + 0x2000, 1, nil}, {math.MaxUint64, 1, nil}, {0x1000, 0, nil},
	} {
		got := m.RAM(c.a, c.n)
		if len(got) != len(c.want) || len(got) > 0 && &got[0] != &c.want[0] || cap(got) != len(got) {
			t.Errorf("RAM(%#x, %#x): %d bytes, want %d", c.a, c.n, len(got), len(c.want))
		}
	}
	if s := m.Segment(1<<32+0x1800, 16); s.Addr != 0x9800 || len(s.Bytes) != 16 {
		t.Errorf("a segment at %#x", s.Addr)
	}
	if New(nil).RAM(0, 1) != nil {
		t.Error("no memory has RAM")
	}
	if n := testing.AllocsPerRun(100, func() { m.RAM(0x1800, 8); m.Pin(); m.Unpin() }); n != 0 {
		t.Errorf("an access allocates %v times", n)
	}
}

func TestPins(t *testing.T) {
	m := New(nil)
	if !m.Pin() || !m.Pin() {
		t.Fatal("no pin")
	}
	var closed atomic.Bool
	done := make(chan bool)
	go func() {
		m.Close()
		closed.Store(true)
		close(done)
	}()
	for m.Pin() { // until Close has begun
		m.Unpin()
	}
	m.Unpin()
	if closed.Load() {
		t.Error("closed while pinned")
	}
	m.Unpin()
	<-done
	if m.Pin() {
		t.Error("pinned after Close")
	}
	m.Close()
}
