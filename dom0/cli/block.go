// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import "ringo/dom0/api"

// blockList prints the disks of a domain.
func blockList(c *call) error {
	all, err := api.BlockList.Call(c.API, api.Ref{Domain: c.args[0]})
	if err != nil {
		return err
	}
	c.printf("%-24s %-9s %-20s %10s %10s %10s %8s %6s\n", "Source", "Mode", "Serial", "Size(MiB)", "Read(KiB)", "Wrote(KiB)", "Flushes", "Errors")
	for _, b := range all {
		mode := "rw"
		switch {
		case b.Snapshot:
			mode = "snapshot"
		case b.ReadOnly:
			mode = "ro"
		}
		c.printf("%-24s %-9s %-20s %10d %10d %10d %8d %6d\n", b.Name, mode, b.Serial, b.Size>>20, b.Read>>10, b.Written>>10, b.Flushes, b.Errors)
	}
	return nil
}
