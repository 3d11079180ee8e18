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
	info Info
	per  uint64 // blocks of a line
	size int64
	last uint64 // the line that was used last; guarded by c.mu
}

// Reader returns a reader of a disk.
func (c *Cache) Reader(d Device) *Reader {
	r := &Reader{c: c, dev: d, info: d.Info(), last: 1 << 63}
	block := uint64(r.info.BlockSize)
	r.per = min(cacheLine/block, 1<<(bits.Len32(max(r.info.MaxBlocks, 1))-1))
	r.size = int64(r.info.Blocks * block)
	return r
}

// line is a part of a disk in memory.
type line struct {
	mem     dma.Segment
	r       Request
	of      *Reader // whose part
	index   uint64  // and which; both are valid unless state is empty
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

// Size is that of the disk, in bytes.
func (r *Reader) Size() int64 { return r.size }

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
	unit := int64(r.per) * int64(r.info.BlockSize)
	for n < len(b) {
		if off >= r.size {
			return n, io.EOF
		}
		l, err := r.take(uint64(off / unit))
		if err != nil {
			return n, err
		}
		from := off % unit
		to := min(unit, r.size-(off-from))
		k := copy(b[n:], l.mem.Bytes[from:to])
		r.release(l)
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// take returns a line, read, which the caller releases.
func (r *Reader) take(index uint64) (*line, error) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	ahead := index == r.last+1
	r.last = index
	l := r.claim(index)
	for l == nil {
		r.c.ready.Wait() // all lines have users
		l = r.claim(index)
	}
	r.c.now++
	l.used = r.c.now
	if ahead {
		r.readAhead(index)
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
func (r *Reader) claim(index uint64) *line {
	if l := r.find(index); l != nil {
		l.users++
		return l
	}
	return r.start(index)
}

// readAhead asks for the lines after one, as far as there is room for them.
//
// Preconditions: r.c.mu is held.
func (r *Reader) readAhead(index uint64) {
	for i := index + 1; i < index+cacheAhead && i*r.per < r.info.Blocks; i++ {
		l := r.claim(i)
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
func (r *Reader) find(index uint64) *line {
	for i := range r.c.lines {
		if l := &r.c.lines[i]; l.of == r && l.index == index && !l.dropped && (l.state == lineBusy || l.state == lineFull) {
			return l
		}
	}
	return nil
}

// start reads a part of the disk into the line that was used least, of which the caller
// is the user, or returns nil when all are in use.
//
// Preconditions: r.c.mu is held.
func (r *Reader) start(index uint64) *line {
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
	l.of, l.index, l.state, l.err, l.dropped, l.used, l.users = r, index, lineBusy, nil, false, r.c.now, 1
	start := index * r.per
	count := min(r.per, r.info.Blocks-start)
	l.r = Request{
		Op: Read, Start: start, Blocks: uint32(count), Data: []dma.Segment{l.mem.Slice(0, int(count)*r.info.BlockSize)},
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
