// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"unsafe"

	"ringo/hv/abi"
)

// view sees the operand as a T.
//
// Preconditions: the row's size is that of T.
func view[T any](c *Context) *T {
	var t T
	if uintptr(len(c.data)) < unsafe.Sizeof(t) {
		panic("hcall: operand is smaller than its type")
	}
	// SAFETY: buf is 8-byte aligned, long enough (checked), and T is a structure
	// of hv/abi without pointers.
	return (*T)(unsafe.Pointer(&c.buf))
}

// records sees the operand as trace records.
func records(c *Context) []abi.TraceRecord {
	n := uintptr(len(c.data)) / unsafe.Sizeof(abi.TraceRecord{})
	// SAFETY: as in view; n whole records fit.
	return unsafe.Slice((*abi.TraceRecord)(unsafe.Pointer(&c.buf)), n)
}

// Sizes of the operands.
const (
	sizeHost    = int(unsafe.Sizeof(abi.HostInfo{}))
	sizeCreate  = int(unsafe.Sizeof(abi.CreateArgs{}))
	sizeExtents = int(unsafe.Sizeof(abi.ExtentList{}))
	sizeContext = int(unsafe.Sizeof(abi.VCPUContext{}))
	sizeInfo    = int(unsafe.Sizeof(abi.DomainInfo{}))
	sizePCI     = int(unsafe.Sizeof(abi.PCIFunction{}))
	sizeCounts  = int(unsafe.Sizeof(abi.ExitCounts{}))
	sizeTrace   = unsafe.Sizeof(abi.TraceRecord{})
)
