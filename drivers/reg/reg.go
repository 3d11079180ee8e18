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

// Part returns the size bytes of a window from off on.
//
// Preconditions: they are within w.
func Part(w Window, off, size uint32) Window { return part{w, off, size} }

type part struct {
	w         Window
	off, size uint32
}

func (p part) Read8(off uint32) uint8       { return p.w.Read8(p.off + off) }
func (p part) Read16(off uint32) uint16     { return p.w.Read16(p.off + off) }
func (p part) Read32(off uint32) uint32     { return p.w.Read32(p.off + off) }
func (p part) Read64(off uint32) uint64     { return p.w.Read64(p.off + off) }
func (p part) Write8(off uint32, v uint8)   { p.w.Write8(p.off+off, v) }
func (p part) Write16(off uint32, v uint16) { p.w.Write16(p.off+off, v) }
func (p part) Write32(off uint32, v uint32) { p.w.Write32(p.off+off, v) }
func (p part) Write64(off uint32, v uint64) { p.w.Write64(p.off+off, v) }
func (p part) Size() uint32                 { return p.size }
