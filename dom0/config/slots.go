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
	settle(len(all), FirstSlot, MaxDisks, func(i int) *int { return &all[i].Slot })
	return all
}

// SettledNICs returns the network cards of a configuration likewise.
//
// Preconditions: c is valid.
func (c *Config) SettledNICs() []NIC { return PlaceNICs(c.NIC) }

// PlaceNICs returns the network cards of a valid configuration, each with its slot.
func PlaceNICs(all []NIC) []NIC {
	all = slices.Clone(all)
	settle(len(all), FirstNIC, MaxNICs, func(i int) *int { return &all[i].Slot })
	return all
}

// settle gives each of n things that has none a slot, of the most from first on.
func settle(n, first, most int, slot func(i int) *int) {
	taken := make([]bool, first+most)
	for i := range n {
		taken[*slot(i)] = true
	}
	next := first
	for i := range n {
		p := slot(i)
		if *p != 0 {
			continue
		}
		for taken[next] {
			next++
		}
		*p, taken[next] = next, true
	}
}

// checkSlots checks that no two of n things are in one slot, of the most from first on.
func checkSlots(kind string, n, first, most int, slot func(i int) int) error {
	has := make([]int, first+most)
	for i := range n {
		s := slot(i)
		switch {
		case s == 0:
		case s < first || s >= len(has):
			return fmt.Errorf("%s %d: slot: %d is out of range: use %d to %d", kind, i+1, s, first, len(has)-1)
		case has[s] != 0:
			return fmt.Errorf("%s %d: slot: %s %d is in slot %d already", kind, i+1, kind, has[s], s)
		default:
			has[s] = i + 1
		}
	}
	return nil
}
