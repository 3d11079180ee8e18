// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package mm holds the vocabulary of memory: typed addresses, page sizes and
// the algebra of address ranges. It imports nothing of ours.
package mm

// HPA is a host physical address in bytes: what the memory bus sees.
type HPA uint64

// GPA is a guest physical address in bytes: what second-level page tables
// translate to an [HPA].
type GPA uint64

// GVA is a guest virtual (linear) address in bytes: what the guest's own page
// tables translate to a [GPA].
type GVA uint64

// Page sizes in bytes, and the shifts that belong to them.
const (
	PageShift = 12
	PageSize  = 1 << PageShift // 4 KiB
	Page2M    = 1 << 21
	Page1G    = 1 << 30
)

// KiB, MiB and GiB are sizes in bytes.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
)

// Address is any of the three address spaces.
type Address interface{ ~uint64 }

// AlignDown rounds a down to a multiple of size, a power of two.
func AlignDown[A Address](a A, size uint64) A { return a &^ A(size-1) }

// AlignUp rounds a up to a multiple of size, a power of two. It wraps to 0
// when the result does not fit.
func AlignUp[A Address](a A, size uint64) A { return (a + A(size-1)) &^ A(size-1) }

// Aligned reports whether a is a multiple of size, a power of two.
func Aligned[A Address](a A, size uint64) bool { return a&A(size-1) == 0 }
