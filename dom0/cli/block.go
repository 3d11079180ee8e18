// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strconv"
	"strings"

	"ringo/dom0/api"
)

const (
	blockAttachHelp = `  block-attach web1 disk=nvme0n1p2,serial=data
The disk is written as for create. A guest that runs is told by ACPI, and the disk
stays when it restarts. Of a domain that is off the definition is changed. With
on_error=stop an error of the disk pauses the domain, and unpause tries again.`
	blockDetachHelp = `DISK is its name in block-list, or its slot. A guest that runs is asked by ACPI, and
has ten seconds to give it back; -F takes it away unasked, and what the guest had
not written is lost. A restart does not bring it back. Of a domain that is off the
definition is changed.`
	blockResizeHelp = `Of a partition, or of an image, that has grown the guest sees the new size. A snapshot
can be larger than what it is on: SIZE is that of its disk, and what is beyond reads as
zeros. Disks do not shrink. A restart keeps the size. Of a domain that is off the
definition is changed.`
	blockLimitHelp = `  block-limit web1 nvme0n1p2 iops=500 bps=20MiB
What the guest asks for beyond that waits. iops counts requests as the disk gets them,
bps bytes in a second; iops_burst and bps_burst are what may be begun at once after a
pause, a tenth of a second's unless they are given. 0 takes a limit away. It counts at
once, also for what waits, and a restart keeps it. DISK is its name in block-list, or its
slot. Of a domain that is off the definition is changed.`
)

// blockVerbs are those about the disks of domains.
func blockVerbs() []verb {
	return []verb{
		{name: "block-list", alias: []string{"domblklist"}, args: "DOMAIN", least: 1, most: 1, kind: argDomain, short: "list a domain's disks, and what it has done with them", run: blockList},
		{name: "block-attach", args: "DOMAIN disk=SOURCE[,...]", least: 2, most: 2, kind: argDefined, short: "give a domain another disk", text: blockAttachHelp, run: blockAttach},
		{name: "block-detach", args: "[-F] DOMAIN DISK", flags: "F", least: 2, most: 2, kind: argDefined, short: "take a disk away from a domain", text: blockDetachHelp, run: blockDetach},
		{name: "block-limit", alias: []string{"blkdeviotune"}, args: "DOMAIN DISK iops=NUMBER|bps=SIZE|...", least: 3, most: 6, kind: argDefined, short: "limit what a domain may ask of a disk", text: blockLimitHelp, run: blockLimit},
		{name: "block-resize", alias: []string{"blockresize"}, args: "DOMAIN DISK [SIZE]", least: 2, most: 3, kind: argDefined, short: "have a domain see that a disk has grown", text: blockResizeHelp, run: blockResize},
	}
}

// blockAttach gives a domain a disk.
func blockAttach(c *call) error {
	disk, ok := strings.CutPrefix(c.args[1], "disk=")
	if !ok {
		return fmt.Errorf("%q is no disk; %w", c.args[1], c.usage())
	}
	out, err := api.BlockAttach.Call(c.API, api.BlockPlug{Domain: c.args[0], Disk: disk})
	if err == nil && !out.Heard {
		c.printf("the guest does not listen to ACPI's event (yet): it finds the disk when it looks\n")
	}
	return err
}

// blockDetach takes one away.
func blockDetach(c *call) error {
	c.flush()
	_, err := api.BlockDetach.Call(c.API, api.BlockUnplug{Domain: c.args[0], Disk: c.args[1], Force: c.given('F')})
	return err
}

// blockLimit changes the limits of one.
func blockLimit(c *call) error {
	_, err := api.BlockLimit.Call(c.API, api.BlockLimits{Domain: c.args[0], Disk: c.args[1], Limits: c.args[2:]})
	return err
}

// blockResize has a domain see that one has grown.
func blockResize(c *call) error {
	in := api.BlockResizing{Domain: c.args[0], Disk: c.args[1]}
	if len(c.args) > 2 {
		in.Size = c.args[2]
	}
	out, err := api.BlockResize.Call(c.API, in)
	switch {
	case err != nil:
	case out.Now == out.Before && out.Now != 0:
		c.printf("it has %s, as before\n", inUnits(out.Now))
	case out.Now != 0:
		c.printf("it has %s now, and had %s\n", inUnits(out.Now), inUnits(out.Before))
	}
	return err
}

// inUnits is a size with the largest unit that leaves a whole number.
func inUnits(n uint64) string {
	unit := "KiB"
	n >>= 10
	for _, larger := range []string{"MiB", "GiB", "TiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n>>10, larger
	}
	return strconv.FormatUint(n, 10) + unit
}

// notes says which limits a disk has, and why what it is asked for waits.
func notes(b *api.Block) string {
	var all []string
	if b.IOPS != 0 {
		all = append(all, fmt.Sprintf("iops=%d", b.IOPS))
	}
	if b.IOPSBurst != 0 {
		all = append(all, fmt.Sprintf("iops_burst=%d", b.IOPSBurst))
	}
	if b.BPS != 0 {
		all = append(all, "bps="+inUnits(b.BPS))
	}
	if b.BPSBurst != 0 {
		all = append(all, "bps_burst="+inUnits(b.BPSBurst))
	}
	if b.Failure != "" {
		all = append(all, "failed: "+b.Failure)
	}
	if len(all) == 0 {
		return ""
	}
	return " " + strings.Join(all, " ")
}

// blockList prints the disks of a domain.
func blockList(c *call) error {
	all, err := api.BlockList.Call(c.API, api.Ref{Domain: c.args[0]})
	if err != nil {
		return err
	}
	c.printf("%-24s %4s %-9s %-20s %10s %10s %10s %8s %6s\n", "Source", "Slot", "Mode", "Serial", "Size(MiB)", "Read(KiB)", "Wrote(KiB)", "Flushes", "Errors")
	for i := range all {
		b := &all[i]
		mode := "rw"
		switch {
		case b.Snapshot:
			mode = "snapshot"
		case b.ReadOnly:
			mode = "ro"
		}
		c.printf("%-24s %4d %-9s %-20s %10d %10d %10d %8d %6d%s\n", b.Name, b.Slot, mode, b.Serial, b.Size>>20, b.Read>>10, b.Written>>10, b.Flushes, b.Errors, notes(b))
	}
	return nil
}
