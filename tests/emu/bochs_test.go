// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"os/exec"
	"testing"
	"time"

	"ringo/tools/emu"
)

// TestBochsBoot starts the hypervisor and dom0 in Bochs up to the prompt.
func TestBochsBoot(t *testing.T) {
	m := bochs(t, emu.Config{HV: built.HV, Modules: []emu.Module{{Name: "dom0", Path: built.Dom0}}, SMP: 1, MemMiB: 512, HVArgs: "noreboot"})
	for _, want := range []string{"virtualization: VT-x", "starting dom0", "ringo#"} {
		if _, _, err := m.Console.Expect(5*time.Minute, want); err != nil {
			t.Fatalf("%v\n%s", err, m.Console.Transcript())
		}
	}
}

// TestBochsLinux boots the demo guest to its shell, in about three minutes.
func TestBochsLinux(t *testing.T) {
	if !*long {
		t.Skip("needs -long")
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

// TestBochsUnusable: a CPU without nested paging is refused in one line.
func TestBochsUnusable(t *testing.T) {
	m := bochs(t, emu.Config{HV: built.HV, Modules: []emu.Module{{Name: "dom0", Path: built.Dom0}}, SMP: 1, MemMiB: 512, CPU: "bx_generic", HVArgs: "noreboot"})
	if _, _, err := m.Console.Expect(2*time.Minute, "VT-x: this CPU has no nested paging (EPT)"); err != nil {
		t.Fatalf("%v\n%s", err, m.Console.Transcript())
	}
}

// bochs starts c in Bochs; it ends, and its console is kept, as start says.
func bochs(t *testing.T, c emu.Config) *host {
	t.Helper()
	if _, err := exec.LookPath(emu.Bochs); err != nil {
		t.Fatal("no Bochs on this machine: make deps")
	}
	c.Dir = t.TempDir()
	m, err := emu.StartBochs(c)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Machine: m, t: t}
	t.Cleanup(h.close)
	return h
}
