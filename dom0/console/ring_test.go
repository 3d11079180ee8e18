// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"strings"
	"sync"
	"testing"
)

func TestRing(t *testing.T) {
	r := new(Ring)
	buf := make([]byte, 100)
	if n, first := r.Read(buf, 0); n != 0 || first != 0 {
		t.Fatal(n, first)
	}
	for i := range 50 {
		r.Put(byte(i))
	}
	n, first := r.Read(buf, 3)
	if n != 47 || first != 3 || buf[0] != 3 || buf[46] != 49 {
		t.Fatal(n, first, buf[:n])
	}
	for i := 50; i < 3*ringSize; i++ {
		r.Put(byte(i))
	}
	n, first = r.Read(buf, 0)
	if n != 100 || first != 3*ringSize-ringKeeps || buf[0] != byte(first&0xff) {
		t.Fatal(n, first, buf[0])
	}
	if kept := r.End() - first; kept < Scrollback {
		t.Errorf("%d bytes kept", kept)
	}
	if n, first = r.Read(buf, r.End()+5); n != 0 || first != r.End()+5 {
		t.Error(n, first)
	}
}

// Readers that are overtaken again and again see gaps, never wrong bytes.
func TestRingReaders(t *testing.T) {
	r := new(Ring)
	value := func(i uint64) byte { return byte(i ^ i>>8 ^ i>>16) }
	total := uint64(20 * ringSize)
	if testing.Short() {
		total /= 4
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			buf := make([]byte, 5000)
			for off := uint64(0); off < total; {
				changed := r.Changed()
				n, first := r.Read(buf, off)
				if n == 0 {
					<-changed
					continue
				}
				for i, b := range buf[:n] {
					if b != value(first+uint64(i)) {
						t.Errorf("byte %d is %d, want %d", first+uint64(i), b, value(first+uint64(i)))
						return
					}
				}
				off = first + uint64(n)
			}
		})
	}
	for i := range total {
		r.Put(value(i))
	}
	wg.Wait()
}

func TestRingAllocations(t *testing.T) {
	r := new(Ring)
	if n := testing.AllocsPerRun(1000, func() { r.Put('x') }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPut(b *testing.B) {
	r := new(Ring)
	for b.Loop() {
		r.Put('x')
	}
}

// A replay that cannot begin at the beginning begins with a line.
func TestReplay(t *testing.T) {
	g := NewGuest()
	for i := range 3000 {
		put(g, strings.Repeat(string(rune('a'+i%26)), 40)+"\r\n")
	}
	put(g, "the end")
	r := newRig(t, g)
	r.typed("console\n")
	r.s.wait(t, "the end")
	_, shown, _ := strings.Cut(r.s.String(), "Ctrl-]\r\n")
	first, _, _ := strings.Cut(shown, "\r\n")
	if len(first) != 40 || len(shown) < Scrollback-100 {
		t.Errorf("%d bytes replayed, from %q", len(shown), first)
	}
}
