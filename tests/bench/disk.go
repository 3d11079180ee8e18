// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"regexp"
	"strconv"
)

// diskReads are the reads of a disk that is nothing but a controller: QEMU's medium of
// zeros is there at once.
var diskReads = []struct{ figure, args string }{
	{readFigure, "-n 1000"},
	{deepFigure, "-n 4000 -d 32"},
	{longFigure, "-n 1000 -s 131072"},
}

// cpuUse is what the verb disk-speed prints, in microseconds.
var cpuUse = regexp.MustCompile(`us each, ([0-9.]+) us of the CPUs`)

// measureDisks is what a read of an NVMe disk takes of dom0 and hv, without the time
// during which they wait for it: that is the device's, and the emulator's idle clock.
func (v values) measureDisks(f files) error {
	if !f.wants(diskRows) {
		return nil
	}
	if f.backend == onBochs {
		return nil // it has no such disk
	}
	c := f.config(1, true)
	c.Args = append(c.Args, "-drive", "if=none,id=disk,file=null-co://,file.read-zeroes=on,format=raw", "-device", "nvme,drive=disk,serial=1")
	m, err := prompted(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	for _, r := range diskReads {
		m.Send("disk-speed " + r.args + " nvme0n1\r")
		text, err := m.ExpectRE(deadline, cpuUse)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", r.args, err, m.Last(3))
		}
		us, err := strconv.ParseFloat(text[1], 64)
		if err != nil {
			return err
		}
		v[r.figure] = us * 1e3 // an instruction takes a nanosecond
	}
	return nil
}
