// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pci

import (
	"sync/atomic"

	"ringo/hv/abi"
)

// An interrupt that comes so often within so many nanoseconds is kept away for as long, so
// that it takes a part of a CPU only. A network card that is told to has 20,000 a second at
// most, a fast disk a tenth of what a message may have. Those are counted that the runner
// has taken, and a device that ignores its mask is not stopped.
const (
	StormTime    = 20e6
	stormLine    = 1000
	stormMessage = 4000
)

// pace is how fast a vector's interrupts come.
type pace struct {
	count atomic.Uint32
	since atomic.Uint64 // when the last burst began
	storm atomic.Bool   // it is to rest
}

// fast counts an interrupt, and reports whether n of them have come too fast.
func (p *pace) fast(n uint32, now func() uint64) bool {
	if p.count.Add(1)%n != 0 {
		return false
	}
	t := now()
	return t-p.since.Swap(t) < StormTime
}

// keepAway says that a vector is to rest.
func (t *Table) keepAway(vector uint8) {
	t.paces[vector].storm.Store(true)
	select {
	case t.storm <- struct{}{}:
	default:
	}
}

// Calm keeps interrupts away that come too fast, and lets them come again; sleep lets
// StormTime pass. It does not return, unless the table's channel is closed.
func (t *Table) Calm(sleep func()) {
	for range t.storm {
		var resting [256]bool
		for v := range t.paces {
			resting[v] = t.paces[v].storm.Swap(false)
		}
		t.each(&resting, t.rest)
		sleep()
		t.mu.Lock()
		for i := range t.lines {
			t.free(&t.lines[i], rest)
		}
		t.mu.Unlock()
		t.each(&resting, t.wake)
	}
}

// each calls f for all interrupts of some vectors.
func (t *Table) each(vectors *[256]bool, f func(q *irq)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h := range t.irqs {
		if q := &t.irqs[h]; q.vector != 0 && vectors[q.vector] {
			f(q)
		}
	}
}

// rest keeps an interrupt away. A line that is level-triggered is held back already.
//
// Preconditions: t.mu is held, as for wake.
func (t *Table) rest(q *irq) {
	if d := &t.devices[q.function]; !d.told {
		d.told = true
		t.host.Storm(t.Functions[q.function].Addr)
	}
	if q.kind != abi.IRQLine {
		q.resting = true
		t.mask(q, true)
	} else if l := &t.lines[q.line]; l.edge {
		l.change(0, rest)
		t.host.MaskPin(q.vector)
	}
}

// wake lets an interrupt come again; lines do already. What came meanwhile may have been
// lost, unless it is a level.
func (t *Table) wake(q *irq) {
	q.resting = false
	switch {
	case q.masked, q.kind == abi.IRQLine && !t.lines[q.line].edge:
		return
	case q.kind != abi.IRQLine:
		t.mask(q, false)
	}
	t.host.Raise(q.port)
}
