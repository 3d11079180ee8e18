// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package block

import (
	"io"
	"math/bits"
	"sync"

	"ringo/drivers/dma"
)

// A Cache's memory: so many lines of so many bytes.
const (
	cacheLines = 16
	cacheLine  = 64 << 10
	// CacheMemory is how much it takes of its arena.
	CacheMemory = cacheLines * cacheLine
	// cacheAhead is how many lines are asked for together when they are read in order.
	cacheAhead = 4
)

// Cache is memory for devices to write, in which what was read last of some disks is
// kept. It has no other memory, however many disks there are.
type Cache struct {
	mu    sync.Mutex
	ready sync.Cond // a line has been read, or let go
	lines [cacheLines]line
	now   uint64 // counts uses
}

// NewCache returns a cache with its memory out of mem.
func NewCache(mem dma.Arena) (*Cache, error) {
	c := new(Cache)
	c.ready.L = &c.mu
	for i := range c.lines {
		var err error
		if c.lines[i].mem, err = mem.Alloc(cacheLine, dma.Page); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Reader is the content of a disk, for who can wait: an [io.ReaderAt] of any ranges, by
// lines of a cache. What is read in order is asked for ahead. It is safe for concurrent
// use.
type Reader struct {
	c    *Cache
	dev  Device
	now  *shape // guarded by c.mu, as what follows
	last uint64 // the line that was used last
}

// shape is how a disk is made up of lines. It does not change: a disk that does, since its
// medium is another one, gets another.
type shape struct {
	size      int64
	blocks    uint64
	blockSize int
	per       uint64 // blocks of a line
}

// Reader returns a reader of a disk.
func (c *Cache) Reader(d Device) *Reader { return &Reader{c: c, dev: d, last: 1 << 63} }

// shape returns that of the medium that there is.
func (r *Reader) shape() *shape {
	i := r.dev.Info()
	s := shape{blocks: i.Blocks, blockSize: i.BlockSize, size: int64(i.Blocks) * int64(i.BlockSize)}
	s.per = min(cacheLine/uint64(i.BlockSize), 1<<(bits.Len32(max(i.MaxBlocks, 1))-1))
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if r.now == nil || *r.now != s {
		r.now = &s
	}
	return r.now
}

// line is a part of a disk in memory.
type line struct {
	mem     dma.Segment
	r       Request
	of      *Reader // whose part
	shape   *shape
	index   uint64 // and which; all are valid unless state is empty
	state   lineState
	err     error // of a line that has failed
	users   int
	used    uint64
	dropped bool // it is old when its users let it go
}

type lineState uint8

const (
	lineEmpty lineState = iota
	lineBusy
	lineFull
	lineFailed
)

// Size is that of the disk, or of the medium that is in it now, in bytes.
func (r *Reader) Size() int64 { return r.shape().size }

// Forget drops what is kept of the disk, since the disk may have been written.
func (r *Reader) Forget() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	for i := range r.c.lines {
		switch l := &r.c.lines[i]; {
		case l.of != r:
		case l.users > 0 || l.state == lineBusy:
			l.dropped = true
		default:
			l.state = lineEmpty
		}
	}
}

// ReadAt implements [io.ReaderAt]. Errors are those of requests.
func (r *Reader) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, ErrInvalid
	}
	s := r.shape()
	unit := int64(s.per) * int64(s.blockSize)
	for n < len(b) {
		if off >= s.size {
			return n, io.EOF
		}
		l, err := r.take(s, uint64(off/unit))
		if err != nil {
			return n, err
		}
		from := off % unit
		to := min(unit, s.size-(off-from))
		k := copy(b[n:], l.mem.Bytes[from:to])
		r.release(l)
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// take returns a line, read, which the caller releases.
func (r *Reader) take(s *shape, index uint64) (*line, error) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	ahead := index == r.last+1
	r.last = index
	l := r.claim(s, index)
	for l == nil {
		r.c.ready.Wait() // all lines have users
		l = r.claim(s, index)
	}
	r.c.now++
	l.used = r.c.now
	if ahead {
		r.readAhead(s, index)
	}
	for l.state == lineBusy {
		r.c.ready.Wait()
	}
	if l.state == lineFailed {
		err := l.err
		r.drop(l)
		return nil, err
	}
	return l, nil
}

// claim returns the line that has a part of the disk, or will have it, with one more
// user; nil when all lines have users.
//
// Preconditions: r.c.mu is held.
func (r *Reader) claim(s *shape, index uint64) *line {
	if l := r.find(s, index); l != nil {
		l.users++
		return l
	}
	return r.start(s, index)
}

// readAhead asks for the lines after one, as far as there is room for them.
//
// Preconditions: r.c.mu is held.
func (r *Reader) readAhead(s *shape, index uint64) {
	for i := index + 1; i < index+cacheAhead && i*s.per < s.blocks; i++ {
		l := r.claim(s, i)
		if l == nil {
			return
		}
		r.drop(l)
	}
}

// find returns the line that has a part of the disk, or will have it. One that failed
// is asked for again.
//
// Preconditions: r.c.mu is held.
func (r *Reader) find(s *shape, index uint64) *line {
	for i := range r.c.lines {
		if l := &r.c.lines[i]; l.of == r && l.shape == s && l.index == index && !l.dropped && (l.state == lineBusy || l.state == lineFull) {
			return l
		}
	}
	return nil
}

// start reads a part of the disk into the line that was used least, of which the caller
// is the user, or returns nil when all are in use.
//
// Preconditions: r.c.mu is held.
func (r *Reader) start(s *shape, index uint64) *line {
	var l *line
	for i := range r.c.lines {
		if x := &r.c.lines[i]; x.users == 0 && x.state != lineBusy && (l == nil || x.used < l.used) {
			l = x
		}
	}
	if l == nil {
		return nil
	}
	r.c.now++
	l.of, l.shape, l.index, l.state, l.err, l.dropped, l.used, l.users = r, s, index, lineBusy, nil, false, r.c.now, 1
	start := index * s.per
	count := min(s.per, s.blocks-start)
	l.r = Request{
		Op: Read, Start: start, Blocks: uint32(count), Data: []dma.Segment{l.mem.Slice(0, int(count)*s.blockSize)},
		Done: func(_ *Request, err error) { r.done(l, err) },
	}
	r.c.mu.Unlock() // a driver may answer at once
	r.dev.Submit(int(index)%r.dev.Queues(), &l.r)
	r.c.mu.Lock()
	return l
}

// done is what the driver calls when a line has been read.
func (r *Reader) done(l *line, err error) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	l.state, l.err = lineFull, err
	if err != nil {
		l.state = lineFailed
	}
	r.c.ready.Broadcast()
}

// release gives a line back.
func (r *Reader) release(l *line) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.drop(l)
}

// drop is release.
//
// Preconditions: r.c.mu is held.
func (r *Reader) drop(l *line) {
	l.users--
	if l.users == 0 && l.state != lineBusy && l.dropped {
		l.state = lineEmpty
	}
	r.c.ready.Broadcast()
}
