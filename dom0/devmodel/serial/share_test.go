// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package serial

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cell is what the hypervisor does for a port.
type cell struct {
	answers, posts bool
	v              byte
}

func (c *cell) Answer(v byte) { *c = cell{answers: true, v: v} }
func (c *cell) Post()         { *c = cell{posts: true} }
func (c *cell) Forward()      { *c = cell{} }

// TestShare drives a UART whose ports have cells, and one without, by the same random
// accesses and input: the guest reads the same, and the same is sent in the end.
// Posted bytes come when something else does, as late as they may.
func TestShare(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		plain, quick := newRig(t), newRig(t)
		var data, status cell
		quick.Share(&data, &status)
		if !data.posts || !status.answers || status.v != lsrEmpty {
			t.Fatalf("after reset: %+v %+v", data, status)
		}
		var posted []byte
		drain := func() {
			for _, b := range posted {
				quick.out(regData, b)
			}
			posted = nil
		}
		saved := 0
		for range 500 {
			reg, v, read := uint64(rnd.IntN(8)), byte(rnd.Uint32()), rnd.IntN(2) == 0
			if rnd.IntN(3) > 0 {
				reg = []uint64{regData, regLSR}[rnd.IntN(2)]
			}
			if reg != regData && rnd.IntN(2) == 0 {
				v &= 0x13 // often without loopback and divisor latch
			}
			switch {
			case rnd.IntN(20) == 0:
				plain.Input([]byte{v})
				quick.Input([]byte{v})
			case !read && reg == regData && data.posts:
				plain.out(reg, v)
				posted = append(posted, v)
				saved++
			case read && reg == regLSR && status.answers:
				if want := plain.in(reg); status.v != want {
					t.Fatalf("seed %d: LSR is answered %#x, want %#x", seed, status.v, want)
				}
				saved++
			case read:
				drain()
				if got, want := quick.in(reg), plain.in(reg); got != want {
					t.Fatalf("seed %d: register %d is %#x, want %#x", seed, reg, got, want)
				}
			default:
				drain()
				plain.out(reg, v)
				quick.out(reg, v)
			}
			if plain.l.level() != quick.l.level() && posted == nil {
				t.Fatalf("seed %d: the line is %v, want %v", seed, quick.l.level(), plain.l.level())
			}
		}
		drain()
		if d := cmp.Diff(plain.s.b, quick.s.b); d != "" {
			t.Fatalf("seed %d: sent: %s", seed, d)
		}
		if saved < 20 {
			t.Errorf("seed %d: %d accesses spared", seed, saved)
		}
	}
}
