// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"sync/atomic"
	"unsafe"

	"ringo/drivers/reg"
)

// registers are device registers in memory that is mapped uncached.
type registers struct {
	base unsafe.Pointer // SAFETY: to size bytes, as Direct got them
	size uint32
}

// Direct returns what shows registers that are seen as bytes.
//
// Preconditions: the bytes stay mapped; at most 4 GiB less one at a time.
func Direct(bytes func(addr, size uint64) []byte) func(addr, size uint64) reg.Window {
	return func(addr, size uint64) reg.Window {
		// SAFETY: the slice has size bytes, which registers.at keeps to.
		return registers{unsafe.Pointer(unsafe.SliceData(bytes(addr, size))), uint32(size)}
	}
}

// at checks an access.
func (r registers) at(off, size uint32) unsafe.Pointer {
	if off%size != 0 || off > r.size-size {
		panic("hardware: an access outside a device's registers, or unaligned")
	}
	// SAFETY: the offset was checked.
	return unsafe.Add(r.base, off)
}

// Size implements [reg.Window], as do the methods below.
func (r registers) Size() uint32 { return r.size }

// Read8 makes an access of one byte. It is not inlined, so that it is made once.
//
//go:noinline
func (r registers) Read8(off uint32) uint8 {
	// SAFETY: at has checked it.
	return *(*uint8)(r.at(off, 1))
}

// Read16 is as Read8.
//
//go:noinline
func (r registers) Read16(off uint32) uint16 {
	// SAFETY: at has checked it.
	return *(*uint16)(r.at(off, 2))
}

// Read32 reads four bytes at once.
func (r registers) Read32(off uint32) uint32 {
	// SAFETY: at has checked it.
	return atomic.LoadUint32((*uint32)(r.at(off, 4)))
}

// Read64 reads eight bytes at once.
func (r registers) Read64(off uint32) uint64 {
	// SAFETY: at has checked it.
	return atomic.LoadUint64((*uint64)(r.at(off, 8)))
}

// Write8 is as Read8.
//
//go:noinline
func (r registers) Write8(off uint32, v uint8) {
	// SAFETY: at has checked it.
	*(*uint8)(r.at(off, 1)) = v
}

// Write16 is as Read8.
//
//go:noinline
func (r registers) Write16(off uint32, v uint16) {
	// SAFETY: at has checked it.
	*(*uint16)(r.at(off, 2)) = v
}

// Write32 writes four bytes at once, behind all that was written before: the CPU keeps
// the order of stores, also to memory of different types.
//
//go:noinline
func (r registers) Write32(off uint32, v uint32) {
	// SAFETY: at has checked it.
	*(*uint32)(r.at(off, 4)) = v
}

// Write64 is as Write32.
//
//go:noinline
func (r registers) Write64(off uint32, v uint64) {
	// SAFETY: at has checked it.
	*(*uint64)(r.at(off, 8)) = v
}
