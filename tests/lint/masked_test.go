// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lint

import (
	"debug/buildinfo"
	"debug/elf"
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

// TestDom0Size looks for what dom0 has in memory and not in its file: packages that
// bring tables of megabytes are noticed here.
func TestDom0Size(t *testing.T) {
	exe, err := image.Partition("../..", "./dom0", filepath.Join(t.TempDir(), "dom0.elf"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var zero uint64
	for _, s := range f.Sections {
		if s.Type == elf.SHT_NOBITS && s.Flags&elf.SHF_TLS == 0 {
			zero += s.Size
		}
	}
	if zero == 0 || zero > 1<<20 {
		t.Errorf("dom0 has %d KiB of BSS, want less than 1 MiB", zero>>10)
	}
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "DefaultGODEBUG" && !regexp.MustCompile(`(^|,)fips140=off(,|$)`).MatchString(s.Value) {
			t.Errorf("dom0's GODEBUG is %q, want fips140=off", s.Value)
		}
	}
}
