// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ringo/tools/emu"
)

const (
	prompt   = "ringo# "
	deadline = 40 * time.Minute // of a busy machine
)

// tsc is what the hypervisor's debug key t prints.
var tsc = regexp.MustCompile(`TSC (\d+) at \d+ Hz`)

// countInstructions measures all that is counted in instructions, on one CPU.
//
// An idle machine's clock runs on at full speed, so nothing may wait for us
// inside a measurement: what is typed next is typed ahead.
func (v values) countInstructions(f files) error {
	if !f.wants(guestRows) && !f.wants(linuxRows) {
		return nil
	}
	m, err := emu.Start(f.config(1, true))
	if err != nil {
		return err
	}
	defer m.Kill()
	if _, _, err := m.Expect(deadline, "starting dom0"); err != nil {
		return err
	}
	// dom0 reads it as soon as it can prompt.
	if err := m.Send("debug-keys t\r"); err != nil {
		return err
	}
	boot, err := number(m, tsc)
	if err != nil {
		return err
	}
	v[bootFigure] = boot / 1e9
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return err
	}
	if f.wants(guestRows) {
		if err := v.runMicro(m, f); err != nil {
			return err
		}
	}
	if f.wants(linuxRows) {
		return v.runLinux(m, f)
	}
	return nil
}

// runMicro has the measuring guest print its figures, alone and with a second CPU; it
// then ends by itself.
func (v values) runMicro(m *emu.Machine, f files) error {
	printed := ""
	for i, mode := range []string{"bench", "pair"} { // with one vCPU and two
		m.Send(fmt.Sprintf("create name=%s vcpus=%d kernel=boot:micro.elf hypervisor=ringo memory=64MiB cmdline=mode=%s\rconsole %s\r", mode, i+1, mode, mode))
		which, text, err := m.Expect(deadline, "bench done", "error: ", "FAIL")
		if err != nil {
			return err
		}
		printed += text
		if which != 0 {
			return fmt.Errorf("the guest did not measure; it printed:\n%s", printed)
		}
		if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
			return err
		}
	}
	got, err := parseMicro(printed)
	if err != nil {
		return err
	}
	if err := v.addMicro(got); err != nil {
		return fmt.Errorf("the guest did not measure: %v; it printed:\n%s", err, printed)
	}
	others(os.Stderr, printed)
	for name, x := range got {
		f.micros[name] = x
	}
	return nil
}

// runLinux measures from create to the first instruction of /init. The guest's
// own counter starts at 0 when the guest starts; what dom0 did before (mostly
// unpacking the kernel) lies between two readings of the host's counter.
func (v values) runLinux(m *emu.Machine, f files) error {
	m.Send("debug-keys t\r" +
		"create name=linux kernel=boot:vmlinux.lz4 initrd=boot:init.gz memory=256MiB cmdline=console=ttyS0\r" +
		"debug-keys t\r" + "console linux\r")
	_, text, err := m.Expect(deadline, "connected to", "error: ")
	if err != nil {
		return err
	}
	// A reading may be shown twice: by the hypervisor, and by dom0's verb.
	readings := tsc.FindAllStringSubmatch(text, -1)
	if len(readings) < 2 {
		return fmt.Errorf("the guest was not created:\n%s", text)
	}
	before, err := strconv.ParseFloat(readings[0][1], 64)
	if err != nil {
		return err
	}
	after, err := strconv.ParseFloat(readings[len(readings)-1][1], 64)
	if err != nil {
		return err
	}
	guest, err := number(m, regexp.MustCompile(regexp.QuoteMeta(strings.TrimSpace(initPrint))+` (\d+)\n`))
	if err != nil {
		return err
	}
	v[initFigure] = (after - before + guest) / 1e9
	if err := v.bootCost(m); err != nil {
		return err
	}
	return f.inLinux(m)
}

