// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ringo/tools/emu"
)

// traceBytes is how much of QEMU's log is enough: some 90 bytes per instruction.
const traceBytes = 24 << 20

// guestMode is the bit of a translation block's flags that says that the CPU runs a
// guest (QEMU 7.2, target/i386/cpu.h, HF_GUEST_SHIFT).
const guestMode = 1 << 21

// inQEMU has QEMU log each translated block that it executes, in blocks of one
// instruction. The machine's state is what it would be without: nothing in it can
// see the log.
func (s settings) inQEMU(c emu.Config, syms symbols) (*counts, error) {
	file := filepath.Join(c.Dir, "trace")
	c.Args = []string{"-D", file}
	enough := int64(traceBytes)
	var sends *sender
	var err error
	switch s.figure {
	case diskRead:
		c.Args = append(c.Args, theDisk...)
		enough *= 5 // a round is longer
	case guestRead:
		c.Args = append(append(c.Args, theDisk...), clockArgs...)
		enough *= 16
	case ping:
		c.NIC, c.HVArgs = emu.VirtioNIC, "ntp=10.0.2.2" // which does not answer
		c.Args = append(c.Args, clockArgs...)
		enough *= 8
	case interrupt:
		var card []string
		if sends, card, err = newSender(); err != nil {
			return nil, err
		}
		defer sends.conn.Close()
		c.HVArgs = "ip=none"
		c.Args = append(append(c.Args, card...), clockArgs...)
		enough *= 6
	}
	m, err := emu.Start(c)
	if err != nil {
		return nil, err
	}
	defer m.Kill()
	at, err := s.begin(m, syms)
	if err != nil {
		return nil, err
	}
	for _, cmd := range []string{"singlestep on", "log exec,nochain"} {
		if _, err := m.Monitor.HMP(cmd); err != nil {
			return nil, err
		}
	}
	for end := time.Now().Add(deadline); ; time.Sleep(5 * time.Millisecond) {
		if st, err := os.Stat(file); err == nil && st.Size() >= enough {
			break
		}
		if sends != nil {
			if err := sends.send(m); err != nil {
				return nil, err
			}
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("QEMU has not written %d bytes of log", enough)
		}
	}
	m.Kill()
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := newCounts(syms, at)
	if s.figure == interrupt {
		if p.halt, p.timer, err = syms.sleep(); err != nil {
			return nil, err
		}
	}
	for lines := bufio.NewScanner(f); lines.Scan() && !p.full(); {
		if pc, guest, ok := parseExec(lines.Text()); ok {
			p.add(pc, guest)
		}
	}
	return p, p.check()
}

// parseExec takes a line of -d exec apart:
//
//	Trace 0: 0x7f3a [00000000/0000000000101000/0040c0b0/ff021001] symbol
//
// which are cs_base, pc, flags and cflags.
func parseExec(line string) (pc uint64, guest, ok bool) {
	if !strings.HasPrefix(line, "Trace ") {
		return 0, false, false
	}
	_, rest, _ := strings.Cut(line, "[")
	rest, _, _ = strings.Cut(rest, "]")
	f := strings.Split(rest, "/")
	if len(f) != 4 {
		return 0, false, false
	}
	pc, err := strconv.ParseUint(f[1], 16, 64)
	flags, err2 := strconv.ParseUint(f[2], 16, 64)
	if flags&guestMode != 0 && (pc>>63 != 0 || flags&3 == 3 && pc < windowBase) {
		pc = linux // and not dom0, which is elsewhere, and in ring 0
	}
	return pc, flags&guestMode != 0, err == nil && err2 == nil
}
