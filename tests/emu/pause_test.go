// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"strconv"
	"testing"
	"time"

	"ringo/tools/emu"
)

// TestPauseIsNoFault pauses a guest for longer than its watchdogs wait. They look
// first whether it was paused, on each CPU; its clocks have gone on, and it goes on
// trusting them.
func TestPauseIsNoFault(t *testing.T) {
	t.Parallel()
	const paused = 24 * time.Second
	h := boot(t, emu.Config{SMP: 2, MemMiB: 1024})
	// Soft lockups after six seconds, RCU stalls after eight.
	h.ok(`create demo.toml vcpus=2 cmdline="console=ttyS0 watchdog_thresh=3 rcupdate.rcu_cpu_stall_timeout=8"`)
	h.attach("demo")
	h.shell()
	if got := h.sh("cat /proc/sys/kernel/soft_watchdog /proc/sys/kernel/watchdog_thresh | tr '\\n' ' '"); got != "1 3 " {
		t.Fatalf("the guest's watchdog: %q", got)
	}
	uptime := func() float64 {
		s, err := strconv.ParseFloat(h.sh("cut -d' ' -f1 /proc/uptime"), 64)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// Something to do on both CPUs, in and out of the kernel.
	h.sh("for i in 1 2; do while :; do cat /proc/stat >/dev/null; done & done")
	before := uptime()
	h.detach()
	h.ok("pause demo")
	time.Sleep(paused)
	h.ok("unpause demo")
	h.attach("demo")
	if after := uptime(); after < before+paused.Seconds() {
		t.Errorf("up %.1f s, then %.1f s: its clock stood still", before, after)
	}
	time.Sleep(16 * time.Second) // two periods of the watchdogs
	if got := h.sh("dmesg | grep -c -E 'detected stall|soft lockup|nstable|BUG:|Call Trace' || true"); got != "0" {
		t.Errorf("the guest's kernel complains: %s", h.sh("dmesg | tail -50"))
	}
	if got := h.sh("cat /sys/devices/system/clocksource/clocksource0/current_clocksource"); got != "kvm-clock" && got != "tsc" {
		t.Errorf("clock source %s", got)
	}
	h.detach()
	h.poweroff()
}
