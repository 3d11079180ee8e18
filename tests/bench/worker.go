// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"regexp"

	"ringo/tools/emu"
)

// worker is a guest's program that does what lines on its console say, tests/guests/diskio
// or netio. Dom0's prompt shows its console.
type worker struct {
	m               *emu.Machine
	domain, program string
}

// each has the guest do n pieces of some work, and returns how many instructions the
// machine has executed for each, and how often the guest has exited. The machine's clock
// counts instructions and stands still for nobody: what is taken is for how long no CPU was
// halted, less what that is when the guest is asked for nothing.
func (w worker) each(what string, n int) (insns, exits float64, err error) {
	// The first time finds what is kept; the second is the one that counts.
	if _, _, err := w.work(fmt.Sprintf("%s %d", what, max(n/10, 100))); err != nil {
		return 0, 0, err
	}
	idle, idleExits, err := w.work("nothing 0.0.0.0:0 1")
	if err != nil {
		return 0, 0, err
	}
	busy, busyExits, err := w.work(fmt.Sprintf("%s %d", what, n))
	if err != nil {
		return 0, 0, err
	}
	insns, exits = (busy-idle)/float64(n), (busyExits-idleExits)/float64(n)
	fmt.Fprintf(os.Stderr, "%s %s: %.4g instructions, %.3f exits; what was taken off is %.3g in all\n", w.domain, what, insns, exits, idle)
	return insns, exits, nil
}

// take makes rows of some work of a guest, done n times: what it takes, for each byte if bytes,
// what it moves at a time, is not 0, and perhaps its exits.
func (v values) take(name string, w worker, what string, n int, bytes float64, exits bool) error {
	x, e, err := w.each(what, n)
	if err != nil {
		return err
	}
	if bytes != 0 {
		x /= bytes
	}
	v[name] = x
	if exits {
		v[name+exitsOf] = e
	}
	return nil
}

// work is a line's: how many instructions the machine has executed meanwhile, and how
// often the guest has exited.
func (w worker) work(line string) (busy, exits float64, err error) {
	busy0, exits0, err := w.mark()
	if err != nil {
		return 0, 0, err
	}
	if err := w.m.Send(line + "\r"); err != nil {
		return 0, 0, err
	}
	if which, text, err := w.m.Expect(deadline, w.program+": done "+line, w.program+": error: "); err != nil || which != 0 {
		return 0, 0, fmt.Errorf("%s: %v\n%s%s", line, err, text, w.m.Last(3))
	}
	busy, exits, err = w.mark()
	return busy - busy0, exits - exits0, err
}

// statsTotal is the line of the verb stats with all exits.
var statsTotal = regexp.MustCompile(`(?m)^total +(\d+) `)

// mark leaves the guest's console for dom0's prompt, looks at the clocks, and comes back.
func (w worker) mark() (busy, exits float64, err error) {
	m := w.m
	if err := m.Send("\x1d"); err != nil {
		return 0, 0, err
	}
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return 0, 0, err
	}
	halted, at, err := halts(m)
	if err != nil {
		return 0, 0, err
	}
	m.Send("stats " + w.domain + "\r")
	g, err := m.ExpectRE(deadline, statsTotal)
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(g[1], &exits); err != nil {
		return 0, 0, err
	}
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return 0, 0, err
	}
	m.Send("console " + w.domain + "\r")
	_, _, err = m.Expect(deadline, "connected to")
	return (at - halted) * 1e9, exits, err
}
