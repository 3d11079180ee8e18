// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"ringo/tools/emu"
)

// idleGuests is how many sleep, on one CPU.
const idleGuests = 8

// idleSpan is how long they are watched, in seconds of the machine's clock.
const idleSpan = 30

// idleTime is what the verb info prints.
var idleTime = regexp.MustCompile(`idle_seconds +: ([0-9.]+) of ([0-9.]+) `)

// measureIdle is how much of the time a CPU is halted on which Linux guests sleep.
func (v values) measureIdle(f files) error {
	if !f.wants(idleRows) {
		return nil
	}
	c := f.config(1, true)
	c.MemMiB = 2048
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	for i := range idleGuests {
		if err := bootQuiet(m, fmt.Sprintf("g%d", i)); err != nil {
			return err
		}
	}
	if v[idleFigure], err = watchIdle(m); err != nil {
		return err
	}
	return nil
}

// bootQuiet creates a Linux guest and waits for its init, which then sleeps.
func bootQuiet(m *emu.Machine, name string) error {
	m.Send(fmt.Sprintf("create name=%s kernel=boot:vmlinux.lz4 initrd=boot:init.gz memory=128MiB cmdline=\"console=ttyS0 quiet\"\r", name))
	if which, _, err := m.Expect(deadline, "created \""+name, "error: "); err != nil || which != 0 {
		return fmt.Errorf("guest %s was not created: %v\n%s", name, err, m.Last(3))
	}
	m.Send("console " + name + "\r")
	if _, _, err := m.Expect(deadline, initPrint); err != nil {
		end, _ := m.Wait(time.Second)
		return fmt.Errorf("guest %s: %w\nthe machine: %+v", name, err, end)
	}
	m.Send("\x1d")
	_, _, err := m.Expect(deadline, "\n"+prompt)
	return err
}

// watchIdle is for how much of the time the machine's CPUs are halted, in percent. The
// clock of an idle machine runs at full speed: it is asked now and then how late it is.
func watchIdle(m *emu.Machine) (float64, error) {
	halted, at, err := halts(m)
	for err == nil {
		time.Sleep(time.Second)
		h, now, err := halts(m)
		if err != nil {
			return 0, err
		}
		if now-at >= idleSpan {
			return 100 * (h - halted) / (now - at), nil
		}
	}
	return 0, err
}

// halts is for how long CPUs have been halted, and for how long the machine has run, in
// seconds times CPUs.
func halts(m *emu.Machine) (halted, at float64, err error) {
	m.Send("info\r")
	g, err := m.ExpectRE(deadline, idleTime)
	if err != nil {
		return 0, 0, err
	}
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return 0, 0, err
	}
	if halted, err = strconv.ParseFloat(g[1], 64); err != nil {
		return 0, 0, err
	}
	at, err = strconv.ParseFloat(g[2], 64)
	return halted, at, err
}
