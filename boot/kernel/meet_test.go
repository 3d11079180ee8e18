// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// fakeCounter is a CPU whose counter is off ticks ahead, seen through messages that
// take some time each way. One in busy of them takes a thousand times as long.
type fakeCounter struct {
	rng       *rand.Rand
	now       uint64 // the asking CPU's counter
	off       int64
	way, busy int
	stuck     bool // adjusting does nothing
	reads     int  // so far
	silent    int  // after so many reads, if not 0
}

func (c *fakeCounter) delay() {
	d := 1 + c.rng.IntN(c.way)
	if c.rng.IntN(c.busy) == 0 {
		d *= 1000
	}
	c.now += uint64(d)
}

func (c *fakeCounter) read() (asked, stamp, heard uint64, ok bool) {
	if c.reads++; c.silent != 0 && c.reads > c.silent {
		return 0, 0, 0, false
	}
	asked = c.now
	c.delay()
	stamp = c.now + uint64(c.off)
	c.delay()
	return asked, stamp, c.now, true
}

func (c *fakeCounter) adjust(by int64) bool {
	if !c.stuck {
		c.off += by
	}
	return true
}

// What is measured holds what is true, however long messages take, and so a counter
// that is right is never touched and never refused.
func TestGapHoldsTheTruth(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := &fakeCounter{rng: rng, now: rng.Uint64(), way: 1 + rng.IntN(1000), busy: 1 + rng.IntN(20)}
		if seed%2 == 0 {
			c.off = rng.Int64N(1<<40) - 1<<39
		}
		off := c.off
		g, err := measure(c, 1+rng.Uint64N(100_000))
		if err != nil || g.lo > off || g.hi < off {
			t.Fatalf("seed %d: %+v for %d, %v", seed, g, off, err)
		}
		by, err := settle(c, seed%4 < 2, 100_000)
		if off == 0 && (by != 0 || err != nil) {
			t.Fatalf("seed %d: a counter that is right was adjusted by %d, %v", seed, by, err)
		}
		if off != 0 && err == nil && c.off != off+by {
			t.Fatalf("seed %d: %d became %d, said to be adjusted by %d", seed, off, c.off, by)
		}
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name   string
		off    int64
		can    bool
		stuck  bool
		silent int
		want   string // in the error
	}{
		{name: "right", can: true},
		{name: "right, for good"},
		{name: "ahead", off: 1_000_000, can: true},
		{name: "behind", off: -1_000_000, can: true},
		{name: "since its reset", off: -1 << 60, can: true},
		{name: "below what can be seen", off: 1},
		{name: "ahead, for good", off: 1_000_000, want: "ticks ahead of the others', and cannot be set right"},
		{name: "behind, for good", off: -1_000_000, want: "ticks behind the others', and cannot be set right"},
		{name: "the adjustment does nothing", off: 5000, can: true, stuck: true, want: "cannot be set right"},
		{name: "silent", silent: 100, want: "answers no more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeCounter{rng: rand.New(rand.NewPCG(1, 2)), now: 1 << 40, off: c.off, way: 300, busy: 50, stuck: c.stuck, silent: c.silent}
			by, err := settle(f, c.can, 1_000_000)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// Nobody can see what is left: no message is faster.
			if f.off > 300 || f.off < -300 || f.off != c.off+by {
				t.Errorf("%d left of %d, adjusted by %d", f.off, c.off, by)
			}
			if (by != 0) != (c.off > 300 || c.off < -300) {
				t.Errorf("adjusted by %d", by)
			}
		})
	}
}

// An emulator that takes long for each answer is asked once.
func TestMeasureEnds(t *testing.T) {
	for way, want := range map[int]int{1_000_000_000: 1, 1: meetRounds} {
		f := &fakeCounter{rng: rand.New(rand.NewPCG(1, 2)), way: way, busy: 1 << 30}
		if _, err := measure(f, 10_000); err != nil || f.reads != want {
			t.Errorf("%d reads, %v; want %d", f.reads, err, want)
		}
	}
}
