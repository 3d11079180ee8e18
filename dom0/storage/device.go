// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package storage

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"ringo/dom0/problem"
	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// window is a partition of a disk.
type window struct {
	block.Device
	start  uint64
	blocks atomic.Uint64
}

func newWindow(d block.Device, start, blocks uint64) *window {
	w := &window{Device: d, start: start}
	w.blocks.Store(blocks)
	return w
}

// Info implements [block.Device].
func (w *window) Info() block.Info {
	i := w.Device.Info()
	i.Blocks = w.blocks.Load()
	return i
}

// Submit implements [block.Device].
func (w *window) Submit(queue int, r *block.Request) {
	i := w.Info()
	if err := block.Check(&i, r); err != nil {
		r.Done(r, err)
		return
	}
	if r.Op != block.Flush {
		r.Start += w.start
	}
	w.Device.Submit(queue, r)
}

// readOnly is a disk that is not written.
type readOnly struct{ block.Device }

// Info implements [block.Device].
func (d readOnly) Info() block.Info {
	i := d.Device.Info()
	i.ReadOnly, i.Discard, i.WriteZeroes = true, false, false
	return i
}

// Submit implements [block.Device].
func (d readOnly) Submit(queue int, r *block.Request) {
	switch r.Op {
	case block.Read:
		d.Device.Submit(queue, r)
	case block.Flush:
		r.Done(r, nil)
	default:
		r.Done(r, block.ErrReadOnly)
	}
}

// image is a file as a disk. Reading may block, so it is done by goroutines, readers of
// them at most, which end when there is nothing to read.
type image struct {
	file atomic.Pointer[file]

	mu      sync.Mutex // guards what follows
	waiting []*block.Request
	active  int
}

const readers = 4

// file is what an image contains.
type file struct {
	r    io.ReaderAt
	info block.Info
}

func newImage(r io.ReaderAt, size int64) *image {
	m := new(image)
	m.file.Store(&file{r, block.Info{
		Model: "image", Blocks: uint64(size) / imageBlock, BlockSize: imageBlock, MaxBlocks: 128 << 10 / imageBlock, ReadOnly: true,
	}})
	return m
}

// Info implements [block.Device].
func (m *image) Info() block.Info { return m.file.Load().info }

// Queues implements [block.Device].
func (m *image) Queues() int { return 1 }

// Submit implements [block.Device].
func (m *image) Submit(_ int, r *block.Request) {
	if err := block.Check(&m.file.Load().info, r); err != nil || r.Op == block.Flush {
		r.Done(r, err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Driver = m
	m.waiting = append(m.waiting, r)
	if m.active < readers {
		m.active++
		go m.serve()
	}
}

// serve reads what is asked for.
func (m *image) serve() {
	for {
		m.mu.Lock()
		if len(m.waiting) == 0 {
			m.active--
			m.mu.Unlock()
			return
		}
		r := m.waiting[0]
		m.waiting = m.waiting[:copy(m.waiting, m.waiting[1:])]
		m.mu.Unlock()
		r.Done(r, m.read(r))
	}
}

func (m *image) read(r *block.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = problem.Panic(v)
		}
	}()
	at, file := int64(r.Start)*imageBlock, m.file.Load()
	for _, s := range r.Data {
		if n, err := file.r.ReadAt(s.Bytes, at); n < len(s.Bytes) {
			return fmt.Errorf("%w: %v", block.ErrMedia, err)
		}
		at += int64(len(s.Bytes))
	}
	return nil
}

// unpacking reserves the memory that reading a disk takes.
func (s *Storage) unpacking(p *place) (release func(), err error) {
	if p.memory == 0 {
		return func() {}, nil
	}
	return s.o.Snapshots.Reserve(p.memory)
}

// pass returns memory for data to pass through, until the disk is closed. Nil: there is
// none.
func (d *Disk) pass() []dma.Segment {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []dma.Segment
	if n := len(s.spare); n > 0 {
		all, s.spare = s.spare[n-1], s.spare[:n-1]
	} else if addr, b, ok := s.o.Memory(passBytes); ok {
		for at := 0; at < passBytes; at += dma.Page {
			all = append(all, dma.Segment{Addr: addr, Bytes: b}.Slice(at, at+dma.Page))
		}
	} else {
		return nil
	}
	d.ends = append(d.ends, func() {
		for _, p := range all {
			clear(p.Bytes)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spare = append(s.spare, all)
	})
	return all
}

// passBytes is how much memory a queue's data passes through.
const passBytes = 256 << 10
