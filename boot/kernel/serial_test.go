// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"strings"
	"testing"
)

// chip is a 16550 as an interrupt handler sees it.
type chip struct {
	fifo, later string // received; what comes when the status has been read, at most 16 at once
	cause       uint8  // of an interrupt beside received characters, IIR; 0 none
	overrun     bool
	dead        bool // every register reads 0xff
	stuck       bool // there is always a character
	reads       int
}

func (c *chip) read(reg uint16) uint8 {
	c.reads++
	switch {
	case c.dead:
		return 0xff
	case reg == regRBR && c.stuck:
		return 'x'
	case reg == regRBR:
		b := c.fifo[0]
		c.fifo = c.fifo[1:]
		return b
	case reg == regIIR:
		if len(c.fifo) > 0 || c.stuck {
			return 4
		}
		v := c.cause | iirIdle
		if c.cause != 0 {
			v = c.cause
		}
		c.cause = 0
		return v
	}
	v := uint8(lsrTHRE | lsrTEMT)
	if c.overrun {
		v |= lsrOverrun
		c.overrun = false
	}
	if len(c.fifo) > 0 || c.stuck {
		v |= lsrData
	} else {
		n := min(fifoSize, len(c.later))
		c.fifo, c.later = c.later[:n], c.later[n:]
	}
	return v
}

// interrupt serves one interrupt of c.
func (r *receiver) interrupt(c *chip) {
	for b := (burst{regLSR, burstMost}); b.reg != regNone; {
		r.step(&b, c.read(b.reg))
	}
}

func TestSerialBurst(t *testing.T) {
	const text = "0123456789abcdef"
	for _, c := range []struct {
		name     string
		chip     chip
		want     string
		overruns uint64
		more     uint32
		reads    int // at most
	}{
		{"nothing", chip{}, "", 0, 0, 2},
		{"full FIFO", chip{fifo: text}, text, 0, 0, 40},
		{"one comes behind the status", chip{fifo: "a", later: "b"}, "ab", 0, 0, 10},
		{"transmitter", chip{cause: 2}, "", 0, 0, 4},
		{"transmitter and characters", chip{cause: 2, fifo: "ab", later: "cd"}, "abcd", 0, 0, 20},
		{"overrun", chip{fifo: text, overrun: true}, text, 1, 0, 40},
		{"longer than a burst", chip{fifo: text, later: strings.Repeat(text, 10)}, strings.Repeat(text, 4)[:burstMost-3], 0, 1, 3 * burstMost},
		{"nobody there", chip{dead: true}, "", 0, 0, 1},
		{"stuck", chip{stuck: true}, strings.Repeat("x", burstMost), 0, 1, 2 * burstMost},
	} {
		r := &receiver{}
		r.interrupt(&c.chip)
		b := make([]byte, serialRing)
		if got := string(b[:r.read(b)]); got != c.want || r.overruns != c.overruns || r.more != c.more || c.chip.reads > c.reads {
			t.Errorf("%s: %q (%d overruns, more %d, %d reads)\nwant %q (%d, %d, at most %d)", c.name,
				got, r.overruns, r.more, c.chip.reads, c.want, c.overruns, c.more, c.reads)
		}
	}
}

// TestSerialRing: what nobody reads is counted, and the oldest stays.
func TestSerialRing(t *testing.T) {
	r := &receiver{}
	for range 3 { // round the ring's end
		for i := range serialRing + 10 {
			r.put(uint8(i))
		}
		n := 0
		b := make([]byte, 100)
		for k := r.read(b); k > 0; k = r.read(b) {
			for _, c := range b[:k] {
				if c != uint8(n) {
					t.Fatalf("byte %d is %d", n, c)
				}
				n++
			}
		}
		if n != serialRing {
			t.Errorf("%d bytes, want %d", n, serialRing)
		}
	}
	if r.dropped != 30 {
		t.Errorf("%d dropped, want 30", r.dropped)
	}
}
