// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"strings"
	"testing"
	"time"

	"ringo/tools/emu"
)

// TestDiskPlug: disks are plugged into a Linux guest that runs and taken out of it, asked
// and unasked, while it writes them.
func TestDiskPlug(t *testing.T) {
	t.Parallel()
	h := boot(t, emu.Config{MemMiB: 1024, Args: []string{
		"-drive", "if=none,id=a,format=raw,file=" + emptyDisk(t, "a.img", 16<<20), "-device", "nvme,drive=a,serial=a",
		"-drive", "if=none,id=b,format=raw,file=" + emptyDisk(t, "b.img", 16<<20), "-device", "virtio-blk-pci,drive=b,serial=b,num-queues=2",
	}})
	h.ok("disks")
	h.ok("create demo.toml disk=nvme0n1")
	h.attach("demo")
	h.shell()
	h.detach()
	for _, how := range []string{"", "-F "} {
		h.ok("block-attach demo disk=vd0,serial=plugged")
		h.fails("block-attach demo disk=vd0,slot=31", `vd0 is in use by domain "demo"`)
		h.attach("demo")
		if got := h.sh("until grep . /sys/block/vdb/serial 2>/dev/null; do sleep 0.1; done; cat /sys/block/vdb/size"); got != "plugged\n32768" {
			t.Errorf("the guest has a disk %q", got)
		}
		h.sh("(while dd if=/dev/zero of=/dev/vdb bs=64k count=100 oflag=direct; do :; done) >/dev/null 2>&1 & true")
		h.detach()
		for !strings.Contains(h.ok("block-list demo"), "vd0 ") || blockWritten(h, "vd0") == "0" {
		}
		h.unplug("block-detach " + how + "demo vd0")
		if list := h.ok("block-list demo"); strings.Contains(list, "vd0") || !strings.Contains(list, "nvme0n1") {
			t.Errorf("%sblock-list: %s", how, list)
		}
		if got := h.ok("disk-test vd0 1 1"); !strings.Contains(got, ", 0 failed") {
			t.Error(got)
		}
		h.attach("demo")
		h.sh("while [ -e /sys/block/vdb ]; do sleep 0.1; done")
		if got := h.sh("dd if=/dev/vda of=/dev/null bs=64k count=16 2>/dev/null && echo works"); got != "works" {
			t.Errorf("%s: the other disk %s", how, got)
		}
		h.quiet()
		h.detach()
	}
	h.poweroff()
}

// blockWritten is how many KiB the guest "demo" has written to a disk.
func blockWritten(h *host, disk string) string {
	for _, l := range strings.Split(h.ok("block-list demo"), "\n") {
		if f := strings.Fields(l); len(f) > 3 && f[0] == disk {
			return f[len(f)-3]
		}
	}
	return ""
}

// unplug asks until the guest has given back what it is asked for: on a busy machine that
// takes longer than the verb waits, and while it handles the event it does not listen for
// the next one.
func (h *host) unplug(line string) {
	h.t.Helper()
	for began, asked := time.Now(), false; ; asked = true {
		out := h.do(line)
		switch {
		case out == "" || asked && strings.Contains(out, "has no "):
			return
		case !strings.Contains(out, "has not given back") && !strings.Contains(out, "does not listen"), time.Since(began) > guestTime:
			h.t.Fatalf("%s: %s", line, out)
		}
	}
}
