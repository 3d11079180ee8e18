// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpit

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestQuickRead compares reads without the lock with reads under it, on two chips with
// the same life, and sees to it that most live counts are read without.
func TestQuickRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	a, b := newMachine(hz), newMachine(hz)
	open, live := 0, 0
	for n := range 200_000 {
		switch rnd.IntN(8) {
		case 0, 1:
			port, v := rnd.Uint64N(4), rnd.Uint64()&0xff
			a.out(port, v)
			b.out(port, v)
		case 2:
			v := rnd.Uint64()
			a.p61.Write(0, 1, v, a.now())
			b.p61.Write(0, 1, v, b.now())
		case 3:
			*a.c += clock(rnd.Uint64() >> (20 + rnd.IntN(40)))
			*b.c = *a.c
			a.Tick(a.now())
			b.Tick(b.now())
		default:
			port := rnd.IntN(4)
			if port < 3 {
				c := a.Export(a.now()).Channel[port]
				if c.Latch == 0 && !c.HasStatus {
					live++
					open += int(a.quick[port].word.Load() / quickOpen & 1)
				}
			}
			// Another CPU's clock may lag behind.
			now := a.now() - min(a.now(), rnd.Uint64N(3)*1500)
			got, want := a.io.Read(uint64(port), 1, now), b.read(uint8(port), now)
			if got != want {
				t.Fatalf("step %d: port %d reads %#x without the lock, %#x with it", n, port, got, want)
			}
		}
		if x, y := a.Export(a.now()), b.Export(b.now()); x != y {
			t.Fatalf("step %d: %+v after reads without the lock, %+v with it", n, x, y)
		}
	}
	if open != live || live < 10_000 {
		t.Errorf("%d of %d live counts were read without the lock", open, live)
	}
}

// TestQuickReadRace has CPUs read the bytes of a count that stands while another one
// changes a different channel, latches this one and loads it: each byte is one of the
// count's, and every read turns to the other byte.
func TestQuickReadRace(t *testing.T) {
	m := newMachine(hz)
	m.out(3, 0xb0)       // channel 2, whose gate is closed: it stands
	m.out(2, 0xa5, 0x5a) // its count
	var wg sync.WaitGroup
	var low, high atomic.Uint64
	for range 4 {
		wg.Go(func() {
			for range 20_000 {
				switch v := m.io.Read(2, 1, 0) & 0xff; v {
				case 0xa5:
					low.Add(1)
				case 0x5a:
					high.Add(1)
				default:
					t.Errorf("a byte %#x of nobody's", v)
				}
			}
		})
	}
	for i := range uint64(5000) {
		m.out(3, 0x34, 0xd8) // a mode of channel 0; latch the count of channel 2
		m.out(0, i, 1)
		m.p61.Write(0, 1, i&2, 0)
	}
	wg.Wait()
	if low.Load() != high.Load() {
		t.Errorf("%d low bytes and %d high ones", low.Load(), high.Load())
	}
}
