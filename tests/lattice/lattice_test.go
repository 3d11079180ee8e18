// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lattice

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the block in ARCHITECTURE.md")

func TestTree(t *testing.T) {
	all, err := Scan("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 || len(all["mm"]) == 0 {
		t.Fatalf("the scan found %d packages, mm imports %v", len(all), all["mm"])
	}
	for _, line := range Check(all) {
		t.Error(line)
	}
	for _, line := range Stale(all) {
		t.Error(line)
	}
}

// ARCHITECTURE.md shows the rules as they are.
func TestDocument(t *testing.T) {
	const name, begin, end = "../../ARCHITECTURE.md", "<!-- lattice: go test ./tests/lattice -update -->\n```\n", "```\n<!-- end -->"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no block between %q and %q", name, begin, end)
	}
	want := Draw()
	if *update {
		if err := os.WriteFile(name, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the import lattice in ARCHITECTURE.md (-want +got; -update rewrites):\n%s", diff)
	}
}

// A rule that nobody needs is found, and so is a name in a rule that matches
// nothing; a folder that is still empty may have its rule.
func TestStale(t *testing.T) {
	got := stale(Imports{
		"mm": nil, "mm/pt": {"ringo/mm"}, "mm/pttest": nil, "svm": {"ringo/mm"},
	}, []rule{
		{pkg: "mm"},
		{pkg: "mm/pt", ours: "mm mm/gone"},
		{pkg: "mm/..."},
		{pkg: "mm/later"},
		{pkg: "svm", ours: "mm/... drivers/pci"},
		{pkg: "drivers/...", ours: "drivers/..."},
	})
	want := []string{
		"rule mm/...: another rule comes first for every package it matches",
		"rule mm/later: matches no package",
		"rule mm/pt: mm/gone matches no package",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each forbidden import is found, and only those.
func TestCheck(t *testing.T) {
	got := Check(Imports{
		"hv/abi":           {"fmt"},
		"mm/pt":            {"ringo/mm", "ringo/mm/phys", "ringo/hv/vcpu", "errors", "log"},
		"svm":              {"ringo/hv/vcpu", "ringo/vmx"},
		"vmx":              {"ringo/hv/vcpu", "ringo/svm", "golang.org/x/arch/x86/x86asm"},
		"hv/internal/part": {"ringo/hv/internal/sched", "ringo/hv/internal/run", "ringo/svm"},
		"hv/internal/vpit": {"ringo/hv/bus", "time"},
		"hv":               {"ringo/svm", "ringo/hv/internal/run", "runtime/debug", "ringo/drivers/pci", "ringo/dom0/cli"},
		"dom0/cli":         {"ringo/dom0/api", "ringo/dom0/domain", "fmt", "golang.org/x/term", "ringo/mm", "ringo/hv/x86"},
		"dom0/devmodel/x":  {"ringo/hv/bus", "ringo/dom0/domain", "ringo/dom0/hcall"},
		"dom0/domain":      {"ringo/dom0/loader", "ringo/dom0/cli"},
		"dom0/new":         {},
		"drivers/pci":      {"ringo/drivers/reg", "ringo/hv/abi", "github.com/usbarmory/tamago/dma"},
		"boot/mb":          {"ringo/mm", "ringo/mm/phys/phystest", "unsafe"},
		"mm/phys/phystest": {"ringo/mm/phys", "testing", "github.com/google/go-cmp/cmp"},
		"hv/vcpu/vcputest": {"ringo/hv/vcpu", "ringo/mm/pt", "ringo/mm/phys/phystest", "ringo/dom0/cli"},
		"tools/emu":        {"ringo/hv/abi", "os/exec", "ringo/svm"},
		"extra":            {},
	})
	want := []string{
		"boot/mb imports ringo/mm/phys/phystest",
		"dom0/cli imports golang.org/x/term",
		"dom0/cli imports ringo/dom0/domain",
		"dom0/cli imports ringo/hv/x86",
		"dom0/cli imports ringo/mm",
		"dom0/devmodel/x imports ringo/dom0/domain",
		"dom0/devmodel/x imports ringo/dom0/hcall",
		"dom0/domain imports ringo/dom0/cli",
		"dom0/new: no rule in tests/lattice/rules.go",
		"drivers/pci imports ringo/hv/abi",
		"extra: no rule in tests/lattice/rules.go",
		"hv imports ringo/dom0/cli",
		"hv imports ringo/drivers/pci",
		"hv/abi imports fmt",
		"hv/internal/part imports ringo/hv/internal/run",
		"hv/internal/part imports ringo/svm",
		"hv/internal/vpit imports time",
		"hv/vcpu/vcputest imports ringo/dom0/cli",
		"mm/pt imports log",
		"mm/pt imports ringo/hv/vcpu",
		"svm imports ringo/vmx",
		"tools/emu imports ringo/svm",
		"vmx imports golang.org/x/arch/x86/x86asm",
		"vmx imports ringo/svm",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestScan(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/a.go":            "package a\nimport \"fmt\"\n",
		"a/tagged.go":       "//go:build never\n\npackage a\nimport (\"fmt\"; x \"os\")\n",
		"a/a_test.go":       "package a\nimport \"testing\"\n",
		"a/testdata/bad.go": "package b\nimport \"log\"\n",
		"build/x.go":        "package x\nimport \"log\"\n",
		"gen/go.mod":        "module gen\n",
		"gen/main.go":       "package main\nimport \"log\"\n",
		"empty/e.go":        "package e\n",
	} {
		name = filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Scan(root)
	if err != nil {
		t.Fatal(err)
	}
	want := Imports{"a": {"fmt", "os"}, "empty": nil}
	if diff := cmp.Diff(want, got, cmp.Transformer("len", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		t.Error(diff)
	}
}
