// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"path/filepath"
	"strings"
	"testing"

	"ringo/tools/emu"
	"ringo/tools/image"
)

// TestIsolation starts a dom0 that reads and writes the hypervisor's memory:
// each access faults, and the hypervisor lives to answer dom0's calls and to
// switch the machine off.
func TestIsolation(t *testing.T) {
	t.Parallel()
	poke, err := image.Partition(built.root, "./tests/guests/poke", filepath.Join(t.TempDir(), "poke"))
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"read", "write"} {
		t.Run(mode, func(t *testing.T) {
			mods := []emu.Module{{Name: "poke", Path: poke}, {Name: mode, Path: file(t, mode, mode)}}
			h := start(t, emu.Config{Modules: mods, MemMiB: 512})
			h.see(bootTime, "poke: access")
			h.see(bootTime, "poke: done")
			if s, err := h.Wait(endTime); err != nil || s.End == emu.Killed {
				t.Errorf("after it: %+v, %v", s, err)
			}
			text := h.Transcript()
			if strings.Contains(text, "NOT ISOLATED") || strings.Contains(text, "panic: ") {
				t.Errorf("isolation is broken:\n%s", text)
			}
			if a, b := strings.Count(text, "poke: access to"), strings.Count(text, "poke: stopped at"); a < 3 || a != b {
				t.Errorf("%d accesses, %d faults:\n%s", a, b, text)
			}
		})
	}
}
