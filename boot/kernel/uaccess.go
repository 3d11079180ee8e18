// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "unsafe"

// Memory of the Go program is reached with these only: an address may be
// unmapped (then the copy fails) or not yet present (then the page fault is
// served on its own stack).

// userRange reports whether [a, a+n) lies in the lower half, so that an access
// faults at worst.
//
//go:nosplit
func userRange(a, n uint64) bool { return a < 1<<47 && n <= 1<<46 && a+n <= 1<<47 }

//go:nosplit
func copyIn(dst unsafe.Pointer, src, n uint64) bool {
	return userRange(src, n) && ucopy(addr(dst), src, n) == 0
}

//go:nosplit
func copyOut(dst uint64, src unsafe.Pointer, n uint64) bool {
	return userRange(dst, n) && ucopy(dst, addr(src), n) == 0
}

//go:nosplit
func userStore64(dst, v uint64) bool { return copyOut(dst, unsafe.Pointer(&v), 8) }

//go:nosplit
func userLoad64(src uint64) (v uint64, ok bool) {
	ok = copyIn(unsafe.Pointer(&v), src, 8)
	return v, ok
}

// userTimespec reads a struct timespec and returns nanoseconds, saturated.
//
//go:nosplit
func userTimespec(src uint64) (ns uint64, ok bool) {
	var ts [2]uint64
	if !copyIn(unsafe.Pointer(&ts), src, 16) {
		return 0, false
	}
	if ts[0] > 1<<31 {
		return 1 << 60, true
	}
	return ts[0]*1_000_000_000 + ts[1]%1_000_000_000, true
}

//go:nosplit
func copyOut8(dst uint64, v uint8) bool { return copyOut(dst, unsafe.Pointer(&v), 1) }
