// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// Entries of Intel's extended page tables (SDM Vol. 3, "EPT Translation
// Mechanism"; Table "Format of an EPT Page-Table Entry that Maps a 4-KByte
// Page"). An entry is present when it permits anything. Ignore-PAT (bit 6) stays
// 0: the guest's PAT combines with the type here.
const (
	eptRead     = 1 << 0
	eptWrite    = 1 << 1
	eptExec     = 1 << 2
	eptTypeUC   = 0 << 3
	eptTypeWB   = 6 << 3
	eptTypeMask = 7 << 3
	// Used by the CPU only when EPTP bit 6 enables them, ignored otherwise.
	eptAccessed = 1 << 8
	eptDirty    = 1 << 9
)

// EPT is Intel's second-level format. huge allows leaves of 1 GiB
// (IA32_VMX_EPT_VPID_CAP bit 17).
func EPT(huge bool) *Format {
	if huge {
		return &ept1G
	}
	return &ept2M
}

var ept2M, ept1G = eptFormat(mm.Page2M), eptFormat(mm.Page1G)

func eptFormat(maxLeaf uint64) Format {
	return Format{
		Name:    "EPT",
		MaxLeaf: maxLeaf,
		present: eptRead | eptWrite | eptExec,
		levels:  4, sizeMask: largeBit, sizeLeaf: largeBit,
		table: tables(eptRead | eptWrite | eptExec),
		noted: eptAccessed | eptDirty,
		leaf:  eptLeaf,
		attr:  eptAttr,
	}
}

// eptLeaf refuses what is not readable: write-only is a misconfiguration, and
// execute-only a capability that not all CPUs have.
func eptLeaf(a Attr) (uint64, bool) {
	e := uint64(eptRead | eptTypeWB)
	if a&Uncached != 0 {
		e = eptRead | eptTypeUC
	}
	if a&Write != 0 {
		e |= eptWrite
	}
	if a&Exec != 0 {
		e |= eptExec
	}
	if a&Accessed != 0 {
		e |= eptAccessed
	}
	if a&Dirty != 0 {
		e |= eptDirty
	}
	return e, a&Read != 0 && a&User == 0
}

func eptAttr(e uint64) Attr {
	var a Attr
	if e&eptRead != 0 {
		a |= Read
	}
	if e&eptWrite != 0 {
		a |= Write
	}
	if e&eptExec != 0 {
		a |= Exec
	}
	if e&eptTypeMask == eptTypeUC {
		a |= Uncached
	}
	if e&eptAccessed != 0 {
		a |= Accessed
	}
	if e&eptDirty != 0 {
		a |= Dirty
	}
	return a
}
