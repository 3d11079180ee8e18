// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"ringo/tools/demo"
	"ringo/tools/emu"
)

// busyDisks are a disk for each of eight guests, on every kind of controller, by dom0's
// names, and QEMU's arguments for them.
func busyDisks(t *testing.T) (names, args []string) {
	t.Helper()
	for i, c := range []struct{ name, device string }{
		{"nvme0n1", "nvme,serial=a,addr=10"}, {"nvme1n1", "nvme,serial=b,addr=11"}, {"nvme2n1", "nvme,serial=c,addr=12"},
		{"ahci0p0", "ide-hd,serial=d,bus=ide.0"}, {"ahci0p1", "ide-hd,serial=e,bus=ide.1"}, {"ahci0p3", "ide-hd,serial=f,bus=ide.3"},
		{"vd0", "virtio-blk-pci,serial=g,addr=13,num-queues=2"}, {"vd1", "virtio-blk-pci,serial=h,addr=14,num-queues=1"},
	} {
		names = append(names, c.name)
		args = append(args, "-drive", fmt.Sprintf("if=none,id=busy%d,format=raw,file=%s", i, emptyDisk(t, fmt.Sprintf("busy%d.img", i), 32<<20)),
			"-device", fmt.Sprintf("%s,drive=busy%d", c.device, i))
	}
	return names, args
}

// serveProgram builds a program of this module for Linux and offers it to guests.
func serveProgram(t *testing.T, path string) (url string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	if err := demo.Program(out, path); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, out) }))
	t.Cleanup(s.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	return "http://10.0.2.2:" + port + "/program"
}

// TestEightGuests runs eight on two CPUs. All at once fetch a program over the network and
// with it read and write a disk each at random, and compare.
func TestEightGuests(t *testing.T) {
	t.Parallel()
	disks, args := busyDisks(t)
	url := serveProgram(t, "ringo/tests/guests/diskio")
	h := boot(t, emu.Config{MemMiB: 2048, NIC: emu.VirtioNIC, Args: args})
	h.says("ip", `(?m)^\t10\.0\.2\.15/24 \(DHCP\)$`)
	free := h.free()
	for i, disk := range disks {
		h.ok(linux(fmt.Sprintf("g%d", i)) + " nic=default disk=" + disk)
	}
	for i := range disks {
		h.attach(fmt.Sprintf("g%d", i))
		h.shell()
		h.sh(fmt.Sprintf("hostname guest-%d", i))
		h.sh("(wget -q -O /tmp/io " + url + " && chmod +x /tmp/io && /tmp/io verify /dev/vda 2000; echo end $?) >/tmp/out 2>&1 & true")
		h.detach()
	}
	for i := range disks {
		h.attach(fmt.Sprintf("g%d", i))
		h.key("\r")
		wantSh(h, "hostname", fmt.Sprintf("guest-%d", i))
		h.detach()
	}
	for i, disk := range disks {
		h.attach(fmt.Sprintf("g%d", i))
		h.key("\r")
		got := strings.Fields(h.sh("while ! grep -q ^end /tmp/out; do sleep 1; done; cat /tmp/out"))
		if got, want := strings.Join(got, " "), "diskio: done verify /dev/vda 2000 end 0"; got != want {
			t.Errorf("g%d on %s: %q, want %q", i, disk, got, want)
		}
		wantSh(h, "dmesg | grep -i -E 'i/o error|bug:|call trace' | wc -l", "0")
		h.detach()
	}
	if rows := h.list(); len(rows) != len(disks)+1 {
		t.Errorf("%d domains in list, want %d", len(rows), len(disks)+1)
	}
	for i := range disks {
		h.ok(fmt.Sprintf("destroy g%d", i))
	}
	if got := h.free(); got != free {
		t.Errorf("free memory %d, %d before the guests", got, free)
	}
	h.poweroff()
}
