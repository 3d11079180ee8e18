// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/abi"
	"ringo/mm"
)

// ioreqPage sees the frame at a as a page of access slots.
func ioreqPage(a mm.HPA) *abi.IOReqPage {
	// SAFETY: the ledger calls it for a frame it owns, and does not use the
	// result after it has freed the frame.
	v := layout.DirectMap + uintptr(a)
	return *(**abi.IOReqPage)(unsafe.Pointer(&v))
}

// sharedInfo sees the frame at a as dom0's shared page.
func sharedInfo(a mm.HPA) *abi.SharedInfo {
	// SAFETY: the frame belongs to dom0's record and is never freed.
	v := layout.DirectMap + uintptr(a)
	return *(**abi.SharedInfo)(unsafe.Pointer(&v))
}
