// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/abi"
)

// Direct reaches physical memory through dom0's direct map. Only a running dom0
// has one.
type Direct struct{}

// Slice returns size bytes of physical memory at addr: dom0's RAM, a boot
// module, or the RAM of a domain while it is mapped.
//
// Preconditions: dom0 may touch [addr, addr+size) for as long as the slice is
// used.
func (Direct) Slice(addr, size uint64) []byte {
	if addr > layout.DirectMapSize || size > layout.DirectMapSize-addr {
		panic("hcall: address is outside the direct map")
	}
	// SAFETY: the range lies inside the direct map, which hv built (dom0 entry
	// contract), and the caller guarantees that it is mapped.
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), layout.DirectMap+uintptr(addr))), size)
}

// IOReqs returns the page of a domain's IOReqs at addr (abi.CreateArgs.IOReq).
func (d Direct) IOReqs(addr uint64) *abi.IOReqPage {
	// SAFETY: hv gives a whole page that stays until the domain is destroyed.
	return (*abi.IOReqPage)(unsafe.Pointer(&d.Slice(addr, PageSize)[0]))
}

// Shared returns the page of event bits at addr (abi.StartInfo.SharedInfo).
func (d Direct) Shared(addr uint64) *abi.SharedInfo {
	// SAFETY: hv gives a whole page for as long as dom0 lives.
	return (*abi.SharedInfo)(unsafe.Pointer(&d.Slice(addr, PageSize)[0]))
}
