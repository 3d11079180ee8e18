// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"bytes"
	"encoding/binary"
)

// put copies the structure v, whose layout is the same in memory and on the
// wire (explicit padding, little endian), to the start of b.
func put(b []byte, v any) {
	if _, err := binary.Encode(b, binary.LittleEndian, v); err != nil {
		panic("hcall: structure does not fit a page")
	}
}

// get is the counterpart of put; v is a pointer.
func get(b []byte, v any) {
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic("hcall: structure does not fit a page")
	}
}

// Text returns the string in a NUL-padded array of a structure.
func Text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// SetText stores s NUL-padded in b, cut to leave at least one NUL.
func SetText(b []byte, s string) {
	clear(b)
	copy(b[:len(b)-1], s)
}
