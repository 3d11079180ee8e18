// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ringo/hv/x86"
	"ringo/tools/emu"
)

const ctrlA = "\x01"

// TestDebugKeys switches the console's input to the hypervisor and back.
func TestDebugKeys(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 512})
	h.key(ctrlA + ctrlA + ctrlA)
	h.see(verbTime, "debug keys")
	h.key("h")
	h.see(verbTime, "registers")
	h.key("t")
	h.seeRE(verbTime, `TSC \d+\s`)
	h.key("q")
	h.see(verbTime, "domain 0")
	for _, key := range []string{"C", "R"} { // they ask, and take nothing for the answer
		h.key(key)
		h.seeRE(verbTime, `type \d{3} to do it`)
		h.key("y")
		h.see(verbTime, "not done")
	}
	h.key(ctrlA + ctrlA + ctrlA)
	h.see(verbTime, "dom0")
	h.key("\r")
	h.see(verbTime, prompt)
	h.ok("list")
	h.poweroff()
}

// TestPanic crashes the hypervisor on purpose (debug key C): registers, a Go
// stack with names, and a reset after five seconds.
func TestPanic(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 512})
	crash(h)
	if s, err := h.Wait(endTime); err != nil || s.End != emu.Reset {
		t.Errorf("after the dump: %+v, %v; want a reset", s, err)
	}
}

// TestPanicNoReboot: with noreboot the machine stands still after the dump.
func TestPanicNoReboot(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 512, HVArgs: "noreboot=yes"})
	crash(h)
	if s, err := h.Wait(lingers); err == nil {
		t.Errorf("it did not stay: %+v", s)
	}
}

// crash presses the key and reads the dump.
func crash(h *host) {
	h.t.Helper()
	h.key(ctrlA + ctrlA + ctrlA)
	h.see(verbTime, "debug keys")
	before := len(h.Transcript())
	h.key("C")
	h.key(h.seeRE(verbTime, `type (\d{3}) to do it`)[1])
	h.seeRE(verbTime, `(?i)\brip\b`)
	h.see(verbTime, "ringo: reboot in 5 s", "ringo: halted (noreboot)")
	dump := h.Transcript()[before:]
	for _, want := range []string{"panic: ", "goroutine ", "main.", ".go:"} {
		if !strings.Contains(dump, want) {
			h.t.Errorf("the dump has no %q:\n%s", want, dump)
		}
	}
}

// TestWriteXorExecute looks at the page tables of every CPU as the hypervisor
// (or dom0) runs at the prompt: no page is both writable and executable, and ring 0
// is kept off pages of ring 3. What else holds of the tables, each boot checks
// (kernel.CheckMappings).
func TestWriteXorExecute(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 512})
	if _, err := h.Monitor.Do("stop", nil); err != nil {
		t.Fatal(err)
	}
	// QEMU prints "<virtual>: <physical> XGPDACTUW", X meaning no-execute, and
	// - for a bit that is clear.
	page := regexp.MustCompile(`(?m)^([0-9a-f]{16}): [0-9a-f]{16} ([X-])[G-][P-][D-][A-][C-][T-][U-]([W-])`)
	for _, cpu := range []string{"0", "1"} {
		if _, err := h.Monitor.HMP("cpu " + cpu); err != nil {
			t.Fatal(err)
		}
		text, err := h.Monitor.HMP("info tlb")
		if err != nil {
			t.Fatal(err)
		}
		pages := page.FindAllStringSubmatch(text, -1)
		if len(pages) < 100 {
			t.Errorf("CPU %s: %d pages; the format of info tlb is not known", cpu, len(pages))
		}
		for _, p := range pages {
			if p[2] == "-" && p[3] == "W" {
				t.Errorf("CPU %s: %s is writable and executable", cpu, p[1])
			}
			if strings.Trim(p[1], "0") == "" {
				t.Errorf("CPU %s: page 0 is mapped", cpu)
			}
		}
		regs, err := h.Monitor.HMP("info registers")
		if err != nil {
			t.Fatal(err)
		}
		var cr4 uint64
		if m := regexp.MustCompile(`CR4=([0-9a-f]+)`).FindStringSubmatch(regs); m != nil {
			cr4, _ = strconv.ParseUint(m[1], 16, 64)
		}
		if want := uint64(x86.CR4SMEP | x86.CR4SMAP | x86.CR4UMIP); cr4&want != want {
			t.Errorf("CPU %s: CR4 %#x lacks SMEP, SMAP or UMIP", cpu, cr4)
		}
	}
}
