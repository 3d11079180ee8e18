// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"unsafe"

	"ringo/boot/kernel"
	"ringo/dom0/hcall"
)

// bounce holds one whole page for the operands of hypercalls: part of the image,
// so it stays where it is.
var bounce [2 * hcall.PageSize]byte

// bouncePage returns that page by physical address.
func bouncePage() hcall.Page {
	// SAFETY: the image is mapped and physically contiguous (dom0 entry contract);
	// the page lies inside bounce, which nothing else uses.
	a, ok := kernel.VirtToPhys(unsafe.Pointer(&bounce))
	if !ok {
		panic("dom0: its image is not mapped")
	}
	return hcall.Page((a + hcall.PageSize - 1) &^ (hcall.PageSize - 1))
}
