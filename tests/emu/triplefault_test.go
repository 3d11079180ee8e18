// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"strings"
	"testing"

	"ringo/tools/emu"
)

// TestRebootByTripleFault: Linux with "reboot=t" reboots by a triple fault, as
// where nothing else works; on_reboot says what happens then.
func TestRebootByTripleFault(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024})
	h.ok(`create demo.toml on_reboot=restart on_crash=destroy cmdline="console=ttyS0 reboot=t"`)
	h.attach("demo")
	h.shell()
	h.key("reboot -f\r")
	h.see(guestTime, "Linux version")
	h.shell()
	h.detach()
	if want := `domain "demo" reboots: triple fault: restarting`; !strings.Contains(h.Transcript(), want) {
		t.Errorf("nobody said %q", want)
	}
	h.poweroff()
}
