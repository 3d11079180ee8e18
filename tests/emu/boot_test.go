// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// TestBoot goes from power-on to the prompt, and off again: each way of booting
// with each number of CPUs, and each memory size with each of both.
func TestBoot(t *testing.T) {
	for i, boot := range []emu.Boot{emu.BootKernel, emu.BootISO, emu.BootPXE} {
		for j, smp := range []int{1, 2, 4} {
			mem := []int{512, 2048, 6144}[(i+j)%3]
			t.Run(fmt.Sprintf("%s-%d-%d", boot, smp, mem), func(t *testing.T) { testBoot(t, boot, smp, mem) })
		}
	}
}

func testBoot(t *testing.T, way emu.Boot, smp, mem int) {
	h := boot(t, emu.Config{Boot: way, SMP: smp, MemMiB: mem, HVArgs: "loglvl=info"})
	info := h.info()
	if got := info["nr_cpus"]; got != strconv.Itoa(smp) {
		t.Errorf("nr_cpus %q, want %d", got, smp)
	}
	if got := info["virt_caps"]; got != "hvm hap svm" {
		t.Errorf("virt_caps %q", got)
	}
	total, err := strconv.Atoi(info["total_memory"])
	if err != nil || total > mem || total < mem-mem/8 {
		t.Errorf("total_memory %q MiB of %d", info["total_memory"], mem)
	}
	// All of it but hv, dom0 and the modules is for guests, also what lies
	// above 4 GiB.
	if free, err := strconv.Atoi(info["free_memory"]); err != nil || free < mem-280 {
		t.Errorf("free_memory %q MiB of %d", info["free_memory"], mem)
	}
	files := h.ok("files")
	for _, want := range []string{"boot:vmlinuz", "boot:initrd.gz", "boot:demo.toml"} {
		if !hasWord(files, want) {
			t.Errorf("files does not list %s:\n%s", want, files)
		}
	}
	h.poweroff()
}

// TestBootWithoutPIT: the rate of the time-stamp counter comes from the PM timer.
func TestBootWithoutPIT(t *testing.T) {
	h := boot(t, emu.Config{MemMiB: 512, HVArgs: "loglvl=info", Args: []string{"-machine", "q35,pit=off"}})
	if !strings.Contains(h.Transcript(), "Hz by firmware's clocks") {
		t.Error("it does not say where the rate is from")
	}
	if mhz, err := strconv.ParseFloat(h.info()["cpu_mhz"], 64); err != nil || mhz < 100 || mhz > 20_000 {
		t.Errorf("%v MHz, %v", mhz, err)
	}
	h.poweroff()
}

// TestMemoryAbove4G gives a guest more memory than lies below 4 GiB.
func TestMemoryAbove4G(t *testing.T) {
	h := boot(t, emu.Config{MemMiB: 6144})
	h.ok(`create name=big kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz memory=4GiB cmdline="console=ttyS0"`)
	h.attach("big")
	h.shell()
	kib, err := strconv.Atoi(h.sh("awk '/MemTotal/ {print $2}' /proc/meminfo"))
	if err != nil || kib < 3900<<10 {
		t.Errorf("MemTotal %d KiB, %v", kib, err)
	}
	// Write all over what lies above 4 GiB, which Linux takes first, and more.
	h.sh("mkdir -p /mnt && mount -t tmpfs -o size=3500m none /mnt && dd if=/dev/zero of=/mnt/f bs=1M count=2000 2>/dev/null && rm /mnt/f")
	h.detach()
	h.ok("destroy big")
	h.poweroff()
}
