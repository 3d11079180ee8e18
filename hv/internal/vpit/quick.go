// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpit

import "sync/atomic"

// quick is what reading a live count takes of its channel, for readers without the lock.
// Such a read changes one thing, which of the two bytes is next. That is a bit of word,
// so that the exchange which changes it also says that nothing else has changed since
// the reader looked.
type quick struct {
	p    *PIT
	i    uint8 // of the channel
	word atomic.Uint64
	// If word is open: the channel's (start is never for one that stands), and what the
	// read of a byte changes in word.
	start, held, count, mode, flip atomic.Uint64
}

// quick.word: by how much to shift for the next byte, a bit, and how often the channel
// was closed.
const (
	quickShift = 1<<6 - 1
	quickHigh  = 8
	quickOpen  = 1 << 6 // nothing is latched, nobody has the lock
	quickStep  = 1 << 7
)

// allChannels is what lock and unlock take, a bit for each channel.
const allChannels = 1<<0 | 1<<1 | 1<<2

// lock is for whatever changes channels, or wants to know which byte is next.
func (p *PIT) lock(channels uint8) {
	p.mu.Lock()
	for i := range p.ch {
		if channels>>i&1 != 0 {
			p.ch[i].close(p.quick[i])
		}
	}
}

// unlock gives back what lock has taken.
func (p *PIT) unlock(channels uint8) {
	for i := range p.ch {
		if channels>>i&1 != 0 {
			p.ch[i].open(p.quick[i])
		}
	}
	p.mu.Unlock()
}

// close takes the channel back from readers without the lock. The caller holds it.
func (c *channel) close(q *quick) {
	w := q.word.Load()
	for !q.word.CompareAndSwap(w, w&^quickOpen+quickStep) {
		w = q.word.Load()
	}
	if w&quickOpen != 0 && c.RW == rwBoth {
		c.HalfRead = w&quickShift != 0
	}
}

// open lets others read the channel, if it has nothing to read but its count. The caller
// holds the lock.
func (c *channel) open(q *quick) {
	if c.HasStatus || c.Latch != 0 {
		return
	}
	start, flip := uint64(never), uint64(0)
	if c.Running {
		start = c.start
	}
	w := q.word.Load()&^quickShift | quickOpen
	if c.RW == rwHigh || c.RW == rwBoth && c.HalfRead {
		w |= quickHigh
	}
	if c.RW == rwBoth {
		flip = quickHigh
	}
	q.start.Store(start)
	q.held.Store(c.Held)
	q.count.Store(uint64(c.Count))
	q.mode.Store(uint64(c.Mode))
	q.flip.Store(flip)
	q.word.Store(w)
}
