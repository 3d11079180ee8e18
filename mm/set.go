// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mm

import (
	"cmp"
	"slices"
)

// Set is a set of addresses, kept as sorted ranges with gaps between them. The
// zero Set is empty. A Set is not safe for concurrent use; Add and Remove
// allocate.
type Set[A Address] struct{ r []Range[A] }

// Add puts the addresses of x into s.
func (s *Set[A]) Add(x Range[A]) {
	if x.Empty() {
		return
	}
	// Ranges i to j-1 overlap x or touch it.
	i, _ := slices.BinarySearchFunc(s.r, x.Start, func(r Range[A], a A) int {
		if r.Last() < a && a-r.Last() > 1 {
			return -1
		}
		return 1
	})
	j := i
	first, last := x.Start, x.Last()
	for j < len(s.r) && (s.r[j].Start <= last || s.r[j].Start-last == 1) {
		first, last = min(first, s.r[j].Start), max(last, s.r[j].Last())
		j++
	}
	s.r = slices.Replace(s.r, i, j, between(first, last))
}

// Remove takes the addresses of x out of s.
func (s *Set[A]) Remove(x Range[A]) {
	if x.Empty() {
		return
	}
	out := make([]Range[A], 0, len(s.r)+1)
	for _, r := range s.r {
		below, above := r.Subtract(x)
		for _, part := range [...]Range[A]{below, above} {
			if !part.Empty() {
				out = append(out, part)
			}
		}
	}
	s.r = out
}

// Covers reports whether all of x, which may be empty, is in s. It does not
// allocate.
func (s *Set[A]) Covers(x Range[A]) bool {
	if x.Empty() {
		return true
	}
	lo, hi := 0, len(s.r)
	for lo < hi { // the first range that does not end before x
		if mid := int(uint(lo+hi) / 2); s.r[mid].Last() < x.Start {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(s.r) && s.r[lo].Covers(x)
}

// Contains reports whether a is in s. It does not allocate.
func (s *Set[A]) Contains(a A) bool { return s.Covers(Range[A]{a, 1}) }

// Ranges returns the ranges of s in ascending order.
func (s *Set[A]) Ranges() []Range[A] { return slices.Clone(s.r) }

// Bytes is the number of addresses in s.
func (s *Set[A]) Bytes() (n uint64) {
	for _, r := range s.r {
		n += r.Size
	}
	return n
}

// compareStart orders ranges by their first address.
func compareStart[A Address](a, b Range[A]) int { return cmp.Compare(a.Start, b.Start) }
