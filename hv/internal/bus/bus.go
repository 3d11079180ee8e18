// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package bus maps disjoint address ranges to device handlers. There is one bus
// for ports and one for guest physical addresses per partition.
package bus

// Device answers accesses to a range of a bus. off is relative to the start of
// the registered range, size is 1, 2, 4 or 8 bytes. Methods run on the vCPU's
// exit path: they neither block nor allocate.
type Device interface {
	Read(off uint64, size uint8) uint64
	Write(off uint64, size uint8, val uint64)
}
