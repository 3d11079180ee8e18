// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// Entries of AMD's tables for DMA (AMD I/O Virtualization Technology Specification
// 3.08, "I/O Page Tables for Host Translations"). The next level is that of the table
// that an entry points to; 0 is a leaf of the entry's own level.
const (
	amdPresent  = 1 << 0
	amdNext     = 9 // bits 11:9
	amdNextMask = 7 << amdNext
	amdCoherent = 1 << 60 // FC
	amdRead     = 1 << 61
	amdWrite    = 1 << 62
)

// AMDVi is the format of AMD's IOMMUs, with four levels: root pointers have mode 4.
//
// An entry that holds nothing has a next level without being present, which processors
// ignore: QEMU 7.2 notes a refused access then only.
func AMDVi() *Format { return &amdvi }

var amdvi = amdFormat()

func amdFormat() Format {
	f := Format{
		Name:    "AMD-Vi",
		MaxLeaf: mm.Page1G,
		levels:  4, sizeMask: amdNextMask, sizeLeaf: 0,
		present: amdPresent,
		empty:   1 << amdNext,
		leaf: func(a Attr) (uint64, bool) {
			return deviceLeaf(a, amdPresent|amdCoherent|amdRead, amdWrite)
		},
		attr: func(e uint64) Attr { return deviceAttr(e&amdRead != 0, e&amdWrite != 0) },
	}
	for level := 2; level <= maxLevels; level++ {
		f.table[level] = amdPresent | uint64(level-1)<<amdNext | amdRead | amdWrite
	}
	return f
}
