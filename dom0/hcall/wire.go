// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import "bytes"

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
