// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package nvme

import (
	"ringo/drivers/dma"
)

// maxTransfer is the most that a command moves, in bytes, and listEntries the addresses
// that it needs behind the first: data may begin within a page.
const (
	maxTransfer = 512 << 10
	listEntries = maxTransfer / dma.Page
	listSize    = listEntries * 8
)

// fits reports whether the device can be told of data page by page ("Physical Region
// Page Entry and List"): only the first piece begins within a page, at a multiple of
// four bytes, and only the last one ends within one.
func fits(data []dma.Segment) bool {
	for i, s := range data {
		switch {
		case len(s.Bytes) == 0:
			return false
		case i == 0:
			if s.Addr%4 != 0 {
				return false
			}
		case s.Addr%dma.Page != 0:
			return false
		}
		if i+1 < len(data) && (s.Addr+uint64(len(s.Bytes)))%dma.Page != 0 {
			return false
		}
	}
	return true
}

// prp returns the two addresses of a command for data that fits; list is what the
// second points to if that is not enough.
func prp(data []dma.Segment, list dma.Segment) (first, second uint64) {
	n := 0 // addresses in list
	for i, s := range data {
		a, left := s.Addr, uint64(len(s.Bytes))
		if i == 0 {
			first = a
			step := min(left, dma.Page-a%dma.Page)
			a, left = a+step, left-step
		}
		for ; left > 0; n++ {
			le.PutUint64(list.Bytes[8*n:], a)
			step := min(left, dma.Page)
			a, left = a+step, left-step
		}
	}
	switch n {
	case 0:
		return first, 0
	case 1:
		return first, le.Uint64(list.Bytes)
	}
	return first, list.Addr
}
