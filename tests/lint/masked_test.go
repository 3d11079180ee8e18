// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"ringo/tools/image"
)

// masked are functions that look something up by a number that a guest or dom0
// chose, one of each package with such tables.
var masked = []string{
	"ringo/hv/internal/hcall.(*Context).Do", // the call
	"ringo/hv/internal/hcall.(*Context).decode",
	"ringo/hv/internal/policy.(*MSRs).findHigh",
	"ringo/hv/bus.(*Bus[go.shape.uint64]).Find",
}

// TestMasked looks into the images: a mispredicted check of an index must not lead to
// what lies beyond the table. There the index is 0, by a conditional move.
func TestMasked(t *testing.T) {
	dir := t.TempDir()
	img, err := image.Build("../..", dir)
	if err != nil {
		t.Fatal(err)
	}
	hv := filepath.Join(dir, "hv.elf")
	for _, f := range masked {
		out, err := exec.Command("go", "tool", "objdump", "-s", "^"+regexp.QuoteMeta(f)+"$", hv).Output()
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`\sCMOV(AE|CC|BE|LS|A|HI)\s`).Match(out) {
			t.Errorf("%s: no index is masked in %d bytes of disassembly", f, len(out))
		}
	}
	for _, file := range []string{hv, img.Dom0} {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := ""
		for _, s := range info.Settings {
			if s.Key == "-gcflags" {
				set = s.Value
			}
		}
		if set != "ringo/...=-spectre=index" {
			t.Errorf("%s was compiled with -gcflags=%q", filepath.Base(file), set)
		}
	}
}
