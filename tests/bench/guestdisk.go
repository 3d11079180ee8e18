// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"path/filepath"

	"ringo/tools/emu"
)

// guestWork is what a Linux guest does with its disk, an NVMe one of the machine behind
// virtio-blk: words of tests/guests/diskio, and how often. KVM is Linux 6.1 and QEMU with
// virtio-blk-pci, cache=none, aio=threads, on the same emulated machine: instructions of all
// layers, and exits of the guest.
var guestWork = []struct {
	name, what string
	n          int
	bytes      float64 // of one: its figure is for each byte
	target     float64
	kvm        string
	exits      float64 // target, 0 = none is in the table
	kvmExits   string
}{
	{"read of 4 KiB, one at a time", "read", 10000, 0, 40000, "95000", 2, "2.0"},
	{"read of 4 KiB, 32 at a time", "read-deep", 40000, 0, 16000, "51000", 0.2, "0.28"},
	{"write of 4 KiB, one at a time", "write", 10000, 0, 44000, "89000 to 124000", 2, "2.1"},
	{"write of 4 KiB and flush", "write-flush", 5000, 0, 80000, "150000 to 196000", 0, ""},
	{"read of 128 KiB, one at a time, for each byte", "read-128k", 4000, 128 << 10, 0.35, "0.67 to 0.98", 0, ""},
}

const (
	guestDisk = "a guest's disk, of NVMe: "
	exitsOf   = ": exits"
)

// guestDiskFigures are the rows of a guest's disk.
func guestDiskFigures() (all []figure) {
	for _, w := range guestWork {
		all = append(all, figure{name: guestDisk + w.name, unit: insns, target: w.target, peers: both(w.kvm, ""), qemu: true})
		if w.exits != 0 {
			all = append(all, figure{name: guestDisk + w.name + exitsOf, unit: "exits", target: w.exits, peers: both(w.kvmExits, ""), qemu: true})
		}
	}
	return all
}

// measureGuestDisk is what all layers execute for a request of a guest, and how often the
// guest exits for it. The machine's clock counts instructions and stands still for nobody:
// what is taken is for how long no CPU was halted, less what that is when the guest is
// asked for nothing.
func (v values) measureGuestDisk(f files) error {
	if !f.wants(ioRows) || f.backend == onBochs {
		return nil
	}
	initrd := filepath.Join(f.dir, "diskio.gz")
	if err := f.Files.Worker(initrd, "ringo/tests/guests/diskio"); err != nil {
		return err
	}
	c := f.config(1, true)
	c.MemMiB = 1536
	c.Modules = append(c.Modules, emu.Modules(initrd)...)
	// While all are idle time is the real one, so that clocks do not tick more often than
	// there is work.
	c.Args = append(c.Args, "-icount", "shift=0,sleep=on", "-drive", "if=none,id=disk,file=null-co://,file.size=1G,file.read-zeroes=on,format=raw",
		"-device", "nvme,drive=disk,serial=1")
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	m.Send("disks\rcreate name=io kernel=boot:vmlinux.lz4 initrd=boot:" + filepath.Base(initrd) +
		" memory=640MiB disk=nvme0n1 cmdline=\"console=ttyS0 quiet nohz=off tsc=reliable\"\rconsole io\r")
	if which, text, err := m.Expect(deadline, "diskio: ready", "error: "); err != nil || which != 0 {
		return fmt.Errorf("the guest did not come up: %v\n%s%s", err, text, m.Last(3))
	}
	g := worker{m, "io", "diskio"}
	for _, w := range guestWork {
		if err := v.take(guestDisk+w.name, g, w.what+" /dev/vda", w.n, w.bytes, w.exits != 0); err != nil {
			return err
		}
	}
	return nil
}
