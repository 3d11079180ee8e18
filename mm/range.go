// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mm

const maxUint64 = 1<<64 - 1

// Range is the Size bytes from Start on. A range that would reach beyond the
// last address 2^64-1 is taken to end there, by every method: no arithmetic on
// ranges wraps. The zero Range is empty.
type Range[A Address] struct {
	Start A
	Size  uint64
}

// Span returns [start, end); it is empty when end <= start.
func Span[A Address](start, end A) Range[A] {
	if end <= start {
		return Range[A]{Start: start}
	}
	return Range[A]{start, uint64(end - start)}
}

// between returns [first, last]. The one range that Size cannot express, all
// 2^64 bytes, loses its last byte.
func between[A Address](first, last A) Range[A] {
	n := uint64(last - first)
	if n != maxUint64 {
		n++
	}
	return Range[A]{first, n}
}

// Within reports whether the n bytes at a lie in [0, limit). It is the check
// for an address and a length that a guest supplies.
func Within[A Address](a A, n, limit uint64) bool {
	return n <= limit && uint64(a) <= limit-n
}

// Add returns a+n; ok is false when that is beyond 2^64-1.
func Add[A Address](a A, n uint64) (sum A, ok bool) {
	sum = a + A(n)
	return sum, sum >= a
}

// Empty reports whether r has no bytes.
func (r Range[A]) Empty() bool { return r.Size == 0 }

// Last is the address of the last byte.
//
// Preconditions: r is not empty.
func (r Range[A]) Last() A {
	if last, ok := Add(r.Start, r.Size-1); ok {
		return last
	}
	return ^A(0)
}

// End is the address behind the last byte: 0 when r reaches 2^64-1.
func (r Range[A]) End() A {
	if r.Empty() {
		return r.Start
	}
	return r.Last() + 1
}

// Contains reports whether a is in r.
func (r Range[A]) Contains(a A) bool { return a >= r.Start && uint64(a-r.Start) < r.Size }

// Covers reports whether all of s, which may be empty, is in r.
func (r Range[A]) Covers(s Range[A]) bool {
	return s.Empty() || r.Contains(s.Start) && r.Contains(s.Last())
}

// Overlaps reports whether r and s have a byte in common.
func (r Range[A]) Overlaps(s Range[A]) bool {
	return !r.Empty() && !s.Empty() && r.Start <= s.Last() && s.Start <= r.Last()
}

// Intersect returns what r and s have in common.
func (r Range[A]) Intersect(s Range[A]) Range[A] {
	if !r.Overlaps(s) {
		return Range[A]{}
	}
	return between(max(r.Start, s.Start), min(r.Last(), s.Last()))
}

// Subtract returns the parts of r below and above s; either may be empty. When
// they do not overlap, r is returned as one of the two.
func (r Range[A]) Subtract(s Range[A]) (below, above Range[A]) {
	if !r.Overlaps(s) {
		if s.Start > r.Start {
			return r, Range[A]{}
		}
		return Range[A]{}, r
	}
	if r.Start < s.Start {
		below = Range[A]{r.Start, uint64(s.Start - r.Start)}
	}
	if r.Last() > s.Last() {
		above = between(s.Last()+1, r.Last())
	}
	return below, above
}

// AlignIn returns the largest part of r that begins and ends at multiples of
// size, a power of two.
func (r Range[A]) AlignIn(size uint64) Range[A] {
	if r.Empty() {
		return Range[A]{}
	}
	mask := A(size - 1)
	first, ok := Add(r.Start, uint64(-r.Start&mask))
	last := r.Last()
	if !ok || first > last {
		return Range[A]{}
	}
	// The bytes of the last, incomplete block go.
	n := uint64(last-first) + 1 // 0 only for all of 2^64
	if n != 0 {
		n &^= size - 1
	} else {
		n = -size
	}
	return Range[A]{first, n}
}

// AlignOut returns the smallest range that holds r and begins and ends at
// multiples of size, a power of two.
func (r Range[A]) AlignOut(size uint64) Range[A] {
	if r.Empty() {
		return Range[A]{}
	}
	mask := A(size - 1)
	return between(r.Start&^mask, r.Last()|mask)
}
