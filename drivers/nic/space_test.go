// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"math/rand/v2"
	"testing"

	"ringo/drivers/dma"
)

// TestSpace hands out and takes back in random order: no two pieces overlap, each is
// within the memory, and in the end all of it is free.
func TestSpace(t *testing.T) {
	const size = 64 << 10
	rnd := rand.New(rand.NewPCG(1, 2))
	mem := dma.Segment{Addr: 0x4000_0000, Bytes: make([]byte, size)}
	s := NewSpace(mem, 32)
	type held struct {
		seg    dma.Segment
		ticket int
		mark   byte
	}
	var all []held
	full := 0
	for i := range 200_000 {
		if rnd.IntN(2) == 0 {
			n := 1 + rnd.IntN(1514)
			if rnd.IntN(10) == 0 {
				n = 1 + rnd.IntN(size/2)
			}
			seg, ticket, ok := s.Get(n)
			if !ok {
				full++
			} else {
				if len(seg.Bytes) != n || seg.Addr%spaceAlign != 0 || &seg.Bytes[0] != &mem.Bytes[seg.Addr-mem.Addr] {
					t.Fatalf("%d bytes: %d at %#x", n, len(seg.Bytes), seg.Addr)
				}
				for j := range seg.Bytes {
					seg.Bytes[j] = byte(i)
				}
				all = append(all, held{seg, ticket, byte(i)})
			}
		}
		if len(all) > 0 && rnd.IntN(2) == 0 {
			j := 0
			if rnd.IntN(4) == 0 {
				j = rnd.IntN(len(all))
			}
			h := all[j]
			if h.seg.Bytes[0] != h.mark || h.seg.Bytes[len(h.seg.Bytes)-1] != h.mark {
				t.Fatal("a piece was handed out twice")
			}
			s.Put(h.ticket)
			all = append(all[:j], all[j+1:]...)
		}
	}
	for _, h := range all {
		s.Put(h.ticket)
	}
	if _, _, ok := s.Get(size); !ok || full == 0 {
		t.Errorf("a free space has no room for itself; it was full %d times", full)
	}
	if _, _, ok := s.Get(size + 1); ok {
		t.Error("more than there is")
	}
}

func TestMAC(t *testing.T) {
	m := MAC{0x52, 0x54, 0, 0x12, 0x34, 0x5f}
	if m.String() != "52:54:00:12:34:5f" || !m.Valid() || (MAC{}).Valid() || (MAC{1}).Valid() {
		t.Errorf("%v", m)
	}
}
