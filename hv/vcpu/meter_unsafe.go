// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import "unsafe"

// What the entry code relies on.
//
// SAFETY: Offsetof and Sizeof read no memory.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Cost{})-1<<CostShift]
	_ = [1]struct{}{}[unsafe.Offsetof(Cost{}.Count)-0]
	_ = [1]struct{}{}[unsafe.Offsetof(Cost{}.Cycles)-8]
	_ = [1]struct{}{}[unsafe.Offsetof(Cost{}.Hist)-4*HistFirst]
	_ = [4096 - unsafe.Sizeof(Costs{})]struct{}{}
)
