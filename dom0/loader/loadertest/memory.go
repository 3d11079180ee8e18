// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package loadertest has a guest memory for tests of the loader and of what
// uses it.
package loadertest

import (
	"fmt"

	"ringo/dom0/board"
	"ringo/dom0/loader"
)

// block is the unit in which RAM comes into being, at the first access.
const block = 1 << 20

// Memory is RAM in ordinary slices, in pieces of at most 1 MiB. It implements
// [loader.Guest].
type Memory struct {
	ranges []board.Range
	blocks map[uint64][]byte
	// Chunk, unless 0, is the largest piece that RAM returns, and pieces end
	// at its multiples: memory that is scattered in dom0.
	Chunk uint64
}

// New returns the zeroed RAM of a machine with memory bytes.
func New(memory uint64) (*Memory, error) {
	m, err := board.New(board.Config{CPUs: 1, Memory: memory})
	if err != nil {
		return nil, err
	}
	return For(m), nil
}

// For returns the zeroed RAM of a machine.
func For(m *board.Machine) *Memory {
	return &Memory{ranges: m.RAM(), blocks: map[uint64][]byte{}}
}

// RAM implements [loader.Guest].
func (m *Memory) RAM(a loader.GPA, n uint64) []byte {
	for _, r := range m.ranges {
		if uint64(a) < r.Start || uint64(a)-r.Start >= r.Size {
			continue
		}
		n = min(n, r.Size-(uint64(a)-r.Start))
		if m.Chunk != 0 {
			n = min(n, m.Chunk-uint64(a)%m.Chunk)
		}
		base, off := uint64(a)/block, uint64(a)%block
		n = min(n, block-off)
		if m.blocks[base] == nil {
			m.blocks[base] = make([]byte, block)
		}
		return m.blocks[base][off : off+n : off+n]
	}
	return nil
}

// Made returns how many bytes of RAM came into being.
func (m *Memory) Made() uint64 { return uint64(len(m.blocks)) * block }

// Bytes returns a copy of n bytes at a. It panics where there is no RAM.
func (m *Memory) Bytes(a loader.GPA, n uint64) []byte {
	var out []byte
	for n > 0 {
		b := m.RAM(a, n)
		if b == nil {
			panic(fmt.Sprintf("loadertest: no RAM at %#x", uint64(a)))
		}
		out = append(out, b...)
		a, n = a+loader.GPA(len(b)), n-uint64(len(b))
	}
	return out
}
