// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guestDisks are disks of the machine that a Linux guest has: of each kind of controller
// one that it writes, and one as a snapshot; and a boot module as an image.
type guestDisks struct {
	files    map[string]string // of QEMU, by the guest's name
	module   string
	args     []string
	settings string
	sums     map[string]string // of the first MiB
}

func newGuestDisks(t *testing.T) *guestDisks {
	t.Helper()
	d := &guestDisks{files: map[string]string{}, sums: map[string]string{}}
	for _, c := range []struct{ guest, device, setting string }{
		{"vda", "nvme,drive=vda,serial=a,addr=10", "nvme0n1,serial=data"},
		{"vdb", "ide-hd,drive=vdb,serial=b,bus=ide.0", "ahci0p0"},
		{"vdc", "virtio-blk-pci,drive=vdc,serial=c,addr=12,num-queues=2", "vd0"},
		{"vdd", "nvme,drive=vdd,serial=d,addr=11", "nvme1n1,snapshot"},
	} {
		d.files[c.guest] = emptyDisk(t, c.guest+".img", 16<<20)
		d.args = append(d.args, "-drive", "if=none,id="+c.guest+",format=raw,file="+d.files[c.guest], "-device", c.device)
		d.settings += " disk=" + c.setting
	}
	d.module = filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(d.module, bytes.Repeat([]byte("an image of 64K\n"), 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	d.settings += " disk=boot:disk.img,readonly"
	return d
}

// use has the guest "demo" write its disks and read back what it has written.
func (d *guestDisks) use(h *host) {
	h.t.Helper()
	h.attach("demo")
	defer h.detach()
	for _, name := range []string{"vda", "vdb", "vdc", "vdd"} {
		out := h.sh("head -c 1048576 /dev/urandom > /tmp/p; sha256sum < /tmp/p; dd if=/tmp/p of=/dev/" + name +
			" bs=64k conv=fsync 2>/dev/null; echo 3 > /proc/sys/vm/drop_caches; head -c 1048576 /dev/" + name + " | sha256sum")
		sums := regexp.MustCompile(`[0-9a-f]{64}`).FindAllString(out, -1)
		if len(sums) != 2 || sums[0] != sums[1] {
			h.t.Errorf("%s does not read as it was written: %s", name, out)
			continue
		}
		d.sums[name] = sums[0]
	}
	for _, c := range [][2]string{
		{"cat /sys/block/vda/serial", "data"},
		{"cat /sys/block/vda/size", "32768"},
		{"cat /sys/block/vde/ro", "1"},
		{"grep -c 'an image of 64K' /dev/vde", "4096"},
		{"dd if=/dev/zero of=/dev/vde count=1 2>/dev/null || echo refused", "refused"},
		{"dmesg | grep -i -E 'i/o error|bug:|call trace' | wc -l", "0"},
	} {
		if got := strings.TrimSpace(h.sh(c[0])); got != c[1] {
			h.t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	h.detach()
	list := h.ok("block-list demo")
	for _, want := range []string{
		`(?m)^nvme0n1 +8 +rw +data +16 +[1-9]\d* +1024 +[1-9]\d* +0$`, `(?m)^nvme1n1 +11 +snapshot +16 .* 0$`, `(?m)^boot:disk.img +12 +ro +0 +[1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(list) {
			h.t.Errorf("block-list: %s\ndoes not have %s", list, want)
		}
	}
	h.fails("create name=other kernel=boot:vmlinux.lz4 memory=64 disk=nvme0n1", `nvme0n1 is in use by domain "demo"`)
	h.fails("disk-test vd0 1 1", `vd0 is in use by domain "demo"`)
	h.attach("demo")
}

// compare looks at what QEMU has written to its files.
func (d *guestDisks) compare(t *testing.T) {
	t.Helper()
	for name, file := range d.files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(b[:1<<20]))
		zeros := fmt.Sprintf("%x", sha256.Sum256(make([]byte, 1<<20)))
		switch {
		case name == "vdd":
			if sum != zeros {
				t.Error("a snapshot has changed its disk")
			}
		case sum != d.sums[name] || sum == zeros:
			t.Errorf("%s: the file below has %s, the guest wrote %s", name, sum, d.sums[name])
		}
	}
}

// destroyWriter destroys the guest whose console is attached while it writes its only disk:
// the disk is free then, and works.
func destroyWriter(h *host, name, disk string) {
	h.t.Helper()
	h.sh("(while dd if=/dev/zero of=/dev/vda bs=64k count=500 oflag=direct; do :; done) >/dev/null 2>&1 & true")
	h.detach()
	wrote := regexp.MustCompile(`(?m)^` + disk + ` +8 +rw +64 +\d+ +[1-9]`)
	for !wrote.MatchString(h.ok("block-list " + name)) {
	}
	h.ok("destroy " + name)
	h.fails("block-list "+name, "does not exist")
	if got := h.ok("disk-test " + disk + " 1 1"); !strings.Contains(got, ", 0 failed") {
		h.t.Error(got)
	}
}
