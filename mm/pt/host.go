// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pt

import "ringo/mm"

// Host is the format of long mode with four levels (SDM Vol. 3, "4-Level
// Paging"): for tables that a CPU walks by CR3, such as those that dom0 starts
// on. Input addresses are canonical. huge allows leaves of 1 GiB.
//
// Preconditions: EFER.NXE is set, PAT indices 0 and 3 are WB and UC.
func Host(huge bool) *Format {
	if huge {
		return &host1G
	}
	return &host2M
}

var host2M, host1G = hostFormat(mm.Page2M), hostFormat(mm.Page1G)

func hostFormat(maxLeaf uint64) Format {
	return Format{
		Name:      "host",
		MaxLeaf:   maxLeaf,
		canonical: true,
		present:   nptPresent,
		// Permissions are the AND over all levels: the leaf decides.
		table:  tables(nptPresent | nptWrite | nptUser | nptAccessed),
		levels: 4, sizeMask: largeBit, sizeLeaf: largeBit,
		noted: nptAccessed | nptDirty,
		leaf:  longLeaf,
		attr:  longAttr,
	}
}
