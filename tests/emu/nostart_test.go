// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// TestNoStart boots what cannot work. Each case ends with one line that says
// why, and the machine resets by itself: there is nothing to press.
func TestNoStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		conf    emu.Config
		pattern string
	}{
		{"no SVM", emu.Config{CPU: "max,-svm"}, `(AMD-V|SVM)`},
		{"no NPT", emu.Config{CPU: "max,-npt"}, `(nested paging|NPT)`},
		{"no NX", emu.Config{CPU: "max,-nx"}, `NX`},
		{"no module", emu.Config{Modules: []emu.Module{}}, `no boot module`},
		{"truncated dom0", emu.Config{Modules: bad(t, "dom0", truncated)}, `dom0[^\n]*(truncated|outside the file)`},
		{"garbage dom0", emu.Config{Modules: bad(t, "dom0", garbage)}, `dom0[^\n]*not an ELF`},
		{"empty dom0", emu.Config{Modules: bad(t, "dom0", empty)}, `dom0[^\n]*short`},
		{"little memory", emu.Config{MemMiB: 64}, `not enough memory`},
		{"iommu=required", emu.Config{HVArgs: "iommu=required"}, `iommu=required: this machine has none, or firmware has it turned off: turn VT-d`},
		{"dom0_mem too small", emu.Config{HVArgs: "dom0_mem=4M"}, `dom0[^\n]*raise dom0_mem=`},
		{"dom0_mem too large", emu.Config{HVArgs: "dom0_mem=8G"}, `not enough memory for dom0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, c.conf)
			t.Log(h.seeRE(bootTime, `ringo: [^\n]*`+c.pattern+`[^\n]*\n`)[0])
			if s, err := h.Wait(endTime); err != nil || s.End != emu.Reset {
				t.Errorf("after it: %+v, %v; want a reset", s, err)
			}
			if text := h.Transcript(); strings.Contains(text, "goroutine ") || strings.Contains(text, "  rip ") {
				t.Error("a dump for a mistake of the user")
			}
		})
	}
}

// bad is a single module made from dom0.
func bad(t *testing.T, name string, change func([]byte) []byte) []emu.Module {
	b, err := os.ReadFile(built.Dom0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
	return []emu.Module{{Name: name, Path: path}}
}

func truncated(b []byte) []byte { return b[:len(b)/2] }
func empty([]byte) []byte       { return nil }
func garbage(b []byte) []byte {
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}
