// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"slices"
)

// Settled returns the disks of a configuration, each with its slot: that which it names,
// else the first that none names, in their order.
//
// Preconditions: c is valid.
func (c *Config) Settled() []Disk {
	all := slices.Clone(c.Disk)
	var taken [FirstSlot + MaxDisks]bool
	for i := range all {
		taken[all[i].Slot] = true
	}
	next := FirstSlot
	for i := range all {
		if all[i].Slot != 0 {
			continue
		}
		for taken[next] {
			next++
		}
		all[i].Slot, taken[next] = next, true
	}
	return all
}

// checkSlots checks that no two disks are in one slot.
func checkSlots(all []Disk) error {
	var has [FirstSlot + MaxDisks]int
	for i := range all {
		n := all[i].Slot
		switch {
		case n == 0:
		case n < FirstSlot || n >= len(has):
			return fmt.Errorf("disk %d: slot: %d is out of range: use %d to %d", i+1, n, FirstSlot, len(has)-1)
		case has[n] != 0:
			return fmt.Errorf("disk %d: slot: disk %d is in slot %d already", i+1, has[n], n)
		default:
			has[n] = i + 1
		}
	}
	return nil
}
