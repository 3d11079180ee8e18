// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
)

// at sees four bytes at a physical address.
func at(phys uint64) *uint32 {
	// SAFETY: none, that is the point: the address is in the direct map, which
	// the Go heap never overlaps, and belongs to somebody else.
	addr := uintptr(layout.DirectMap + phys)
	return *(**uint32)(unsafe.Pointer(&addr))
}

func load(phys uint64) uint32     { return atomic.LoadUint32(at(phys)) }
func store(phys uint64, v uint32) { atomic.StoreUint32(at(phys), v) }
