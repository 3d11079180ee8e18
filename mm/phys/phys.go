// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package phys is access to physical memory by address. Page tables, the frame
// allocator and the guest-virtual walk see memory through [Memory] only, so
// that all of them run on recording memory (phystest) on a developer's machine.
package phys

import "ringo/mm"

// Memory is physical memory. No method allocates.
//
// Preconditions of all methods: the bytes named exist; 64-bit accesses are
// 8-byte aligned. Callers check guest-supplied addresses before they get here.
type Memory interface {
	Load64(a mm.HPA) uint64
	Store64(a mm.HPA, v uint64)
	CompareAndSwap64(a mm.HPA, old, new uint64) bool
	// Match reports whether all words have their values. It reads each once, in
	// order, up to the first that has not.
	Match(words []Word) bool
	// Zero clears n bytes at a; both are multiples of 4096.
	Zero(a mm.HPA, n uint64)
	// Read copies len(b) bytes at a to b, Write copies b to a.
	Read(a mm.HPA, b []byte)
	Write(a mm.HPA, b []byte)
}

// Word is an expectation of memory: the bits of Mask of the quadword at At, which
// is aligned to 8, are those of Value.
type Word struct {
	At          mm.HPA
	Mask, Value uint64
}
