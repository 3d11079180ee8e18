// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"regexp"
	"strconv"

	"ringo/tools/emu"
)

// diskKinds are the disks that are measured. Each is nothing but a controller: QEMU's
// medium of zeros is there at once. The targets of diskWork are what Linux 6.1 takes on
// the bare machine.
var diskKinds = []struct {
	name    string // in the table
	disk    string // dom0's name
	device  string
	targets [5]float64
}{
	{"NVMe disk", "nvme0n1", "nvme", [...]float64{13500, 7000, 18400, 0.14, 12100}},
	{"AHCI disk", "ahci0p1", "ide-hd,bus=ide.1", [...]float64{15500, 9900, 20000, 0.15, 13700}},
	{"virtio disk", "vd0", "virtio-blk-pci", [...]float64{15000, 7900, 19000, 0.145, 13300}},
}

// diskWork is what is asked of each, by arguments of the verb disk-speed. What has
// none is the figure before it for each of so many bytes.
var diskWork = [...]struct {
	name, args string
	bytes      float64
}{
	{"read of 4 KiB, one at a time", "-n 1000", 0},
	{"the same, 32 at a time", "-n 4000 -d 32", 0},
	{"read of 128 KiB, one at a time", "-n 1000 -s 131072", 0},
	{"the same, for each byte", "", 131072},
	{"flush", "-n 1000 -f", 0},
}

// diskFigures are the rows of disks.
func diskFigures() (all []figure) {
	for _, k := range diskKinds {
		for i, w := range diskWork {
			all = append(all, figure{name: k.name + ": " + w.name, unit: insns, target: k.targets[i], qemu: true})
		}
	}
	return all
}

// cpuUse is what the verb disk-speed prints, in microseconds.
var cpuUse = regexp.MustCompile(`us each, ([0-9.]+) us of the CPUs`)

// measureDisks is what a machine with disks and a network card takes to boot, and what
// requests take of dom0 and hv, without the time during which they wait for the disk:
// that is the device's, and the emulator's idle clock.
func (v values) measureDisks(f files) error {
	if !f.wants(diskRows) {
		return nil
	}
	if f.backend == onBochs {
		return nil // it has no such disks
	}
	c := f.config(1, true)
	c.NIC = emu.VirtioNIC
	for _, k := range diskKinds {
		c.Args = append(c.Args, "-drive", "if=none,id="+k.disk+",file=null-co://,file.read-zeroes=on,format=raw",
			"-device", k.device+",serial=1,drive="+k.disk)
	}
	m, err := emu.Start(c)
	if err != nil {
		return err
	}
	defer m.Kill()
	if _, _, err := m.Expect(deadline, "starting dom0"); err != nil {
		return err
	}
	// Typed ahead: see countInstructions. The first verb waits until all drivers have
	// started, and lists the last kind last.
	if err := m.Send("disks\rdebug-keys t\r"); err != nil {
		return err
	}
	if _, _, err := m.Expect(deadline, "\n"+diskKinds[len(diskKinds)-1].disk+" "); err != nil {
		return err
	}
	boot, err := number(m, tsc)
	if err != nil {
		return err
	}
	v[devicesFigure] = boot / 1e9
	if _, _, err := m.Expect(deadline, "\n"+prompt); err != nil {
		return err
	}
	for _, k := range diskKinds {
		for i, w := range diskWork {
			name := k.name + ": " + w.name
			if w.args == "" {
				v[name] = v[k.name+": "+diskWork[i-1].name] / w.bytes
			} else if v[name], err = diskSpeed(m, w.args+" "+k.disk); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// diskSpeed is what the verb says that a request takes of the CPUs, in instructions, of
// which each takes a nanosecond.
func diskSpeed(m *emu.Machine, args string) (float64, error) {
	m.Send("disk-speed " + args + "\r")
	text, err := m.ExpectRE(deadline, cpuUse)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, m.Last(3))
	}
	us, err := strconv.ParseFloat(text[1], 64)
	return us * 1e3, err
}
