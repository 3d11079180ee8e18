// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
)

// sink keeps reads from being optimized away.
var sink atomic.Uint32

// access reads, or reads and writes, four bytes at a physical address.
func access(phys uint64, write bool) {
	// SAFETY: none, that is the point: the address is in the direct map, which
	// the Go heap never overlaps, and belongs to somebody else.
	addr := uintptr(layout.DirectMap + phys)
	p := *(**uint32)(unsafe.Pointer(&addr))
	if write {
		atomic.StoreUint32(p, 0xdead)
		return
	}
	sink.Store(atomic.LoadUint32(p))
}
