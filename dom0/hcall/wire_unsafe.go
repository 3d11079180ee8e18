// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import "unsafe"

// put copies the structure at v, of package abi, to the start of b. Its layout is the
// same in memory and on the wire: explicit padding, little endian, no pointers.
// Reflection would take as long as the rest of a call a hundred times over, and the
// record of each domain is asked for whenever one is named.
func put[T any](b []byte, v *T) { copy(b[:unsafe.Sizeof(*v)], raw(v)) }

// get is the counterpart of put.
func get[T any](b []byte, v *T) { copy(raw(v), b[:unsafe.Sizeof(*v)]) }

// raw returns the bytes of a structure.
func raw[T any](v *T) []byte {
	// SAFETY: v is a whole structure, which the slice keeps alive; any bytes are a value
	// of it, since structures of package abi hold numbers only.
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
