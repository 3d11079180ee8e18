// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// What a snapshot keeps: cells of so many bytes, of which sectors are written, and memory
// for so many cells at a time.
const (
	cellBytes   = 4096
	cellSector  = 512
	cellPrice   = cellBytes + 128 // with its place in the table
	cellReserve = 64
)

var (
	errRoom = errors.New("snapshots have all memory that they may have")
	errFull = fmt.Errorf("no room for what is written: %w", block.ErrDevice)
)

// cell is a part of the disk, as far as it was written.
type cell struct {
	b     *[cellBytes]byte
	valid uint8 // a bit for each sector
}

// snapshot is a disk of which writes are kept in memory.
type snapshot struct {
	base    block.Device
	info    block.Info
	reserve func(n uint64) (release func(), err error)
	full    func()        // is told once
	blocks  atomic.Uint64 // its size, at least that of base

	mu       sync.Mutex // guards what follows
	cells    map[uint64]*cell
	room     int // cells that memory is reserved for
	releases []func()
	told     bool
}

func newSnapshot(base block.Device, reserve func(uint64) (func(), error), full func()) *snapshot {
	i := base.Info()
	i.ReadOnly, i.Volatile, i.Discard, i.WriteZeroes = false, false, false, false
	s := &snapshot{base: base, info: i, reserve: reserve, full: full, cells: map[uint64]*cell{}}
	s.blocks.Store(i.Blocks)
	return s
}

// Info implements [block.Device].
func (s *snapshot) Info() block.Info {
	i := s.info
	i.Blocks = s.blocks.Load()
	return i
}

// resize gives it a size in bytes, which is not less than that of its base; 0 is its base's.
func (s *snapshot) resize(size uint64) {
	if size == 0 {
		s.blocks.Store(s.base.Info().Blocks)
	} else {
		s.blocks.Store(size / uint64(s.info.BlockSize))
	}
}

// Queues implements [block.Device].
func (s *snapshot) Queues() int { return s.base.Queues() }

// Submit implements [block.Device].
func (s *snapshot) Submit(queue int, r *block.Request) {
	i := s.Info()
	err := block.Check(&i, r)
	switch {
	case err != nil || r.Op == block.Flush:
		r.Done(r, err)
	case r.Op == block.Write:
		r.Done(r, s.write(r))
	default:
		s.read(queue, r)
	}
}

// read reads what lies below, and puts what was written over it.
func (s *snapshot) read(queue int, r *block.Request) {
	at := r.Start * uint64(s.info.BlockSize)
	some, all := s.has(at, uint64(r.Blocks)*uint64(s.info.BlockSize))
	end := s.base.Info().Blocks
	switch {
	case !all && r.Start+uint64(r.Blocks) > end:
		s.beyond(queue, r, end)
		return
	case all:
		s.overlay(at, r.Data)
		r.Done(r, nil)
		return
	case some:
		done := r.Done
		r.Done = func(r *block.Request, err error) {
			if r.Done = done; err == nil {
				s.overlay(at, r.Data)
			}
			done(r, err)
		}
	}
	s.base.Submit(queue, r)
}

// beyond reads what lies beyond the end of what is below, at least in part.
func (s *snapshot) beyond(queue int, r *block.Request, end uint64) {
	at, whole, blocks := r.Start*uint64(s.info.BlockSize), r.Data, r.Blocks
	below := uint64(0)
	if r.Start < end {
		below = (end - r.Start) * uint64(s.info.BlockSize)
	}
	var part []dma.Segment
	for _, d := range whole {
		n := min(uint64(len(d.Bytes)), below)
		if n > 0 {
			part = append(part, d.Slice(0, int(n)))
		}
		clear(d.Bytes[n:])
		below -= n
	}
	if len(part) == 0 {
		s.overlay(at, whole)
		r.Done(r, nil)
		return
	}
	done := r.Done
	r.Data, r.Blocks = part, uint32(end-r.Start)
	r.Done = func(r *block.Request, err error) {
		r.Done, r.Data, r.Blocks = done, whole, blocks
		if err == nil {
			s.overlay(at, whole)
		}
		done(r, err)
	}
	s.base.Submit(queue, r)
}

// sectors calls f with the parts of size bytes from at on that lie in one cell each:
// which cell, from where in it on, how many bytes, and their sectors as in valid.
func sectors(at, size uint64, f func(n, from, size uint64, mask uint8)) {
	for size > 0 {
		from := at % cellBytes
		k := min(size, cellBytes-from)
		mask := (uint(1)<<(k/cellSector) - 1) << (from / cellSector)
		f(at/cellBytes, from, k, uint8(mask))
		at, size = at+k, size-k
	}
}

// has reports whether some, or all, of size bytes from at on were written.
func (s *snapshot) has(at, size uint64) (some, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all = true
	sectors(at, size, func(n, _, _ uint64, mask uint8) {
		var valid uint8
		if c := s.cells[n]; c != nil {
			valid = c.valid & mask
		}
		some, all = some || valid != 0, all && valid == mask
	})
	return some, all
}

// overlay puts what was written from at on over data.
func (s *snapshot) overlay(at uint64, data []dma.Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range data {
		for b := d.Bytes; len(b) > 0; {
			from := at % cellBytes
			k := min(uint64(len(b)), cellSector-at%cellSector)
			if c := s.cells[at/cellBytes]; c != nil && c.valid>>(from/cellSector)&1 != 0 {
				copy(b[:k], c.b[from:])
			}
			at, b = at+k, b[k:]
		}
	}
}

// write keeps what is written.
func (s *snapshot) write(r *block.Request) error {
	at := r.Start * uint64(s.info.BlockSize)
	size := uint64(r.Blocks) * uint64(s.info.BlockSize)
	if err := s.grow(at, size); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cells == nil {
		return block.ErrGone
	}
	pos := at
	for _, d := range r.Data {
		for b := d.Bytes; len(b) > 0; {
			from := pos % cellBytes
			k := copy(s.cells[pos/cellBytes].b[from:], b)
			pos, b = pos+uint64(k), b[k:]
		}
	}
	sectors(at, size, func(n, _, _ uint64, mask uint8) { s.cells[n].valid |= mask })
	return nil
}

// grow sees to it that there are cells for what is to be written.
func (s *snapshot) grow(at, size uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cells == nil {
		return block.ErrGone
	}
	for n := at / cellBytes; n <= (at+size-1)/cellBytes; n++ {
		if s.cells[n] != nil {
			continue
		}
		if s.room == 0 {
			release, err := s.reserve(cellReserve * cellPrice)
			if err != nil {
				if !s.told {
					s.told = true
					s.full()
				}
				return errFull
			}
			s.releases, s.room = append(s.releases, release), cellReserve
		}
		s.room--
		s.cells[n] = &cell{b: new([cellBytes]byte)}
	}
	return nil
}

// close forgets what was written.
func (s *snapshot) close() {
	s.mu.Lock()
	all := s.releases
	s.cells, s.releases = nil, nil
	s.mu.Unlock()
	if len(all) > 32 { // 8 MiB: what is free in the budget is to be free in memory
		runtime.GC()
	}
	for _, f := range all {
		f()
	}
}
