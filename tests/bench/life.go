// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"regexp"
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
)

// measureLife measures what it costs to create, to keep and to destroy a domain. In
// Bochs that is on a slower clock: what verbs print waits for the serial line there, at
// the pace of the clock.
func (v values) measureLife(f files) error {
	if !f.wants(lifeRows) {
		return nil
	}
	m, err := prompted(f.config(1, f.backend == onQEMU))
	if err != nil {
		return err
	}
	defer m.Kill()
	// What is made once and kept is made by the first of them.
	var creates, destroys [3]float64
	for i, mib := range []int{4, 4, 68} {
		var err error
		if creates[i], err = create(m, mib); err != nil {
			return err
		}
		if destroys[i], err = between(m, "destroy life"); err != nil {
			return err
		}
	}
	perMiB := (destroys[2] - destroys[1]) / 64
	v[firstFigure] = creates[1] / 1e6
	v[destroyFigure] = (destroys[1] - 4*perMiB) / 1e6
	return v.weighDomain(m)
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

// between is how many instructions a line takes. The clock of an idle machine runs on
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
	g := tsc.FindAllStringSubmatch(text, -1)
	if len(g) < 2 {
		return 0, fmt.Errorf("%s: two times expected in:\n%s", line, text)
	}
	from, err1 := strconv.ParseFloat(g[0][1], 64)
	to, err2 := strconv.ParseFloat(g[len(g)-1][1], 64)
	if err1 != nil || err2 != nil || to <= from {
		return 0, fmt.Errorf("%s: from %s to %s", line, g[0][1], g[len(g)-1][1])
	}
	return to - from, nil
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
