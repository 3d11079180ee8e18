// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package reg is how a driver sees the registers of its device.
package reg

// Window is a range of registers, in memory or in I/O ports. Offsets are in bytes, and
// aligned to the access; an access is made once, as a whole, and in the order of the
// program. A window of a device that is gone reads as all ones, or as zeros.
type Window interface {
	Read8(off uint32) uint8
	Read16(off uint32) uint16
	Read32(off uint32) uint32
	Read64(off uint32) uint64
	Write8(off uint32, v uint8)
	Write16(off uint32, v uint16)
	Write32(off uint32, v uint32)
	Write64(off uint32, v uint64)
	// Size is in bytes.
	Size() uint32
}
