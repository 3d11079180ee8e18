// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringo/hv/vcpu/vcputest"
	"ringo/tools/emu"
	"ringo/tools/image"
)

// board is an emulated machine on which a backend is tested.
type board struct {
	emulator string
	ext      string // what the CPU has, as hv calls it
	cpu      string
	cpus     int
	entries  int  // of the test random, default 10,000
	long     bool // in make test-long only
	// hardened runs the entry code of CPUs that leak, with what any CPU can
	// execute of it: the return stack buffer is filled, VERW executed.
	hardened bool
}

// boards are the columns of the table that "make test" ends with.
var boards = []board{
	{emulator: "QEMU", ext: "AMD-V", cpu: "max", cpus: 1, entries: 100_000},
	{emulator: "QEMU", ext: "AMD-V", cpu: "max", cpus: 2, hardened: true},
	{emulator: "QEMU", ext: "AMD-V", cpu: "max", cpus: 4},
	{emulator: "QEMU", ext: "AMD-V", cpu: "phenom", cpus: 1}, // no XSAVE
	{emulator: "Bochs", ext: "AMD-V", cpu: "ryzen", cpus: 2},
	{emulator: "Bochs", ext: "VT-x", cpu: "corei7_skylake_x", cpus: 2},
	// No 1 GiB pages, no accessed bits in second-level tables, no INVPCID.
	{emulator: "Bochs", ext: "VT-x", cpu: "corei7_sandy_bridge_2600k", cpus: 1, hardened: true},
	{emulator: "Bochs", ext: "VT-x", cpu: "corei7_haswell_4770", cpus: 1, long: true},
}

// groups are the tests of tests/guests/conformance, but for the one that
// measures. The first has a row for each case.
var groups = []string{"conformance", "isolation", "hostile", "invalid", "asid", "random", "preempt", "nmi", "torture", "migrate"}

// TestBackend runs the backends alone, with the software oracle for flushes:
// the conformance suite, self-checking and hostile guests, hostile state, more
// vCPUs than address-space identifiers.
func TestBackend(t *testing.T) {
	t.Parallel()
	img, err := image.Bare(built.root, "./tests/guests/conformance", filepath.Join(t.TempDir(), "conformance.img"), "invariants")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boards {
		t.Run(fmt.Sprintf("%s/%s/%d", b.emulator, b.cpu, b.cpus), func(t *testing.T) {
			t.Parallel()
			if b.long && !*long {
				t.Skip("needs -long")
			}
			b.test(t, img)
		})
	}
}

// test runs every group on b and gives a verdict for each row.
func (b board) test(t *testing.T, img string) {
	var run []string
	for _, g := range groups {
		d, ok := deviation(b, g)
		switch {
		case (g == "migrate" || g == "nmi") && b.cpus == 1:
			b.verdict(t, g, "skip", "it takes two CPUs")
		case ok && d.fatal:
			b.verdict(t, g, "deviates", d.why)
		default:
			run = append(run, g)
		}
	}
	secs, entries, limit := 3, cmp.Or(b.entries, 10_000), 15*time.Minute
	if *long {
		secs, entries, limit = 20, 100_000, 40*time.Minute
	}
	hardened := 0
	if b.hardened {
		hardened = 1
	}
	got := b.run(t, emu.Config{
		HV: img, Modules: []emu.Module{}, SMP: b.cpus, CPU: b.cpu, MemMiB: 512,
		HVArgs: fmt.Sprintf("cpus=%d secs=%d entries=%d hardened=%d tests=%s", b.cpus, secs, entries, hardened, strings.Join(run, ",")),
	}, limit)
	for _, row := range rows(run) {
		d, deviates := deviation(b, row)
		switch v := got[row]; {
		case deviates && v == "fail":
			b.verdict(t, row, "deviates", d.why)
		case deviates && v == "pass":
			t.Errorf("%s: passes, although a deviation is on record: remove that", row)
			b.verdict(t, row, "fail", "it should deviate, and does not")
		case v == "pass":
			b.verdict(t, row, "pass", "")
		default:
			t.Errorf("%s: %s", row, map[bool]string{true: "no verdict", false: v}[v == ""])
			b.verdict(t, row, "fail", "")
		}
	}
}

// rows are what the program says something about, given the groups it runs.
func rows(run []string) []string {
	var all []string
	for _, c := range vcputest.Cases() {
		if slices.Contains(run, "conformance") {
			all = append(all, c.Name)
		}
	}
	return append(all, slices.DeleteFunc(slices.Clone(run), func(g string) bool { return g == "conformance" })...)
}

// verdict is a cell of the table (tools/check).
func (b board) verdict(t *testing.T, row, verdict, note string) {
	plural := map[bool]string{true: "s"}[b.cpus > 1]
	t.Attr("verdict", fmt.Sprintf("%s, %s %s, %d CPU%s | %s | %s | %s", b.ext, b.emulator, b.cpu, b.cpus, plural, row, verdict, note))
}

var rowLine = regexp.MustCompile(`(?m)^row (.+): (pass|fail)$`)

// run boots c on b to the end of the program and returns the verdicts by row.
// Errors that belong to no row fail the test.
func (b board) run(t *testing.T, c emu.Config, limit time.Duration) map[string]string {
	boot := start
	if b.emulator == "Bochs" {
		boot = bochs
	}
	m := boot(t, c)
	which, _, err := m.Expect(limit, "SUCCESS", "FAILURE", "FATAL", "panic: ")
	if err != nil || which > 1 {
		m.Wait(3 * time.Second) // let it say all
		t.Errorf("%v", err)
	} else if which == 0 {
		if s, err := m.Wait(endTime); err != nil || s.End != emu.Poweroff {
			t.Errorf("%+v, %v", s, err)
		}
	}
	text := m.Transcript()
	if !strings.Contains(text, "{Name:"+b.ext+" ") {
		t.Errorf("it does not say that it uses %s", b.ext)
	}
	got := map[string]string{}
	for _, line := range rowLine.FindAllStringSubmatch(text, -1) {
		got[line[1]] = line[2]
	}
	if t.Failed() || slices.Contains(slices.Collect(maps.Values(got)), "fail") {
		t.Log(text)
	}
	return got
}
