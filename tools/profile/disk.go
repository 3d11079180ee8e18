// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"

	"ringo/tools/emu"
)

// diskRead is the figure that is none of a guest: dom0 reads a disk, one piece at a time,
// as it does for make bench. A round begins where the driver is given a request.
const (
	diskRead = "disk_read"
	give     = "ringo/drivers/nvme.(*pair).Give"
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
