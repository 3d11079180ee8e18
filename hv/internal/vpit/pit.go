// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vpit is the 8254 interval timer of a PC and the system control port
// 0x61 in front of its channel 2 (Intel 8254 data sheet; 82371AB data sheet,
// "NMISC—NMI Status and Control Register"). Channel 0 drives interrupt line 0;
// operating systems measure the TSC against channel 2.
//
// Counters are functions of time, computed when somebody looks. Only channel 0
// has a deadline. BCD counting is remembered and counted in binary.
//
//	if d, ok := pit.Deadline(); ok && now >= d { pit.Tick(now) }
//
// What a hostile guest can do here:
//
//	count 1, 2: an interrupt per microsecond  -> deadlines at least minGapNS apart,
//	                                             missed ones are one interrupt
//	any order of control words and bytes      -> a state of the chip
//	polls of port 0x61                        -> its own exits
package vpit

import (
	"math"
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/bus"
)

const (
	// minGapNS bounds how often channel 0 can make hv work.
	minGapNS = 200_000
	never    = math.MaxUint64
	// refresh is the half period of the refresh toggle, in counts: 15 us.
	refresh = 18
)

// PIT is one timer chip. Methods may be called from any CPU.
type PIT struct {
	rate bus.Rate // from the host's TSC to counts
	gap  uint64   // minGapNS in ticks of the TSC
	irq  bus.Line
	kick bus.Kicker
	next atomic.Uint64 // deadline; never = none

	// mu comes before the locks of the interrupt controllers behind irq.
	mu      sync.Mutex
	ch      [3]channel
	speaker uint8 // port 0x61, bits 3:0

	quick [4]*quick // of each channel; the fourth stays closed
}

// New makes a timer in which nothing counts. hz is the rate of the host's
// TSC, at least [MinHz]; irq is line 0; kick hears when the deadline moves closer.
func New(hz uint64, irq bus.Line, kick bus.Kicker) *PIT {
	hz = max(hz, MinHz)
	p := &PIT{rate: bus.NewRate(abi.PITHz, hz), gap: hz / (1e9 / minGapNS), irq: irq, kick: kick}
	for i := range p.quick {
		p.quick[i] = &quick{p: p, i: uint8(i)}
	}
	p.Reset()
	return p
}

// MinHz is the slowest clock that the arithmetic supports: faster than the PIT.
const MinHz = 2_000_000

// Reset stops all channels.
func (p *PIT) Reset() {
	p.lock(allChannels)
	for i := range p.ch {
		p.ch[i] = channel{Mode: 3, RW: rwBoth, Gate: i != 2}
	}
	p.speaker = 0
	p.next.Store(never)
	p.irq.Set(false)
	p.unlock(allChannels)
}

// Deadline returns the host's TSC at which Tick has something to do. ok is false
// when there is no such time.
func (p *PIT) Deadline() (tsc uint64, ok bool) {
	d := p.next.Load()
	return d, d != never
}

// Tick raises line 0 if channel 0 is due at now, the host's TSC.
func (p *PIT) Tick(now uint64) {
	if now < p.next.Load() {
		return
	}
	p.mu.Lock()
	if d := p.next.Load(); d != never && now >= d {
		p.irq.Set(false) // the interrupt is the rising edge
		p.irq.Set(true)
		p.arm(now)
	}
	p.mu.Unlock()
}

// arm computes the deadline of channel 0: the next rising edge of its output
// after now. The caller holds mu.
func (p *PIT) arm(now uint64) {
	c := &p.ch[0]
	next := uint64(never)
	if c.Running {
		n, ok := c.nextEdge(c.elapsed(p, now))
		if ok {
			next = c.start + p.rate.Span(n-c.Held)
			if c.Mode == 2 || c.Mode == 3 { // the others need an exit per interrupt
				next = max(next, now+p.gap)
			}
		}
	}
	closer := next < p.next.Swap(next)
	if closer {
		p.kick.Kick()
	}
}

// counters is the four ports from 0x40 as a bus.Device.
type counters struct{ p *PIT }

// Ports returns the device for the four ports from abi.PortPIT. It allocates:
// for construction only.
func (p *PIT) Ports() bus.Device { return counters{p} }

// Read is a byte read of a counter; the control word is write-only. What is read most,
// a count that is not latched, takes no lock.
func (d counters) Read(off uint64, _ uint8, now uint64) uint64 {
	rate, q := d.p.rate, d.p.quick[off&3]
	if w := q.word.Load(); w&quickOpen != 0 {
		e := q.held.Load()
		if at := q.start.Load(); now >= at {
			e += rate.Counts(now - at)
		}
		v := value(q.mode.Load(), q.count.Load(), e) >> (w & quickShift)
		if q.word.CompareAndSwap(w, w^q.flip.Load()) {
			return v | ^uint64(0xff)
		}
	}
	return q.p.read(q.i, now)
}

// read is the read of a counter, or of the control word, under the lock.
func (p *PIT) read(i uint8, now uint64) uint64 {
	if i >= 3 {
		return ^uint64(0)
	}
	p.lock(1 << i)
	v := p.ch[i].read(p, now)
	p.unlock(1 << i)
	return uint64(v) | ^uint64(0xff)
}

// Write writes a byte of a counter, or the control word.
func (d counters) Write(off uint64, _ uint8, val, now uint64) {
	p, v := d.p, uint8(val)
	if off &= 3; off == 3 {
		p.control(v, now)
		return
	}
	p.lock(1 << off)
	if p.ch[off].write(v, now) && off == 0 {
		p.restart(now)
	}
	p.unlock(1 << off)
}

// control is the control word: mode of a channel, latch, or read-back.
func (p *PIT) control(v uint8, now uint64) {
	n := v >> 6
	channels := uint8(1) << n
	if n == 3 {
		channels = v >> 1 & allChannels
	}
	p.lock(channels)
	switch {
	case n == 3: // read-back command
		for i := range p.ch {
			if channels>>i&1 != 0 {
				p.ch[i].readBack(p, now, v&0x20 == 0, v&0x10 == 0)
			}
		}
	case v&0x30 == 0:
		p.ch[n].latch(p, now)
	default:
		p.ch[n].control(v)
		if n == 0 {
			p.restart(now)
		}
	}
	p.unlock(channels)
}

// restart follows a new mode or count of channel 0.
func (p *PIT) restart(now uint64) {
	p.irq.Set(false)
	p.arm(now)
}

// port61 is the system control port as a bus.Device.
type port61 struct{ p *PIT }

// Speaker returns the device for port 0x61. It allocates: for construction only.
func (p *PIT) Speaker() bus.Device { return port61{p} }

// Read shows gate and speaker enable (bits 0, 1), the refresh toggle (4) and
// the output of channel 2 (5).
func (d port61) Read(_ uint64, _ uint8, now uint64) uint64 {
	p := d.p
	p.mu.Lock()
	v := p.speaker
	if p.rate.Counts(now)/refresh&1 != 0 {
		v |= 1 << 4
	}
	c := &p.ch[2]
	if c.output(c.elapsed(p, now)) {
		v |= 1 << 5
	}
	p.mu.Unlock()
	return uint64(v) | ^uint64(0xff)
}

// Write sets the gate of channel 2 (bit 0) and three bits without effect.
func (d port61) Write(_ uint64, _ uint8, val, now uint64) {
	p := d.p
	p.lock(1 << 2)
	p.speaker = uint8(val) & 0xf
	p.ch[2].setGate(p, val&1 != 0, now)
	p.unlock(1 << 2)
}
