// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package dma is memory that a device reads and writes.
package dma

import "errors"

// Page is the unit in which devices take lists of addresses, in bytes.
const Page = 4096

// ErrMemory: an arena has no room left.
var ErrMemory = errors.New("no memory for a device to use")

// Segment is memory that both sides see: Bytes here, and len(Bytes) bytes at Addr, the
// address on the bus, there.
type Segment struct {
	Addr  uint64
	Bytes []byte
}

// Slice is the part of s from from to to.
func (s Segment) Slice(from, to int) Segment {
	return Segment{s.Addr + uint64(from), s.Bytes[from:to:to]}
}

// Arena hands out memory for good: what a driver needs for its rings it gets at its
// start, and has as long as the device.
type Arena interface {
	// Alloc returns size bytes of zeros, contiguous and aligned to align, a power of two
	// that is at most [Page] unless size is larger. It fails with [ErrMemory].
	Alloc(size, align int) (Segment, error)
}
