// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "unsafe"

// vmas is what the Go program has mapped: sorted, disjoint, and adjacent areas
// of equal protection are one. It decides which page faults are served.
type vmas struct {
	n    uint64
	area [maxVMA]vma
}

type vma struct {
	start, end uint64
	prot       uint64 // protRead, protWrite
}

const (
	maxVMA = 1024

	protRead  = 1
	protWrite = 2
	protExec  = 4
)

var space vmas

//go:nosplit
func (s *vmas) at(i uint64) *vma {
	return (*vma)(ptr(addr(unsafe.Pointer(&s.area)) + i*uint64(unsafe.Sizeof(vma{}))))
}

// after returns the index of the first area that ends above a.
//
//go:nosplit
func (s *vmas) after(a uint64) uint64 {
	lo, hi := uint64(0), s.n
	for lo < hi {
		m := (lo + hi) / 2
		if s.at(m).end > a {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// prot returns the protection at a; ok is false when nothing is mapped there.
//
//go:nosplit
func (s *vmas) prot(a uint64) (prot uint64, ok bool) {
	i := s.after(a)
	if i == s.n || s.at(i).start > a {
		return 0, false
	}
	return s.at(i).prot, true
}

// open makes room for k areas at index i.
//
//go:nosplit
func (s *vmas) open(i, k uint64) {
	for j := s.n; j > i; j-- {
		*s.at(j - 1 + k) = *s.at(j - 1)
	}
	s.n += k
}

//go:nosplit
func (s *vmas) drop(i, j uint64) {
	for k := j; k < s.n; k++ {
		*s.at(i + k - j) = *s.at(k)
	}
	s.n -= j - i
}

// clear removes [start, end) from all areas. It fails, with nothing changed,
// when splitting an area needs an entry more than there is.
//
//go:nosplit
func (s *vmas) clear(start, end uint64) bool {
	i := s.after(start)
	if i == s.n || s.at(i).start >= end {
		return true
	}
	if a := s.at(i); a.start < start && a.end > end {
		if s.n == maxVMA {
			return false
		}
		s.open(i, 1)
		s.at(i).end = start
		s.at(i + 1).start = end
		return true
	}
	if a := s.at(i); a.start < start {
		a.end = start
		i++
	}
	j := i
	for j < s.n && s.at(j).end <= end {
		j++
	}
	if j < s.n && s.at(j).start < end {
		s.at(j).start = end
	}
	s.drop(i, j)
	return true
}

// set gives [start, end) the protection prot, whatever was there before.
//
//go:nosplit
func (s *vmas) set(start, end, prot uint64) bool {
	if s.n >= maxVMA-1 || !s.clear(start, end) {
		return false
	}
	i := s.after(start)
	left := i > 0 && s.at(i-1).end == start && s.at(i-1).prot == prot
	right := i < s.n && s.at(i).start == end && s.at(i).prot == prot
	switch {
	case left && right:
		s.at(i - 1).end = s.at(i).end
		s.drop(i, i+1)
	case left:
		s.at(i - 1).end = end
	case right:
		s.at(i).start = start
	default:
		s.open(i, 1)
		*s.at(i) = vma{start, end, prot}
	}
	return true
}

// covered reports whether all of [start, end) is mapped.
//
//go:nosplit
func (s *vmas) covered(start, end uint64) bool {
	for i := s.after(start); i < s.n && s.at(i).start <= start; i++ {
		if start = s.at(i).end; start >= end {
			return true
		}
	}
	return false
}

// free reports whether nothing of [start, end) is mapped.
//
//go:nosplit
func (s *vmas) free(start, end uint64) bool {
	i := s.after(start)
	return i == s.n || s.at(i).start >= end
}

// gap returns the lowest address in [lo, hi) at which size bytes are free, or 0.
//
//go:nosplit
func (s *vmas) gap(lo, hi, size uint64) uint64 {
	for i := s.after(lo); i < s.n; i++ {
		a := s.at(i)
		if a.start > lo && a.start-lo >= size {
			break
		}
		if a.end > lo {
			lo = a.end
		}
	}
	if lo > hi || hi-lo < size {
		return 0
	}
	return lo
}
