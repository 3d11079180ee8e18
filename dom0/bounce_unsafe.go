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

// page is that page, seen at its link address: the direct map has no part of the
// image.
type page struct {
	gpa   uint64
	bytes *[hcall.PageSize]byte
}

func (p page) GPA() uint64   { return p.gpa }
func (p page) Bytes() []byte { return p.bytes[:] }

// bouncePage returns the page inside bounce.
func bouncePage() hcall.Buffer {
	// SAFETY: the image is mapped and physically contiguous (dom0 entry contract);
	// the page lies inside bounce, which nothing else uses.
	a, ok := kernel.VirtToPhys(unsafe.Pointer(&bounce))
	if !ok {
		panic("dom0: its image is not mapped")
	}
	off := -a & (hcall.PageSize - 1)
	return page{uint64(a + off), (*[hcall.PageSize]byte)(bounce[off:])}
}
