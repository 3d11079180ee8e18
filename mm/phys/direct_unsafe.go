// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package phys

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"ringo/mm"
)

// Direct is [Memory] through a direct map: physical address a is seen at
// virtual address base+a. It is safe for concurrent use as memory is: 64-bit
// accesses are atomic, the others are not.
//
// An address beyond the map is a broken invariant and panics.
type Direct struct {
	base uintptr
	size uint64
}

var _ Memory = (*Direct)(nil)

// NewDirect returns access to the physical addresses [0, size).
//
// Preconditions: [base, base+size) maps them for good and is no part of the Go
// heap. An access to an address that has no memory faults.
func NewDirect(base uintptr, size uint64) *Direct { return &Direct{base, size} }

// Size is the first physical address that is not mapped.
func (d *Direct) Size() uint64 { return d.size }

// Virt is the virtual address of a.
func (d *Direct) Virt(a mm.HPA) uintptr { return uintptr(d.Pointer(a, 0)) }

// Pointer returns a pointer to the n bytes at a. It is for frames that belong
// to the hypervisor; memory that a guest can write is read by [Direct.Load64]
// and [Direct.Read] only, once.
func (d *Direct) Pointer(a mm.HPA, n uint64) unsafe.Pointer {
	if uint64(a) > d.size || n > d.size-uint64(a) {
		panic("phys: address beyond the direct map")
	}
	// SAFETY: within [base, base+size), which NewDirect's caller guarantees to
	// be mapped memory outside the Go heap; so the collector does not care.
	return unsafe.Add(nil, d.base+uintptr(a))
}

// Bytes returns the n bytes at a as a slice, under the conditions of
// [Direct.Pointer].
func (d *Direct) Bytes(a mm.HPA, n uint64) []byte {
	// SAFETY: Pointer has checked that n bytes are mapped.
	return unsafe.Slice((*byte)(d.Pointer(a, n)), n)
}

// Words returns n 32-bit words at a, which is aligned to 4, as a slice, under
// the conditions of [Direct.Pointer].
func (d *Direct) Words(a mm.HPA, n uint64) []uint32 {
	if !mm.Aligned(a, 4) || n > d.size/4 {
		panic("phys: unaligned or oversized words")
	}
	// SAFETY: aligned, and Pointer has checked that 4*n bytes are mapped.
	return unsafe.Slice((*uint32)(d.Pointer(a, 4*n)), n)
}

// word returns the 64-bit word at a.
func (d *Direct) word(a mm.HPA) *uint64 {
	if !mm.Aligned(a, 8) {
		panic("phys: unaligned 64-bit access")
	}
	// SAFETY: aligned, and Pointer has checked that 8 bytes are mapped.
	return (*uint64)(d.Pointer(a, 8))
}

// Load64 implements [Memory].
func (d *Direct) Load64(a mm.HPA) uint64 { return atomic.LoadUint64(d.word(a)) }

// Store64 implements [Memory].
func (d *Direct) Store64(a mm.HPA, v uint64) { atomic.StoreUint64(d.word(a), v) }

// Load32 and Store32 access the 32-bit word at a, which is aligned to 4, as a whole: a
// register of a device.
func (d *Direct) Load32(a mm.HPA) uint32 { return atomic.LoadUint32(&d.Words(a, 1)[0]) }

// Store32 is described at [Direct.Load32].
func (d *Direct) Store32(a mm.HPA, v uint32) { atomic.StoreUint32(&d.Words(a, 1)[0], v) }

// CompareAndSwap64 implements [Memory].
func (d *Direct) CompareAndSwap64(a mm.HPA, old, new uint64) bool {
	return atomic.CompareAndSwapUint64(d.word(a), old, new)
}

// Match implements [Memory].
func (d *Direct) Match(words []Word) bool {
	base, end := d.base, d.size/8
	for _, w := range words {
		// As word, in one comparison: unaligned addresses become large ones.
		if bits.RotateLeft64(uint64(w.At), -3) >= end {
			panic("phys: unaligned, or beyond the direct map")
		}
		// SAFETY: aligned and within the map, whose whole quadwords are mapped.
		p := (*uint64)(unsafe.Add(nil, base+uintptr(w.At)))
		if (atomic.LoadUint64(p)^w.Value)&w.Mask != 0 {
			return false
		}
	}
	return true
}

// Zero implements [Memory].
func (d *Direct) Zero(a mm.HPA, n uint64) { clear(d.Bytes(a, n)) }

// Read implements [Memory].
func (d *Direct) Read(a mm.HPA, b []byte) { copy(b, d.Bytes(a, uint64(len(b)))) }

// Write implements [Memory].
func (d *Direct) Write(a mm.HPA, b []byte) { copy(d.Bytes(a, uint64(len(b))), b) }
