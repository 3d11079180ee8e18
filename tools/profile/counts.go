// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// rounds is how many times the guest's loop is looked at, at most.
const rounds = 200

// counts are the instructions of whole rounds of the guest's loop.
type counts struct {
	syms  symbols
	at    uint64 // where the loop begins
	halt  uint64 // if not 0, a round begins behind the hypervisor's HLT there, and ends at at
	timer uint64 // the timer's handler: a round that begins there is none
	done  [][]place
	open  []place // of the round that has not ended
	began bool
}

// place is an instruction of the hypervisor or of a guest.
type place struct {
	pc    uint64
	guest bool
}

func newCounts(syms symbols, at uint64) *counts { return &counts{syms: syms, at: at} }

// full reports whether enough rounds were seen.
func (c *counts) full() bool { return len(c.done) >= rounds }

// add counts the next instruction.
func (c *counts) add(pc uint64, guest bool) {
	switch {
	case c.halt != 0 && !guest && pc == c.halt:
		c.began, c.open = true, c.open[:0]
		return
	case guest && pc == c.at:
		if c.began {
			c.done = append(c.done, slices.Clone(c.open))
		}
		c.began, c.open = c.halt == 0, c.open[:0]
	case c.halt != 0 && !guest && pc == c.timer && len(c.open) == 0:
		c.began = false
	}
	if c.began {
		c.open = append(c.open, place{pc, guest})
	}
}

// check reports whether there is anything to show.
func (c *counts) check() error {
	if len(c.done) == 0 {
		return errors.New("the trace holds no whole round")
	}
	return nil
}

// shorter returns the rounds of at most the median length, which a timer or another
// program's turn did not interrupt.
func (c *counts) shorter() [][]place {
	all := slices.Clone(c.done)
	slices.SortStableFunc(all, func(a, b []place) int { return len(a) - len(b) })
	return all[:(len(all)+1)/2]
}

// write prints the profile: instructions per round, the most expensive first.
func (c *counts) write(w io.Writer, s settings) error {
	sums := map[string]int{}
	all, total := 0, 0
	for _, r := range c.done {
		all += len(r)
	}
	half := c.shorter()
	for _, r := range half {
		total += len(r)
		for _, p := range r {
			function, line := c.syms.name(p.pc, p.guest)
			if s.byLine {
				function = line
			}
			sums[function]++
		}
	}
	names := make([]string, 0, len(sums))
	for name := range sums {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(sums[b]-sums[a], cmp.Compare(a, b)) })
	per := func(n int) float64 { return float64(n) / float64(len(half)) }
	_, err := fmt.Fprintf(w, "%s: %.1f instructions, the mean of the shorter half of %d rounds; of all %.1f\n",
		s.figure, per(total), len(c.done), float64(all)/float64(len(c.done)))
	for _, name := range names {
		if err == nil {
			_, err = fmt.Fprintf(w, "%9.1f %5.1f%%  %s\n", per(sums[name]), 100*float64(sums[name])/float64(total), name)
		}
	}
	return err
}
