// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ringo/tools/demo"
	"ringo/tools/emu"
)

// diskRead is the figure that is none of a guest: dom0 reads a disk, one piece at a time,
// as it does for make bench. guestRead is that of a Linux guest, which reads one with
// tests/guests/diskio. A round begins where the driver is given a request.
const (
	diskRead  = "disk_read"
	guestRead = "guest_read"
	give      = "ringo/drivers/nvme.(*pair).Give"
)

// theDisk is nothing but a controller: its medium of zeros is there at once.
var theDisk = []string{"-drive", "if=none,id=disk,file=null-co://,file.read-zeroes=on,format=raw", "-device", "nvme,drive=disk,serial=1"}

// beginReads makes dom0 read until the machine ends, and returns where the function is
// that each read comes by.
func beginReads(m *emu.Machine, syms symbols) (uint64, error) {
	f := syms.dom0.LookupFunc(give)
	if f == nil {
		return 0, errors.New("dom0 has no function " + give)
	}
	if _, _, err := m.Expect(deadline, prompt); err != nil {
		return 0, err
	}
	// The first of them warm up what they need.
	if err := m.Send("disk-speed nvme0n1\r"); err != nil {
		return 0, err
	}
	if _, _, err := m.Expect(deadline, "of the CPUs"); err != nil {
		return 0, err
	}
	return f.Entry, m.Send("disk-speed -n 1000000000 nvme0n1\r")
}

// addGuest adds to c the files of the guest that reads a disk, made in the folder out.
func addGuest(c *emu.Config, out string) error {
	f, err := demo.Prepare(os.Stderr, filepath.Join(out, "demo"))
	if err != nil {
		return err
	}
	worker := filepath.Join(c.Dir, "diskio.gz")
	if err := f.Worker(worker, "ringo/tests/guests/diskio"); err != nil {
		return err
	}
	c.MemMiB = 1024
	c.Modules = append(c.Modules, emu.Modules(f.Vmlinux, worker)...)
	return nil
}

// beginGuestReads makes the guest read until the machine ends, and returns where the
// function is that each read comes by.
func beginGuestReads(m *emu.Machine, syms symbols) (uint64, error) {
	at, err := syms.entry(give)
	if err != nil {
		return 0, err
	}
	if _, _, err := m.Expect(deadline, prompt); err != nil {
		return 0, err
	}
	const line = "read /dev/vda "
	for _, step := range []struct{ send, see string }{
		{"disks\r", prompt},
		{"create name=io kernel=boot:vmlinux.lz4 initrd=boot:diskio.gz memory=256MiB disk=nvme0n1 cmdline=\"console=ttyS0 quiet nohz=off tsc=reliable\"\rconsole io\r", "diskio: ready"},
		{line + "2000\r", "diskio: done " + line + "2000"}, // warms up
	} {
		if err := m.Send(step.send); err != nil {
			return 0, err
		}
		if which, text, err := m.Expect(deadline, step.see, "error: "); err != nil || which != 0 {
			return 0, fmt.Errorf("the guest does not read: %v\n%s%s", err, text, m.Last(3))
		}
	}
	// The log begins when it has been typed, which takes long.
	if err := m.Send(line + "1000000000\r"); err != nil {
		return 0, err
	}
	_, _, err = m.Expect(deadline, line+"1000000000")
	return at, err
}
