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
	"StartCPU": true, "StartWatchdog": true, "Runner": true, "OpenIRQ": true, "UseUDSyscalls": true, "Boot": true,
	"ConsoleWrite": true, "LogRead": true, "(*ring).read": true, "mustBoot": true, "kickOff": true, "bareKickOff": true, "partitionKickOff": true,
	"ReadStats": true, "Procs": true, "PowerOff": true, "Reboot": true, "Fatal": true, "CrashForTest": true,
	"Wait": true, "Arm": true, "MachineCheck": true, "RunnerCPU": true, "Quit": true,
	"Kick": true, "Raise": true, "SendIPI": true, "SendNMI": true, "sendLocked": true, "sleepNS": true, "Leave": true,
	"startWith": true, "(*cpu).join": true, "(*cpu).arrived": true, "(*meeting).put": true, "(*meeting).read": true, "(*meeting).adjust": true,
	"gap.seen": true, "gap.middle": true, "(*gap).narrow": true, "measure": true, "settle": true, "apart": true, "Adjusted": true, "SkewForTest": true,
	// At boot, with divisors that were checked.
	"memLimit": true, "clockInit": true, "setTSCRate": true, "tscFromPIT": true, "pitOnce": true, "tscFromCrystal": true, "timerRate": true, "SetSerial": true,
	"CheckRate": true, "changeRate": true, "Reference.measure": true, "Reference.now": true,
	"CheckMappings": true, "SerialRead": true, "SerialWait": true, "(*receiver).read": true,
	"AllocVector": true, "FreeVector": true, "APICID": true, "NumCPU": true, "init": true, "NextIRQ": true, "Raised": true, "PostIRQ": true, "SetPin": true, "MaskPin": true, "DropPin": true, "UnmaskPin": true, "MapDevice": true, "Contiguous": true, "(*cpu).nextIRQ": true,
}

// TestLinked looks into linked programs: code of the layer that runs with
// interrupts off must not allocate, run into a write barrier, grow its stack or
// panic for an index.
func TestLinked(t *testing.T) {
	for _, pkg := range []string{"./tests/guests/kerneltest/basic", "./hv"} {
		img := filepath.Join(t.TempDir(), "linked.img")
		if _, err := image.Bare("../..", pkg, img); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "tool", "objdump", "-s", "^ringo/boot/kernel", strings.TrimSuffix(img, ".img")+".elf")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if lines := checkLinked(t, pkg, out); lines < 1000 {
			t.Errorf("%s: only %d lines of code seen", pkg, lines)
		}
	}
}

// checkLinked looks into a disassembly and returns its length in lines.
func checkLinked(t *testing.T, pkg string, code []byte) (lines int) {
	t.Helper()
	bad := []string{"runtime.newobject", "runtime.morestack", "runtime.gcWriteBarrier", "runtime.panic", "runtime.goPanic", "runtime.mallocgc", "runtime.wbMove", "runtime.typedmemmove"}
	name := ""
	for s := bufio.NewScanner(bytes.NewReader(code)); s.Scan(); {
		line := s.Text()
		lines++
		if f, ok := strings.CutPrefix(line, "TEXT ringo/boot/kernel."); ok {
			name, _, _ = strings.Cut(f, "(SB)")
			continue
		}
		for _, b := range bad {
			if strings.Contains(line, b) && !ordinary[name] {
				t.Errorf("%s: %s: %s", pkg, name, strings.TrimSpace(line))
			}
		}
	}
	return lines
}
