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

// TestVMX runs the VT-x backend alone in Bochs, with the software oracle for
// flushes: the same program as TestSVM.
func TestVMX(t *testing.T) {
	if _, err := exec.LookPath(emu.Bochs); err != nil {
		t.Skip("no Bochs on this machine: make deps")
	}
	img, err := image.Bare(built.root, "./tests/guests/svmtest", filepath.Join(t.TempDir(), "vmx.img"), "invariants")
	if err != nil {
		t.Fatal(err)
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
		// No 1 GiB pages, no accessed bits in EPT, no INVPCID.
		{"corei7_sandy_bridge_2600k", 1, "conformance,isolation,invalid,asid", false},
	} {
		if tt.long && !*long {
			continue
		}
		t.Run(fmt.Sprint(tt.cpu, tt.cpus), func(t *testing.T) {
			m := bochs(t, emu.Config{HV: img, SMP: tt.cpus, CPU: tt.cpu, MemMiB: 512,
				HVArgs: fmt.Sprintf("cpus=%d secs=2 tests=%s", tt.cpus, tt.tests)})
			which, _, err := m.Console.Expect(5*time.Minute, "SUCCESS", "FAILURE", "FATAL", "panic: ")
			if err != nil || which != 0 || strings.Contains(m.Console.Transcript(), "ERROR") {
				t.Fatalf("%v\n%s", err, m.Console.Transcript())
			}
		})
	}
}

// TestVMXBoot starts the hypervisor and dom0 in Bochs up to the prompt.
func TestVMXBoot(t *testing.T) {
	if _, err := exec.LookPath(emu.Bochs); err != nil {
		t.Skip("no Bochs on this machine: make deps")
	}
	m := bochs(t, emu.Config{HV: built.HV, Modules: []emu.Module{{Name: "dom0", Path: built.Dom0}}, SMP: 1, MemMiB: 512, HVArgs: "noreboot"})
	for _, want := range []string{"virtualization: VT-x", "starting dom0", "ringo#"} {
		if _, _, err := m.Console.Expect(5*time.Minute, want); err != nil {
			t.Fatalf("%v\n%s", err, m.Console.Transcript())
		}
	}
}

// TestVMXLinux boots the demo guest to its shell, in about three minutes.
func TestVMXLinux(t *testing.T) {
	if _, err := exec.LookPath(emu.Bochs); err != nil || !*long {
		t.Skip("a long test in Bochs")
	}
	m := bochs(t, emu.Config{HV: built.HV, Modules: modules(), SMP: 1, MemMiB: 768, HVArgs: "noreboot"})
	for _, step := range []struct{ want, send string }{
		{"ringo#", linux("lin") + "\r"},
		{"ringo#", "console lin\r"},
		{"demo#", "cat /proc/loadavg; hostname works\r"},
		{"works", ""},
	} {
		if _, _, err := m.Expect(20*time.Minute, step.want); err != nil {
			t.Fatalf("%v\n%s", err, m.Last(60))
		}
		if err := m.Send(step.send); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVMXUnusable: a CPU without nested paging is refused in one line.
func TestVMXUnusable(t *testing.T) {
	if _, err := exec.LookPath(emu.Bochs); err != nil {
		t.Skip("no Bochs on this machine: make deps")
	}
	m := bochs(t, emu.Config{HV: built.HV, Modules: []emu.Module{{Name: "dom0", Path: built.Dom0}}, SMP: 1, MemMiB: 512, CPU: "bx_generic", HVArgs: "noreboot"})
	if _, _, err := m.Console.Expect(2*time.Minute, "VT-x: this CPU has no nested paging (EPT)"); err != nil {
		t.Fatalf("%v\n%s", err, m.Console.Transcript())
	}
}

// bochs starts c and kills it at the end of the test.
func bochs(t *testing.T, c emu.Config) *emu.Machine {
	t.Helper()
	c.Dir = t.TempDir()
	m, err := emu.StartBochs(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	return m
}
