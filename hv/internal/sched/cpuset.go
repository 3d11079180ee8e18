// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package sched

import "math/bits"

// MaxCPUs is the largest number of CPUs.
const MaxCPUs = 256

// CPUSet is a set of CPU numbers below MaxCPUs.
type CPUSet [MaxCPUs / 64]uint64

// Set makes a set of the given CPUs.
func Set(cpus ...int) (c CPUSet) {
	for _, n := range cpus {
		c.Add(n)
	}
	return c
}

// Add puts cpu into the set.
func (c *CPUSet) Add(cpu int) { c[cpu>>6] |= 1 << (cpu & 63) }

// Has reports whether cpu, below [MaxCPUs], is in the set.
func (c *CPUSet) Has(cpu int) bool { return c[uint8(cpu)>>6]>>(cpu&63)&1 != 0 } // no index needs a check

// Empty reports whether no CPU is in the set.
func (c *CPUSet) Empty() bool { return *c == CPUSet{} }

// And returns the CPUs that are in both sets.
func (c CPUSet) And(d *CPUSet) CPUSet {
	for n := range c {
		c[n] &= d[n]
	}
	return c
}

// first returns the lowest CPU of a set that is not empty.
func (c *CPUSet) first() int {
	for n, w := range c {
		if w != 0 {
			return 64*n + bits.TrailingZeros64(w)
		}
	}
	return 0
}
