// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"ringo/tools/emu"
)

// warmup is the number of rounds that are not looked at, bochsRounds that of those
// that are: Bochs writes much.
const (
	warmup      = 100
	bochsRounds = 60
)

// inBochs has Bochs' debugger print each instruction. The guest's loop begins with
// XCHG BX, BX, at which the debugger stops.
func (s settings) inBochs(c emu.Config, syms symbols) (*counts, error) {
	c.Accel = emu.InBochs
	c.Debugger = strings.Repeat("c\n", warmup) + "trace on\n" + strings.Repeat("c\n", bochsRounds+1) + "quit\n"
	m, err := emu.Start(c)
	if err != nil {
		return nil, err
	}
	defer m.Kill()
	if err := s.create(m); err != nil {
		return nil, err
	}
	// The machine ends by the debugger's last command, while the serial line has
	// not sent the guest's words yet.
	if g, err := m.ExpectRE(deadline, failure); err == nil {
		return nil, errors.New(g[0])
	}
	if _, err := m.Wait(deadline); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(c.Dir, "debugger"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := newCounts(syms, 0)
	for lines := bufio.NewScanner(f); lines.Scan() && !p.full(); {
		pc, guest, op, ok := parseTrace(lines.Text())
		if !ok {
			continue
		}
		if strings.HasPrefix(op, marker) && guest {
			p.at = pc
		}
		p.add(pc, guest)
	}
	return p, p.check()
}

// marker is the first instruction of the guest's loop.
const marker = "xchg bx, bx"

// traced is what the debugger prints for an instruction: the CPU and the time, the
// physical address, selector and offset, the instruction and its bytes:
//
//	(0).[123456] [0x00000010d0a0] 0008:000000000010d0a0 (unk. ctxt): mov rax, rbx     ; 4889d8
var traced = regexp.MustCompile(`^\(\d+\)\.\[\d+\] \[0x([0-9a-f]+)\] [0-9a-f]+:([0-9a-f]+) \([^)]*\): (.*)$`)

// parseTrace takes a line of the trace apart. It does not say whether an instruction
// is a guest's; but the hypervisor alone runs where it is linked, in physical memory.
func parseTrace(line string) (pc uint64, guest bool, op string, ok bool) {
	g := traced.FindStringSubmatch(line)
	if g == nil {
		return 0, false, "", false
	}
	pa, err := strconv.ParseUint(g[1], 16, 64)
	pc, err2 := strconv.ParseUint(g[2], 16, 64)
	return pc, pa != pc, g[3], err == nil && err2 == nil
}
