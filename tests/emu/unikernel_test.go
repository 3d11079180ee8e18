// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/tamago"
)

// unikernels builds tests/guests/unikernel for each of TamaGo's boards, and returns the
// files. Without TamaGo's compiler the test is left out.
func unikernels(t *testing.T, boards ...string) (files []string) {
	t.Helper()
	dir := t.TempDir()
	tools, err := tamago.New(built.root, dir)
	if errors.Is(err, tamago.ErrNone) {
		t.Skipf("left out, no unikernels: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boards {
		files = append(files, filepath.Join(dir, b))
		if err := tools.Unikernel("./tests/guests/unikernel", filepath.Join(dir, b), b, "linkramsize"); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestUnikernels runs a program of each of TamaGo's boards for virtual machines, in 64
// MiB although it is linked to 256 MiB: it finds its CPUs, sleeps, collects garbage, has
// the right time, and ends itself, each board in its own way.
func TestUnikernels(t *testing.T) {
	t.Parallel()
	boards := []string{"qemu", "firecracker", "cloudhypervisor"}
	ends := []string{"reboots: triple fault", "reboots: by its device model", "has powered off"}
	h := boot(t, emu.Config{MemMiB: 768, Modules: modules(unikernels(t, boards...)...)})
	free := h.free()
	for i, b := range boards {
		vcpus := 1 + i
		h.ok(fmt.Sprintf("create name=%s kernel=boot:%[1]s memory=64MiB vcpus=%d on_reboot=destroy", b, vcpus))
		h.attach(b)
		h.unikernel(b, vcpus)
		h.see(guestTime, ends[i]+": destroying it")
		h.see(guestTime, "\n"+prompt)
	}
	for end := time.Now().Add(endTime); h.free() != free; {
		if time.Now().After(end) {
			t.Fatalf("free memory %d, %d before", h.free(), free)
		}
	}
	h.poweroff()
}

// unikernel sees what a unikernel prints, to its end.
func (h *host) unikernel(board string, vcpus int) {
	h.t.Helper()
	h.see(guestTime, fmt.Sprintf("unikernel %s: %d CPUs", board, vcpus))
	if vcpus == 1 {
		h.see(guestTime, "garbage was collected: true")
	} else {
		h.see(guestTime, fmt.Sprintf("%d goroutines have met", vcpus))
	}
	chip := h.seeRE(guestTime, `the clock chip: (\S+Z)`)[1]
	now, err := time.Parse(time.RFC3339, chip)
	if off := time.Since(now).Abs(); err != nil || off > time.Hour { // the emulator's clock may be slow
		h.t.Errorf("the clock chip is %v off: %s, %v", off, chip, err)
	}
	if agree := h.seeRE(guestTime, `the clocks agree: (true|false)`)[1]; agree != "true" {
		h.t.Error("the clock chip and the runtime's clock do not agree")
	}
	h.see(guestTime, "unikernel: the end")
}
