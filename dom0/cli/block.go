// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"fmt"
	"strings"

	"ringo/dom0/api"
)

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

// blockList prints the disks of a domain.
func blockList(c *call) error {
	all, err := api.BlockList.Call(c.API, api.Ref{Domain: c.args[0]})
	if err != nil {
		return err
	}
	c.printf("%-24s %4s %-9s %-20s %10s %10s %10s %8s %6s\n", "Source", "Slot", "Mode", "Serial", "Size(MiB)", "Read(KiB)", "Wrote(KiB)", "Flushes", "Errors")
	for _, b := range all {
		mode := "rw"
		switch {
		case b.Snapshot:
			mode = "snapshot"
		case b.ReadOnly:
			mode = "ro"
		}
		c.printf("%-24s %4d %-9s %-20s %10d %10d %10d %8d %6d\n", b.Name, b.Slot, mode, b.Serial, b.Size>>20, b.Read>>10, b.Written>>10, b.Flushes, b.Errors)
	}
	return nil
}
