// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

// Entries of Intel's second-level tables for DMA (VT-d Architecture Specification 3.3,
// "Second-Stage Paging Entries", in legacy mode). An entry is present when it permits
// anything. There are no accessed and dirty bits, and no memory type.
const (
	vtdRead  = 1 << 0
	vtdWrite = 1 << 1
	vtdSnoop = 1 << 11
)

// VTD is the second-level format of Intel's IOMMUs, with 3 or 4 levels (CAP.SAGAW),
// leaves of maxLeaf at most (CAP.SLLPS). snoop makes accesses coherent that a device
// asks not to be; only for units with ECAP.SC, elsewhere the bit is reserved.
func VTD(levels int, maxLeaf uint64, snoop bool) *Format {
	f := &Format{
		Name:    "VT-d",
		MaxLeaf: maxLeaf,
		levels:  levels, sizeMask: largeBit, sizeLeaf: largeBit,
		present: vtdRead | vtdWrite,
		table:   tables(vtdRead | vtdWrite),
		attr: func(e uint64) Attr {
			return deviceAttr(e&vtdRead != 0, e&vtdWrite != 0)
		},
	}
	base := uint64(vtdRead)
	if snoop {
		base |= vtdSnoop
	}
	f.leaf = func(a Attr) (uint64, bool) { return deviceLeaf(a, base, vtdWrite) }
	return f
}

// deviceLeaf refuses what tables for devices cannot say: they read and write.
func deviceLeaf(a Attr, base, write uint64) (uint64, bool) {
	if a&Write != 0 {
		base |= write
	}
	return base, a&^Write == Read
}

func deviceAttr(read, write bool) (a Attr) {
	if read {
		a |= Read
	}
	if write {
		a |= Write
	}
	return a
}
