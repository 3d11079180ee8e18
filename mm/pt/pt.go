// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pt walks and edits page tables of four-level formats (EPT, NPT, the
// host's own) in physical memory.
package pt

import "ringo/mm"

// Format is what distinguishes one page-table format from another.
type Format struct{ Name string }

// Tables is one tree of page tables.
type Tables struct{ root mm.HPA }

// Root is the physical address of the top-level table.
func (t *Tables) Root() mm.HPA { return t.root }
