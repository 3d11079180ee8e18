// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lines of Bochs 2.7.
const (
	firstReset = "00000000000i[SYS   ] bx_pc_system_c::Reset(HARDWARE) called\n"
	lastReset  = "00399620181i[SYS   ] bx_pc_system_c::Reset(HARDWARE) called\n"
	complaint  = "00402095826e[CPU0  ] SVM VMEXIT: event vector 0x01 type 3 error code=0x0000\n"
	goodbye    = "00000000000i[      ] using log file /dev/fd/3\n=====\nBochs is exiting with the following message:\n"
)

func TestBochsLog(t *testing.T) {
	for _, c := range []struct {
		name, log string
		code      int
		stderr    string
		end       End
		said      string
		kills     int
	}{
		{"ACPI", firstReset + complaint, 1, goodbye + "[ACPI  ] ACPI control: soft power off", Poweroff,
			"=====\nBochs is exiting with the following message:\n[ACPI  ] ACPI control: soft power off\n" + strings.TrimSpace(complaint), 0},
		{"port", firstReset, 1, "[UNMAP ] Shutdown port: shutdown requested", Poweroff, "[UNMAP ] Shutdown port: shutdown requested", 0},
		{"reset", firstReset + lastReset, -1, "", Reset, "", 1},
		{"panic", firstReset, 1, "[CPU0 ] >>PANIC<< 3rd exception", Exited, "[CPU0 ] >>PANIC<< 3rd exception", 0},
		{"many", strings.Repeat(complaint, 100), -1, "", Exited, strings.TrimSpace(strings.Repeat(complaint, keptLines)), 0},
	} {
		kills := 0
		l := newBochsLog(io.NopCloser(strings.NewReader(c.log)), func() { kills++ })
		s := Status{End: Exited, Code: c.code, Stderr: c.stderr}
		l.judge(&s)
		if diff := cmp.Diff(Status{End: c.end, Code: c.code, Stderr: c.said}, s); diff != "" || kills != c.kills {
			t.Errorf("%s: %d kills %s", c.name, kills, diff)
		}
	}
}

func TestBochsLostInput(t *testing.T) {
	const full = "01224915280e[COM1  ] com1: receive FIFO overflow\n"
	l := newBochsLog(io.NopCloser(strings.NewReader(firstReset+full+complaint+full)), func() {})
	<-l.done
	if n := l.lostInput(); n != 2 {
		t.Errorf("%d characters lost, want 2", n)
	}
}

func TestBochsPanics(t *testing.T) {
	if p, cmds := (Config{CPU: BochsCPU, SMP: 2}).bochsPanics(); p != "" || cmds != "c\nquit\n" {
		t.Errorf("%q %q", p, cmds)
	}
	if p, cmds := (Config{CPU: "ryzen", SMP: 2}).bochsPanics(); p != ", cpu0=report, cpu1=report" || !strings.HasPrefix(cmds, "c\nc\n") {
		t.Errorf("%q", p)
	}
}
