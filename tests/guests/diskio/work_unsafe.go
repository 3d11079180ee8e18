// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// work is what is done with an open disk.
type work struct {
	fd     int
	size   uint64 // of the disk, in bytes
	mapped []byte
	buffer []byte // of huge pages where the kernel has some: few pieces for a request
	state  uint64 // of the random numbers
}

const hugePage = 2 << 20

func newWork(fd int) (*work, error) {
	size, err := unix.Seek(fd, 0, 2)
	if err != nil {
		return nil, err
	}
	m, err := unix.Mmap(-1, 0, 3*hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	// SAFETY: the address of m is used as a number.
	off := -uintptr(unsafe.Pointer(&m[0])) % hugePage
	d := &work{fd: fd, size: uint64(size), mapped: m, buffer: m[off : off+hugePage], state: 88172645463325252}
	unix.Madvise(d.buffer, unix.MADV_HUGEPAGE) // or it is done without
	for i := 0; i < hugePage; i += small {
		d.buffer[i] = 0x5a // or it may all be one page of zeros
	}
	return d, nil
}

func (d *work) close() { unix.Munmap(d.mapped) }

// random is the place of a piece of so many bytes (Marsaglia, "Xorshift RNGs", 2003).
func (d *work) random(size uint64) uint64 {
	x := d.state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	d.state = x
	return x % (d.size / size) * size
}

// each reads or writes n pieces, one at a time.
func (d *work) each(call uintptr, size uint64, n int) error {
	for range n {
		// SAFETY: the buffer is mapped for as long as d is open, and longer than size.
		got, _, e := unix.RawSyscall6(call, uintptr(d.fd), uintptr(unsafe.Pointer(&d.buffer[0])), uintptr(size), uintptr(d.random(size)), 0, 0)
		if e != 0 || got != uintptr(size) {
			return fmt.Errorf("%d bytes of %d: %w", int(got), size, e)
		}
	}
	return nil
}

// flush has the disk write what it has cached.
func (d *work) flush() error {
	if _, _, e := unix.RawSyscall(unix.SYS_FDATASYNC, uintptr(d.fd), 0, 0); e != 0 {
		return e
	}
	return nil
}

func (d *work) flushes(n int) error {
	for range n {
		if err := d.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (d *work) writeFlush(n int) error {
	for range n {
		if err := d.each(unix.SYS_PWRITE64, small, 1); err != nil {
			return err
		}
		if err := d.flush(); err != nil {
			return err
		}
	}
	return nil
}

// What io_uring shares with its user (Linux, include/uapi/linux/io_uring.h).
type (
	ringOffsets struct{ Head, Tail, Mask, Entries, Flags, Dropped, Array, Resv1, Addr, Resv2 uint32 } // of submissions; others for completions
	ringParams  struct {
		SQEntries, CQEntries, Flags, ThreadCPU, ThreadIdle, Features, WQFD uint32
		Resv                                                               [3]uint32
		SQ                                                                 ringOffsets
		CQ                                                                 struct{ Head, Tail, Mask, Entries, Overflow, CQEs, Flags, Resv1, Addr, Resv2 uint32 }
	}
	submission struct {
		Op, Flags uint8
		Prio      uint16
		FD        int32
		Off, Addr uint64
		Len, RW   uint32
		User      uint64
		Rest      [3]uint64
	}
	completion struct {
		User  uint64
		Res   int32
		Flags uint32
	}
)

// Numbers of the same file.
const (
	offSubmissions = 0
	offCompletions = 0x8000000
	offEntries     = 0x10000000
	opRead         = 22
	getEvents      = 1
)

// uring is an io_uring.
type uring struct {
	fd         uintptr
	sq, cq, es []byte
	tail       *uint32 // of submissions
	array      []uint32
	entries    []submission
	head, end  *uint32 // of completions
	mask       uint32
	done       []completion
	pending    uint32 // not yet told of
}

// word is a word of a mapped ring.
func word(b []byte, off uint32) *uint32 {
	// SAFETY: the kernel gives offsets of words within what is mapped.
	return (*uint32)(unsafe.Pointer(&b[off]))
}

func newRing() (*uring, error) {
	var p ringParams
	// SAFETY: the kernel writes one structure of its size, 120 bytes, while p is here.
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 2*depth, uintptr(unsafe.Pointer(&p)), 0)
	if e != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", e)
	}
	r := &uring{fd: fd}
	for _, m := range []struct {
		to   *[]byte
		off  int64
		size uint32
	}{
		{&r.sq, offSubmissions, p.SQ.Array + 4*p.SQEntries},
		{&r.cq, offCompletions, p.CQ.CQEs + 16*p.CQEntries},
		{&r.es, offEntries, 64 * p.SQEntries},
	} {
		var err error
		if *m.to, err = unix.Mmap(int(fd), m.off, int(m.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
			return nil, fmt.Errorf("io_uring: mmap: %w", err)
		}
	}
	r.tail, r.head, r.end = word(r.sq, p.SQ.Tail), word(r.cq, p.CQ.Head), word(r.cq, p.CQ.Tail)
	r.array = unsafe.Slice(word(r.sq, p.SQ.Array), p.SQEntries)
	r.mask = *word(r.cq, p.CQ.Mask)
	// SAFETY: what is mapped holds as many entries as the kernel has said.
	r.entries = unsafe.Slice((*submission)(unsafe.Pointer(&r.es[0])), p.SQEntries)
	// SAFETY: as above.
	r.done = unsafe.Slice((*completion)(unsafe.Pointer(&r.cq[p.CQ.CQEs])), p.CQEntries)
	return r, nil
}

func (r *uring) close() {
	for _, m := range [][]byte{r.sq, r.cq, r.es} {
		unix.Munmap(m)
	}
	unix.Close(int(r.fd))
}

// read asks for a small piece, into the part of the buffer that user names.
func (r *uring) read(d *work, user uint64) {
	t := *r.tail
	i := t & uint32(len(r.entries)-1)
	// SAFETY: the kernel writes to the buffer, which is mapped until the work is closed.
	at := uint64(uintptr(unsafe.Pointer(&d.buffer[user*small])))
	r.entries[i] = submission{Op: opRead, FD: int32(d.fd), Off: d.random(small), Addr: at, Len: small, User: user}
	r.array[i] = i
	atomic.StoreUint32(r.tail, t+1)
	r.pending++
}

// deep reads n small pieces at random places, with depth of them under way.
func (d *work) deep(n int) error {
	r, err := newRing()
	if err != nil {
		return err
	}
	defer r.close()
	asked, got := 0, 0
	for ; asked < min(depth, n); asked++ {
		r.read(d, uint64(asked))
	}
	for got < n {
		if _, _, e := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, r.fd, uintptr(r.pending), 1, getEvents, 0, 0); e == unix.EINTR {
			continue // by a signal of Go's own; nothing was submitted
		} else if e != 0 {
			return fmt.Errorf("io_uring_enter: %w", e)
		}
		r.pending = 0
		h := *r.head
		for ; h != atomic.LoadUint32(r.end); got++ {
			c := &r.done[h&r.mask]
			if c.Res != small {
				return fmt.Errorf("a read returns %d", c.Res)
			}
			if asked < n {
				r.read(d, c.User)
				asked++
			}
			h++
			atomic.StoreUint32(r.head, h)
		}
	}
	return nil
}
