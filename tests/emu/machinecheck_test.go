// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
)

// What QEMU's monitor is told of a machine check: MCi_STATUS without its code,
// MCG_STATUS, MCi_MISC (SDM Vol. 3, "Machine-Check Architecture").
const (
	mcOptional = 0xbd00_0000_0000_0000 // valid, uncorrected, enabled, MISC and ADDR valid, signaled
	mcCorrupt  = 0x0200_0000_0000_0000 // the processor's context is
	mcScrub    = 0xc0                  // found by the memory scrubber
	mcGoOn     = 5                     // in progress; the program can go on
	mcPage     = 0x8c                  // the address is physical, and stands for a page
)

// mce injects a machine check into CPU 0.
func (h *host) mce(bank int, status, global uint64, addr string) {
	h.t.Helper()
	line := fmt.Sprintf("mce 0 %d %#x %#x %s %#x", bank, status, global, addr, mcPage)
	if text, err := h.Monitor.HMP(line); err != nil || strings.TrimSpace(text) != "" {
		h.t.Errorf("%s: %q, %v", line, text, err)
	}
}

// TestMachineCheck lets memory fail while the hypervisor runs: the guest that has
// it ends, all others go on, and the pages are never used again. Then the CPU says
// that nothing can be trusted.
//
// It runs guests on the second CPU only: QEMU delivers a machine check to a guest
// that runs, whatever the hypervisor intercepts.
func TestMachineCheck(t *testing.T) {
	t.Parallel()
	h := bootMicro(t, emu.Config{MemMiB: 1024, SMP: 2, HVArgs: "hv_cpus=1 noreboot"})
	h.ok(micro("good", "echo"))
	h.ok(micro("bad", "echo"))
	h.key("debug-keys q\r")
	m := h.seeRE(verbTime, `domain \d+ bad: .* from (0x[0-9a-f]+) on`)
	h.see(verbTime, prompt)
	h.mce(1, mcOptional|mcScrub, mcGoOn, m[1])
	h.see(verbTime, "has failed: domain ")
	h.see(verbTime, `domain "bad" crashed: machine check`)
	h.see(verbTime, prompt) // what is typed before would be shown again
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if _, ok := h.list()["bad"]; !ok {
			break
		}
		if time.Since(began) > guestTime {
			t.Fatal("the guest whose memory has failed is still there")
		}
	}
	h.responsive()
	// Another one, in the same bank: the last one has been cleared.
	h.mce(1, mcOptional|mcScrub, mcGoOn, "0x7000000000") // where nothing is
	h.see(verbTime, "has failed: not managed")
	h.responsive()
	if _, ok := h.list()["good"]; !ok {
		t.Error("the guest beside it is gone")
	}
	h.key("debug-keys m\r")
	h.see(verbTime, "failed memory: 1 pages out of use, 0 when they are freed")
	h.mce(2, mcOptional|mcCorrupt|mcScrub, mcGoOn, "0x2000")
	h.see(verbTime, "FATAL: machine check on CPU 0")
	h.see(verbTime, "bank 2 status bf000000000000c0")
}