// bootCost is what the exits of the boot have cost; init waits meanwhile.
func (v values) bootCost(m *emu.Machine) error {
	m.Send("\x1d")
	exits, mean, share, err := exitCosts(m, "linux")
	v[exitsFigure], v[costFigure], v[shareFigure] = exits, mean, share
	return err
}

// exitCosts is what the verb stats says of a guest, see parseStats.
func exitCosts(m *emu.Machine, name string) (exits, mean, share float64, err error) {
	m.Send("stats " + name + "\r")
	_, text, err := m.Expect(deadline, " cycles, ", "error: ")
	if err != nil {
		return 0, 0, 0, err
	}
	rest, err := m.ExpectRE(deadline, regexp.MustCompile(`^[0-9.]+%\n`))
	if err != nil {
		return 0, 0, 0, err
	}
	text += " cycles, " + rest[0]
	fmt.Fprintln(os.Stderr, text)
	return parseStats(text)
}

// What the verb stats prints last.
var statsEnd = regexp.MustCompile(`(?m)^total +(\d+) +(\d+)\s+hypervisor: \d+ of \d+ cycles, ([0-9.]+)%`)

// parseStats takes the number of exits, their mean cost in cycles, and the hypervisor's
// share of the time, in percent, out of what stats prints.
func parseStats(text string) (exits, mean, share float64, err error) {
	g := statsEnd.FindStringSubmatch(text)
	if g == nil {
		return 0, 0, 0, fmt.Errorf("stats printed:\n%s", text)
	}
	if exits, err = strconv.ParseFloat(g[1], 64); err != nil {
		return 0, 0, 0, err
	}
	if mean, err = strconv.ParseFloat(g[2], 64); err != nil {
		return 0, 0, 0, err
	}
	share, err = strconv.ParseFloat(g[3], 64)
	return exits, mean, share, err
}

// inLinux has init measure, and adds what it prints.
func (f files) inLinux(m *emu.Machine) error {
	m.Send("console linux\r")
	if _, _, err := m.Expect(deadline, "connected to", "error: "); err != nil {
		return err
	}
	m.Send("\r") // init waits for a line
	_, text, err := m.Expect(deadline, "\n"+initDone)
	if err != nil {
		return err
	}
	got, err := parseMicro(text)
	if err == nil && len(got) == 0 {
		err = fmt.Errorf("init printed no figure:\n%s", text)
	}
	for name, x := range got {
		f.micros[name] = x
	}
	return err
}

// number waits for a decimal in the group of re.
func number(m *emu.Machine, re *regexp.Regexp) (float64, error) {
	g, err := m.ExpectRE(deadline, re)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(g[1], 64)
}

// prompted starts a machine and waits for dom0's prompt.
func prompted(c emu.Config) (*emu.Machine, error) {
	m, err := emu.Start(c)
	if err != nil {
		return nil, err
	}
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		m.Kill()
		return nil, err
	}
	return m, nil
}

// weighMemory asks for memory use with four guests on two CPUs, each a Linux
// that has reached its /init. They boot one after the other: so the deadline is for
// one of them, however slow the emulator is.
func (v values) weighMemory(f files) error {
	if !f.wants(memoryRows) {
		return nil
	}
	m, err := prompted(f.config(2, false))
	if err != nil {
		return err
	}
	defer m.Kill()
	for i := range 4 {
		if err := bootQuiet(m, fmt.Sprintf("g%d", i)); err != nil {
			return err
		}
	}
	m.Send("info\rlist\r")
	g, err := m.ExpectRE(deadline, regexp.MustCompile(`(?m)^hypervisor_memory +: ([^\r\n]*)\r?\n`))
	if err != nil {
		return err
	}
	if v[hvFigure], err = size(g[1]); err != nil {
		return err
	}
	if g, err = m.ExpectRE(deadline, regexp.MustCompile(`(?m)^Domain-0 +\d+ +(\d+) `)); err != nil {
		return err
	}
	v[dom0Figure], err = strconv.ParseFloat(g[1], 64)
	return err
}
