// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

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
	for _, w := range guestWork {
		// The first time finds what is kept; the second is the one that counts.
		if _, _, err := diskWorkOf(m, w.what, max(w.n/10, 100)); err != nil {
			return err
		}
		idle, idleExits, err := diskWorkOf(m, "nothing", 1)
		if err != nil {
			return err
		}
		busy, exits, err := diskWorkOf(m, w.what, w.n)
		if err != nil {
			return err
		}
		x := (busy - idle) / float64(w.n)
		if w.bytes != 0 {
			x /= w.bytes
		}
		v[guestDisk+w.name] = x
		e := (exits - idleExits) / float64(w.n)
		if w.exits != 0 {
			v[guestDisk+w.name+exitsOf] = e
		}
		fmt.Fprintf(os.Stderr, "%s%s: %.4g instructions, %.3f exits; what was taken off is %.3g in all\n", guestDisk, w.name, x, e, idle)
	}
	return nil
}

// statsTotal is the line of the verb stats with all exits.
var statsTotal = regexp.MustCompile(`(?m)^total +(\d+) `)

// diskWorkOf has the guest, whose console is attached, do some work, and returns how many
// instructions the machine has executed meanwhile, and how often the guest has exited.
func diskWorkOf(m *emu.Machine, what string, n int) (busy, exits float64, err error) {
	mark := func() (busy, exits float64, err error) {
		if err := m.Send("\x1d"); err != nil {
			return 0, 0, err
		}
		if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
			return 0, 0, err
		}
		halted, at, err := halts(m)
		if err != nil {
			return 0, 0, err
		}
		m.Send("stats io\r")
		g, err := m.ExpectRE(deadline, statsTotal)
		if err != nil {
			return 0, 0, err
		}
		if _, err := fmt.Sscan(g[1], &exits); err != nil {
			return 0, 0, err
		}
		if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
			return 0, 0, err
		}
		m.Send("console io\r")
		_, _, err = m.Expect(deadline, "connected to")
		return (at - halted) * 1e9, exits, err
	}
	busy0, exits0, err := mark()
	if err != nil {
		return 0, 0, err
	}
	line := fmt.Sprintf("%s /dev/vda %d", what, n)
	m.Send(line + "\r")
	if which, text, err := m.Expect(deadline, "diskio: done "+line, "diskio: error: "); err != nil || which != 0 {
		return 0, 0, fmt.Errorf("%s: %v\n%s%s", line, err, text, m.Last(3))
	}
	busy, exits, err = mark()
	return busy - busy0, exits - exits0, err
}
