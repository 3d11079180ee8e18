// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"

	"ringo/tools/emu"
)

// What the debug key m and the verbs info and dominfo say of memory, and a guest in mode first of its start.
var (
	recordsUse = regexp.MustCompile(`records of domains: (\d+) of`)
	tablesUse  = regexp.MustCompile(`page tables of domains: (\d+) KiB`)
	freeBytes  = regexp.MustCompile(`free_bytes +: (\d+)\s`)
	usedMemory = regexp.MustCompile(`Used memory: +(\d+) KiB`)
	firstTSC   = regexp.MustCompile(`bench first (\d+)\s`)
	busyTSC    = regexp.MustCompile(`TSC (\d+) at \d+ Hz, (\d+) halted`)
)

// measureLife measures what it costs to create, to keep and to destroy a domain: the
// median of some, because dom0 collects garbage in one or two of them. What is made once
// and kept is made by the first.
func (v values) measureLife(f files) error {
	if !f.wants(lifeRows) {
		return nil
	}
	m, err := prompted(f.config(1, f.backend == onQEMU))
	if err != nil {
		return err
	}
	defer m.Kill()
	if _, _, err := lives(m, 1, 4); err != nil {
		return err
	}
	creates, small, err := lives(m, 7, 4)
	if err != nil {
		return err
	}
	_, large, err := lives(m, 3, 68)
	if err != nil {
		return err
	}
	perMiB := (median(large) - median(small)) / 64
	v[firstFigure] = median(creates) / 1e6
	v[destroyFigure] = (median(small) - 4*perMiB) / 1e6
	fmt.Fprintf(os.Stderr, "creates: %.0f\ndestroys: %.0f\n", creates, small)
	return v.weighDomain(m)
}

// lives is what it takes to create and to destroy n domains of that size, one after the
// other.
func lives(m *emu.Machine, n, mib int) (creates, destroys []float64, err error) {
	for range n {
		c, err := create(m, mib)
		if err != nil {
			return nil, nil, err
		}
		d, err := between(m, "destroy life")
		if err != nil {
			return nil, nil, err
		}
		creates, destroys = append(creates, c), append(destroys, d)
	}
	return creates, destroys, nil
}

// median is that of an odd number of values.
func median(of []float64) float64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// create is what it takes from a verb to the first instruction of the guest that it
// creates, at most: to the answer of the verb, and from the guest's start to that
// instruction, by the guest's own counter.
func create(m *emu.Machine, mib int) (float64, error) {
	n, err := between(m, fmt.Sprintf("create name=life kernel=boot:micro.elf memory=%dMiB rng=false cmdline=mode=first", mib))
	if err != nil {
		return 0, err
	}
	m.Send("console life\r")
	first, err := number(m, firstTSC)
	if err != nil {
		return 0, err
	}
	m.Send("\x1d")
	_, _, err = m.Expect(deadline, "\n"+prompt)
	return n + first, err
}

// between is how many instructions a line takes: time in which the CPU is halted, as it is
// while a line of text is sent, does not count. The clock of an idle machine runs on
// at full speed, so the line must be there when it is wanted: what is typed arrives
// while the verbs before it print.
func between(m *emu.Machine, line string) (float64, error) {
	m.Send("help\rhelp\rhelp\rdebug-keys t\r" + line + "\rdebug-keys t\rdomid nobody\r")
	_, text, err := m.Expect(deadline, `domain "nobody" does not exist`)
	if err != nil {
		return 0, err
	}
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return 0, err
	}
	// A reading may be shown twice: by the hypervisor, and by dom0's verb.
	g := busyTSC.FindAllStringSubmatch(text, -1)
	if len(g) < 2 {
		return 0, fmt.Errorf("%s: two times expected in:\n%s", line, text)
	}
	from, err1 := busy(g[0])
	to, err2 := busy(g[len(g)-1])
	if err1 != nil || err2 != nil || to <= from {
		return 0, fmt.Errorf("%s: from %s to %s", line, g[0][0], g[len(g)-1][0])
	}
	return to - from, nil
}

// busy is for how long one CPU was not halted, in ticks of the TSC.
func busy(g []string) (float64, error) {
	at, err1 := strconv.ParseFloat(g[1], 64)
	halted, err2 := strconv.ParseFloat(g[2], 64)
	return at - halted, errors.Join(err1, err2)
}

// weighDomain is what the hypervisor has for a domain of 4 MiB: its page tables (and what
// dom0's grow by), and apart from them other pages and what the account of records takes.
func (v values) weighDomain(m *emu.Machine) error {
	const domains = 8 // the account is shown in KiB
	before, tables, err := given(m)
	if err != nil {
		return err
	}
	for i := range domains {
		m.Send(fmt.Sprintf("create name=d%d kernel=boot:micro.elf memory=4MiB rng=false cmdline=mode=hlt\r", i))
		if which, text, err := m.Expect(deadline, "created \"d", "error: "); err != nil || which != 0 {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	after, more, err := given(m)
	if err != nil {
		return err
	}
	ram, err := ask(m, "dominfo d0", usedMemory)
	if err != nil {
		return err
	}
	v[tablesFigure] = (more - tables) / domains
	v[perGuestFigure] = (after-before)/domains - ram
	for i := range domains {
		m.Send(fmt.Sprintf("destroy d%d\r", i))
		if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
			return err
		}
	}
	return nil
}

// given is what the hypervisor has given away, in KiB, more or less a constant: all but
// page tables, and these.
func given(m *emu.Machine) (rest, tables float64, err error) {
	free, err1 := ask(m, "info", freeBytes)
	records, err2 := ask(m, "debug-keys m", recordsUse)
	tables, err3 := ask(m, "debug-keys m", tablesUse)
	return records - free/1024 - tables, tables, errors.Join(err1, err2, err3)
}

// ask returns the number of re that a verb prints.
func ask(m *emu.Machine, line string, re *regexp.Regexp) (float64, error) {
	m.Send(line + "\r")
	n, err := number(m, re)
	if err != nil {
		return 0, err
	}
	_, _, err = m.Expect(deadline, "\n"+prompt)
	return n, err
}
