// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"strings"
	"testing"

	"ringo/tools/emu"
)

// TestRNG: an unmodified Debian kernel finds the PCI bus and the entropy device on
// it, and reads random bytes: by MSI-X, by the interrupt pin, and not at all where
// the configuration has no such device.
func TestRNG(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1280, Args: []string{
		"-drive", "if=none,id=d,format=raw,file=" + emptyDisk(t, "d.img", 64<<20), "-device", "nvme,drive=d,serial=d",
	}})
	files := ` kernel=boot:vmlinux.lz4 initrd=boot:initrd.gz memory=256 cmdline="console=ttyS0 `
	h.ok("create name=msix" + files + `"`)
	h.attach("msix")
	h.shell()
	testEntropy(h, "PCI-MSI")
	h.detach()
	h.ok("destroy msix")

	h.ok("create name=pin" + files + `pci=nomsi"`)
	h.attach("pin")
	h.shell()
	testEntropy(h, "IO-APIC")
	h.detach()
	h.ok("destroy pin")

	h.ok("create name=none rng=false disk=nvme0n1" + files + `"`)
	h.attach("none")
	h.shell()
	if got := h.sh("cat /sys/bus/pci/devices/*/device"); got != "0x29c0\n0x1042" {
		t.Errorf("rng=false: devices %q", got)
	}
	destroyWriter(h, "none", "nvme0n1")
	h.poweroff()
}

// testEntropy reads random bytes in the guest whose console is attached. interrupt
// is the kind of the device's line in /proc/interrupts.
func testEntropy(h *host, interrupt string) {
	h.t.Helper()
	for _, c := range [][2]string{
		{"cd /sys/bus/pci/devices; cat */vendor */device */class | tr '\\n' ' '", "0x8086 0x1af4 0x29c0 0x1044 0x060000 0xff0000"},
		{"cat /sys/bus/pci/devices/0000:00:01.0/virtio0/device", "0x0004"},
		{"cat /sys/class/misc/hw_random/rng_available", "virtio_rng.0"},
		{"cat /sys/class/misc/hw_random/rng_current", "virtio_rng.0"},
		{"dd if=/dev/hwrng bs=1000 count=3 iflag=fullblock 2>/dev/null | wc -c", "3000"},
		// Of 3000 random bytes hardly any value is missing.
		{"test $(head -c 3000 /dev/hwrng | od -An -v -t u1 -w1 | sort -u | wc -l) -gt 240 && echo random", "random"},
		{"dmesg | grep -i -E 'bug:|oops|call trace|lockup|acpi.*error|pci.*(fail|error|conflict|no space)' | wc -l", "0"},
		{"cd; dmesg | grep -c 'MMCONFIG at.*reserved in E820'", "1"},
	} {
		if got := strings.TrimSpace(h.sh(c[0])); got != c[1] {
			h.t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	if got := h.sh("grep -E 'virtio' /proc/interrupts"); !strings.Contains(got, interrupt) {
		h.t.Errorf("interrupts: %q", got)
	}
	if h.t.Failed() {
		h.t.Log(h.sh("dmesg | grep -i -E 'pci|virtio|acpi'"))
	}
}
