// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package blocktest is the conformance test of drivers of disks, and what their devices
// in memory have in common. Each driver's tests run [Run] on its own device.
package blocktest

import (
	"time"

	"ringo/drivers/block"
)

// Medium is what a disk in memory holds, with a write cache. Whoever uses it has a lock.
type Medium struct {
	Blocks    uint64
	BlockSize int

	disk  map[uint64][]byte // what is on the medium, by block
	cache map[uint64][]byte // what is not, yet
}

// NewMedium is a disk of zeros.
func NewMedium(blocks uint64, blockSize int) *Medium {
	return &Medium{blocks, blockSize, map[uint64][]byte{}, map[uint64][]byte{}}
}

// Read copies blocks from at on to b.
func (m *Medium) Read(at uint64, b []byte) {
	for ; len(b) > 0; at, b = at+1, b[m.BlockSize:] {
		from, ok := m.cache[at]
		if !ok {
			from = m.disk[at]
		}
		clear(b[copy(b[:m.BlockSize], from):m.BlockSize])
	}
}

// Write puts blocks into the cache, or through it.
func (m *Medium) Write(at uint64, b []byte, through bool) {
	for ; len(b) > 0; at, b = at+1, b[m.BlockSize:] {
		m.put(at, append([]byte(nil), b[:m.BlockSize]...), through)
	}
}

// Zero makes n blocks zeros.
func (m *Medium) Zero(at, n uint64) {
	for i := range n {
		m.put(at+i, nil, false)
	}
}

func (m *Medium) put(at uint64, b []byte, through bool) {
	if through {
		m.disk[at] = b
		delete(m.cache, at)
	} else {
		m.cache[at] = b
	}
}

// Flush empties the cache.
func (m *Medium) Flush() {
	for at, b := range m.cache {
		m.disk[at] = b
	}
	clear(m.cache)
}

// Kept returns a block as it is after a loss of power: without the cache.
func (m *Medium) Kept(at uint64) []byte {
	b := make([]byte, m.BlockSize)
	copy(b, m.disk[at])
	return b
}

// Has reports whether blocks are on the medium.
func (m *Medium) Has(at, n uint64) bool { return at <= m.Blocks && n <= m.Blocks-at }

// Command is what a device in memory was asked for.
type Command struct {
	Op     block.Op
	Start  uint64
	Blocks uint32
}

// Fault is what a device does with a command instead of carrying it out well.
type Fault struct {
	Media  bool // it says that the medium is bad there
	Fails  bool // it says that it failed, and may not the next time
	Delay  time.Duration
	Drop   bool // no answer, until a reset
	Silent bool // no interrupt
	Lie    int  // in one of the device's ways to lie, from 1 on
}

// Fate says what becomes of a command.
type Fate func(c Command) Fault
