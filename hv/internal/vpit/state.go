// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpit

import "errors"

// State is everything a guest can notice: for save, restore and migration.
// Counters are exported as if they stood still: Held is their position, and
// they go on from there when imported.
type State struct {
	Channel [3]channel
	Speaker uint8
}

// ErrState says that a State is not one that Export made.
var ErrState = errors.New("vpit: impossible saved state")

// Export returns the state of p at clock now.
func (p *PIT) Export(now uint64) State {
	p.lock(allChannels)
	defer p.unlock(allChannels)
	s := State{Channel: p.ch, Speaker: p.speaker}
	for i := range s.Channel {
		c := &s.Channel[i]
		c.Held, c.start = min(c.elapsed(p, now), maxHeld), 0
	}
	return s
}

// maxHeld is a bound on Held that no guest reaches (years), and that keeps all
// sums far from the end of 64 bits.
const maxHeld = 1 << 48

// Import puts p into state s at clock now. s is checked as if a guest had made
// it up; on error p is unchanged.
func (p *PIT) Import(s *State, now uint64) error {
	for i := range s.Channel {
		c := &s.Channel[i]
		if c.Mode > 5 || c.RW < rwLow || c.RW > rwBoth || c.Count > 1<<16 || c.Latch > 2 ||
			c.Held > maxHeld || c.Running && c.Count == 0 || i != 2 && !c.Gate {
			return ErrState
		}
	}
	if s.Speaker > 0xf || s.Channel[2].Gate != (s.Speaker&1 != 0) {
		return ErrState
	}
	p.lock(allChannels)
	p.ch, p.speaker = s.Channel, s.Speaker
	for i := range p.ch {
		p.ch[i].start = now
	}
	p.arm(now)
	p.unlock(allChannels)
	return nil
}
