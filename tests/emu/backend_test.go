// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/image"
)

// TestBackend runs the backends alone, with the software oracle for flushes:
// the conformance suite, self-checking and hostile guests, more vCPUs than
// address-space identifiers.
func TestBackend(t *testing.T) {
	img, err := image.Bare(built.root, "./tests/guests/conformance", filepath.Join(t.TempDir(), "conformance.img"), "invariants")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("qemu", func(t *testing.T) { backendsQEMU(t, img) })
	t.Run("bochs", func(t *testing.T) { backendsBochs(t, img) })
}

func backendsQEMU(t *testing.T, img string) {
	secs := 3
	if *long {
		secs = 60
	}
	for _, tt := range []struct {
		cpu  string
		cpus int
	}{
		{"max", 1},
		{"max", 2},
		{"max", 4},
		{"phenom", 1}, // no XSAVE
	} {
		t.Run(fmt.Sprint(tt.cpu, "/", tt.cpus), func(t *testing.T) {
			h := start(t, emu.Config{
				HV: img, Modules: []emu.Module{}, SMP: tt.cpus, CPU: tt.cpu, MemMiB: 512,
				HVArgs: fmt.Sprintf("cpus=%d secs=%d", tt.cpus, secs),
			})
			succeeds(t, h.Console, time.Duration(120+2*secs)*time.Second)
			if s, err := h.Wait(endTime); err != nil || s.End != emu.Poweroff {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func backendsBochs(t *testing.T, img string) {
	if _, err := exec.LookPath(emu.Bochs); err != nil {
		t.Skip("no Bochs on this machine: make deps")
	}
	for _, tt := range []struct {
		cpu   string
		cpus  int
		tests string
		long  bool
	}{
		{"corei7_skylake_x", 2, "conformance,isolation,hostile,invalid,asid,preempt,migrate", false},
		{"corei7_skylake_x", 2, "random,torture", true},
		{"corei7_haswell_4770", 1, "conformance,isolation", true},
		// No 1 GiB pages, no accessed bits in second-level tables, no INVPCID.
		{"corei7_sandy_bridge_2600k", 1, "conformance,isolation,invalid,asid", false},
	} {
		if tt.long && !*long {
			continue
		}
		t.Run(fmt.Sprint(tt.cpu, "/", tt.cpus), func(t *testing.T) {
			m := bochs(t, emu.Config{HV: img, SMP: tt.cpus, CPU: tt.cpu, MemMiB: 512,
				HVArgs: fmt.Sprintf("cpus=%d secs=2 tests=%s", tt.cpus, tt.tests)})
			succeeds(t, m.Console, 5*time.Minute)
		})
	}
}

// succeeds waits for a program's verdict.
func succeeds(t *testing.T, c *emu.Console, d time.Duration) {
	t.Helper()
	which, _, err := c.Expect(d, "SUCCESS", "FAILURE", "FATAL", "panic: ")
	if err != nil || which != 0 || strings.Contains(c.Transcript(), "ERROR") {
		t.Fatalf("%v\n%s", err, c.Transcript())
	}
}
