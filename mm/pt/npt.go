// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// Entries of AMD's nested page tables: those of long mode (APM Vol. 2,
// "Nested Paging"). The CPU makes every nested access as a user access, so U/S
// is set in all levels; G is not used. The memory type comes from PWT, PCD and
// PAT by the host's PAT register: index 0 is WB and index 3 UC after reset.
const (
	nptPresent  = 1 << 0
	nptWrite    = 1 << 1
	nptUser     = 1 << 2
	nptPWT      = 1 << 3
	nptPCD      = 1 << 4
	nptAccessed = 1 << 5
	nptDirty    = 1 << 6
	nptNX       = 1 << 63
)

// NPT is AMD's second-level format. huge allows leaves of 1 GiB (CPUID
// 8000_0001h, EDX bit 26).
//
// Preconditions: the host runs with EFER.NXE.
func NPT(huge bool) *Format {
	if huge {
		return &npt1G
	}
	return &npt2M
}

var npt2M, npt1G = nptFormat(mm.Page2M), nptFormat(mm.Page1G)

func nptFormat(maxLeaf uint64) Format {
	return Format{
		Name:    "NPT",
		MaxLeaf: maxLeaf,
		present: nptPresent,
		levels:  4, sizeMask: largeBit, sizeLeaf: largeBit,
		table: tables(nptPresent | nptWrite | nptUser | nptAccessed),
		noted: nptAccessed | nptDirty,
		leaf:  nptLeaf,
		attr:  nptAttr,
	}
}

func nptLeaf(a Attr) (uint64, bool) {
	e, ok := longLeaf(a)
	return e | nptUser, ok && a&User == 0
}

func nptAttr(e uint64) Attr { return longAttr(e) &^ User }

// longLeaf and longAttr are the long-mode entry, which NPT and the host share.
func longLeaf(a Attr) (uint64, bool) {
	e := uint64(nptPresent)
	if a&Write != 0 {
		e |= nptWrite
	}
	if a&User != 0 {
		e |= nptUser
	}
	if a&Uncached != 0 {
		e |= nptPWT | nptPCD
	}
	if a&Accessed != 0 {
		e |= nptAccessed
	}
	if a&Dirty != 0 {
		e |= nptDirty
	}
	if a&Exec == 0 {
		e |= nptNX
	}
	return e, a&Read != 0
}

func longAttr(e uint64) Attr {
	a := Read
	if e&nptWrite != 0 {
		a |= Write
	}
	if e&nptUser != 0 {
		a |= User
	}
	if e&nptPCD != 0 {
		a |= Uncached
	}
	if e&nptAccessed != 0 {
		a |= Accessed
	}
	if e&nptDirty != 0 {
		a |= Dirty
	}
	if e&nptNX == 0 {
		a |= Exec
	}
	return a
}
