// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import "unsafe"

// poke writes a byte at a.
//
//go:noinline
func poke(a uintptr) {
	// SAFETY: none; a wild address is the point, and the caller recovers.
	**(**byte)(unsafe.Pointer(&a)) = 1
}
