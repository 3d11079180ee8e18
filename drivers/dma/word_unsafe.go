// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package dma

import "unsafe"

// Word32 returns the 32-bit word at off, for accesses of package sync/atomic: the other
// side writes it at any time. It panics if the word is not within the segment, or not
// aligned on the bus.
func (s Segment) Word32(off int) *uint32 {
	b := s.Bytes[off : off+4]
	if (s.Addr+uint64(off))%4 != 0 {
		panic("dma: unaligned word")
	}
	// SAFETY: four bytes, which the slice has checked; memory for devices is as aligned
	// here as it is on the bus.
	return (*uint32)(unsafe.Pointer(&b[0]))
}
