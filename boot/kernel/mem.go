// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"unsafe"

	"ringo/boot/layout"
)

// The layer keeps its links as numbers, never as Go pointers: its structures
// lie outside the Go heap, its code runs inside interrupts, and a store of a
// pointer would bring a write barrier with it.

// dmBase is the virtual address of physical address 0. Host tests point it
// into a buffer.
var dmBase uint64 = layout.DirectMap

// poolBase is the same for frames of the pool: layout.PoolMap once the layer's
// own tables are in use.
var poolBase uint64 = layout.DirectMap

//go:nosplit
func ptr(a uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

//go:nosplit
func addr(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

//go:nosplit
func p8(a uint64) *uint8 { return (*uint8)(ptr(a)) }

//go:nosplit
func p16(a uint64) *uint16 { return (*uint16)(ptr(a)) }

//go:nosplit
func p32(a uint64) *uint32 { return (*uint32)(ptr(a)) }

//go:nosplit
func p64(a uint64) *uint64 { return (*uint64)(ptr(a)) }

// frameAt returns the address at which a frame of the pool is seen.
//
//go:nosplit
func frameAt(pa uint64) uint64 { return poolBase + pa }

// phys returns the direct-map address of a physical address outside of image and
// pool.
//
//go:nosplit
func phys(pa uint64) uint64 { return dmBase + pa }

// Addresses of the image's parts, all at link addresses.
func imageText() uint64   // runtime.text
func imageEtext() uint64  // runtime.etext
func imageRodata() uint64 // start of read-only data
func imageData() uint64   // start of writable data
func imageEnd() uint64    // end of the BSS
func imagePclntab() uint64

// Addresses of assembly entry points.
func addrSyscall() uint64
func addrStubs() uint64
func addrPF() uint64
func addrNMI() uint64
func addrDF() uint64
func addrMC() uint64
func addrUD() uint64
func addrIdle() uint64
func addrUcopy() uint64
func addrUload32() uint64
func addrStartAP() uint64
func addrBootTables() uint64 // PML4 of the boot, below 4 GiB

//go:nosplit
func addrOf(p *uint64) uint64 { return addr(unsafe.Pointer(p)) }
