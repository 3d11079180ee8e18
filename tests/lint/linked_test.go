// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringo/tools/image"
)

// ordinary are the functions of the layer that run as ordinary Go only.
var ordinary = map[string]bool{
	"StartCPU": true, "Runner": true, "OpenIRQ": true, "UseUDSyscalls": true, "Boot": true,
	"ConsoleWrite": true, "LogRead": true, "(*ring).read": true, "mustBoot": true, "kickOff": true, "bareKickOff": true, "partitionKickOff": true,
	"ReadStats": true, "PowerOff": true, "Reboot": true, "Fatal": true, "CrashForTest": true,
	"Kick": true, "SendIPI": true, "SendNMI": true, "sendLocked": true, "sleepNS": true, "Leave": true,
	// At boot, with divisors that were checked.
	"memLimit": true, "clockInit": true, "setTSCRate": true, "tscFromPIT": true, "tscFromCrystal": true, "timerRate": true,
	"CheckRate": true, "changeRate": true, "Reference.measure": true, "Reference.now": true,
	"CheckMappings": true, "SerialRead": true, "SerialWait": true, "(*receiver).read": true,
	"AllocVector": true, "FreeVector": true, "APICID": true, "NumCPU": true, "init": true,
}

// TestLinked looks into a linked program: code of the layer that runs with
// interrupts off must not allocate, run into a write barrier, grow its stack or
// panic for an index.
func TestLinked(t *testing.T) {
	dir := t.TempDir()
	if _, err := image.Bare("../..", "./tests/guests/kerneltest/basic", filepath.Join(dir, "basic.img")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "tool", "objdump", "-s", "^ringo/boot/kernel", filepath.Join(dir, "basic.elf"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"runtime.newobject", "runtime.morestack", "runtime.gcWriteBarrier", "runtime.panic", "runtime.goPanic", "runtime.mallocgc", "runtime.wbMove", "runtime.typedmemmove"}
	name, lines := "", 0
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		line := s.Text()
		lines++
		if f, ok := strings.CutPrefix(line, "TEXT ringo/boot/kernel."); ok {
			name, _, _ = strings.Cut(f, "(SB)")
			continue
		}
		for _, b := range bad {
			if strings.Contains(line, b) && !ordinary[name] {
				t.Errorf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
	if lines < 1000 {
		t.Errorf("only %d lines of code seen", lines)
	}
}
