// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"ringo/tools/emu"
	"ringo/tools/tamago"
)

// unikernelBoards are TamaGo's for virtual machines, and what dom0 says of the end of a program
// of each, which ends itself in its own way.
var unikernelBoards = []struct{ name, ends string }{
	{"qemu", "reboots: triple fault"}, {"firecracker", "reboots: by its device model"}, {"cloudhypervisor", "has powered off"},
}

// unikernels builds tests/guests/unikernel for each board, and returns the files.
// Without TamaGo's compiler the test is left out.
func unikernels(t *testing.T) (files []string) {
	t.Helper()
	dir := t.TempDir()
	tools, err := tamago.New(built.root, dir)
	if errors.Is(err, tamago.ErrNone) {
		t.Skipf("left out, no unikernels: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range unikernelBoards {
		files = append(files, filepath.Join(dir, b.name))
		if err := tools.Unikernel("./tests/guests/unikernel", filepath.Join(dir, b.name), b.name, "linkramsize"); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestUnikernels runs a program of each of TamaGo's boards for virtual machines, in 64
// MiB although it is linked to 256 MiB: it finds its CPUs, sleeps, collects garbage, has
// the right time, and ends itself.
func TestUnikernels(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 768, Modules: modules(unikernels(t)...)})
	for i := range unikernelBoards {
		h.unikernel(i, 1+i)
	}
	h.poweroff()
}

// TestBochsUnikernels is the same on VT-x.
func TestBochsUnikernels(t *testing.T) {
	t.Parallel()
	mods := append([]emu.Module{{Name: "dom0", Path: built.Dom0}}, emu.Modules(unikernels(t)...)...)
	h := bochs(t, emu.Config{HV: built.HV, Modules: mods, SMP: 1, MemMiB: 512, HVArgs: "noreboot"})
	h.see(bootTime, prompt)
	for i := range unikernelBoards {
		h.unikernel(i, 1+i)
	}
	h.poweroff()
}

// unikernel runs one for a board, to its end.
func (h *host) unikernel(board, vcpus int) {
	h.t.Helper()
	b, free := unikernelBoards[board], h.free()
	h.ok(fmt.Sprintf("create name=%s kernel=boot:%[1]s memory=64MiB vcpus=%d on_reboot=destroy", b.name, vcpus))
	h.attach(b.name)
	h.see(guestTime, fmt.Sprintf("unikernel %s: %d CPUs", b.name, vcpus))
	if vcpus == 1 {
		h.see(guestTime, "garbage was collected: true")
	} else {
		h.see(guestTime, fmt.Sprintf("%d goroutines have met", vcpus))
	}
	first := h.tell(b.name, "before")
	h.detach()
	first.to = h.uptime()
	h.attach(b.name)
	chip := h.seeRE(guestTime, `the clock chip: (\S+Z)`)[1]
	now, err := time.Parse(time.RFC3339, chip)
	if off := time.Since(now).Abs(); err != nil || off > time.Hour { // the emulator's clock may be slow
		h.t.Errorf("the clock chip is %v off: %s, %v", off, chip, err)
	}
	if agree := h.seeRE(guestTime, `the clocks agree: (true|false)`)[1]; agree != "true" {
		h.t.Error("the clock chip and the runtime's clock do not agree")
	}
	last := h.tell(b.name, "after")
	h.see(guestTime, "the end: press a key\n")
	h.key("t")
	h.see(guestTime, b.ends+": destroying it")
	h.see(guestTime, "\n"+prompt)
	last.to = h.uptime()
	const late = 0.01 // where a CPU is slow, see the unikernel's agree
	if d := last.guest - first.guest; d < last.from-first.to-late || d > last.to-first.from+late {
		h.t.Errorf("%s: %v seconds by its clock: %+v, %+v", b.name, d, first, last)
	}
	for end := time.Now().Add(endTime); h.free() != free; {
		if time.Now().After(end) {
			h.t.Fatalf("free memory %d, %d before", h.free(), free)
		}
	}
}

// told is what a unikernel's clock said, and the hypervisor's before and after that, in
// seconds.
type told struct{ guest, from, to float64 }

// tell has a unikernel say what its clock is; how late that is at most is for its caller
// to find.
func (h *host) tell(name, when string) (t told) {
	h.t.Helper()
	h.see(guestTime, when+": press a key\n")
	h.detach()
	t.from = h.uptime()
	h.attach(name)
	h.see(verbTime, when+": press a key\n")
	h.key("t")
	s := h.seeRE(guestTime, when+`: ([0-9.]+) seconds\n`)[1]
	var err error
	if t.guest, err = strconv.ParseFloat(s, 64); err != nil {
		h.t.Fatal(err)
	}
	return t
}

// uptime is for how long the machine has run, in seconds.
func (h *host) uptime() float64 {
	h.t.Helper()
	_, all := h.idle()
	return all / float64(h.cpus)
}
