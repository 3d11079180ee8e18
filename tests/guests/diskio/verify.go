// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"golang.org/x/sys/unix"
)

// Verify reads and writes at random, each of its jobs in a part of the disk of its own,
// and compares what it reads with what it has written last.
const (
	jobs       = 4
	sectorSize = 512
	longest    = 128 // sectors of a request
)

// job is one part of a disk, in sectors. A sector that was written holds its number and
// how many requests its job had made then, over and over.
type job struct {
	fd      int
	first   uint64
	written []uint32 // by sector: the request that has written it, 0 none
	request uint32
	buffer  []byte
	random  *rand.Rand
}

// verify makes n requests in all, and then reads what was written once more.
func (d *work) verify(n int) error {
	sectors := d.size / sectorSize / jobs
	if sectors < longest || sectors > 1<<20 {
		return fmt.Errorf("the disk has %d bytes: between 256 KiB and 2 GiB are needed", d.size)
	}
	var all sync.WaitGroup
	errs := make([]error, jobs)
	for i := range jobs {
		all.Go(func() {
			j, err := newJob(d.fd, uint64(i), sectors)
			if err == nil {
				err = errors.Join(j.run(n/jobs), unix.Munmap(j.buffer))
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func newJob(fd int, i, sectors uint64) (*job, error) {
	// What is read and written around the page cache must be aligned.
	m, err := unix.Mmap(-1, 0, longest*sectorSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	return &job{fd: fd, first: i * sectors, written: make([]uint32, sectors), buffer: m, random: rand.New(rand.NewPCG(i, 1))}, nil
}

// run makes n requests: of a hundred 50 write, 47 read, and 3 have the disk write what it
// has cached.
func (j *job) run(n int) error {
	for range n {
		j.request++
		count := 1 + j.random.IntN(longest)
		at := j.random.IntN(len(j.written) - count + 1)
		var err error
		switch kind := j.random.IntN(100); {
		case kind < 50:
			err = j.write(at, count)
		case kind < 97:
			err = j.read(at, count)
		default:
			err = unix.Fdatasync(j.fd)
		}
		if err != nil {
			return err
		}
	}
	for at := 0; at < len(j.written); at += longest {
		if err := j.read(at, min(longest, len(j.written)-at)); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a sector's words.
func (j *job) fill(b []byte, sector int, request uint32) {
	for i := 0; i < sectorSize; i += 16 {
		binary.LittleEndian.PutUint64(b[i:], j.first+uint64(sector))
		binary.LittleEndian.PutUint64(b[i+8:], uint64(request)<<16|uint64(i))
	}
}

func (j *job) write(at, count int) error {
	b := j.buffer[:count*sectorSize]
	for i := range count {
		j.fill(b[i*sectorSize:], at+i, j.request)
		j.written[at+i] = j.request
	}
	n, err := unix.Pwrite(j.fd, b, int64(j.first+uint64(at))*sectorSize)
	if err != nil || n != len(b) {
		return fmt.Errorf("write of %d sectors at %d: %d bytes, %w", count, j.first+uint64(at), n, err)
	}
	return nil
}

func (j *job) read(at, count int) error {
	b := j.buffer[:count*sectorSize]
	n, err := unix.Pread(j.fd, b, int64(j.first+uint64(at))*sectorSize)
	if err != nil || n != len(b) {
		return fmt.Errorf("read of %d sectors at %d: %d bytes, %w", count, j.first+uint64(at), n, err)
	}
	var want [sectorSize]byte
	for i := range count {
		if j.written[at+i] == 0 {
			continue
		}
		j.fill(want[:], at+i, j.written[at+i])
		if got := b[i*sectorSize:][:sectorSize]; string(got) != string(want[:]) {
			return fmt.Errorf("sector %d: reads %x, not what request %d of %d wrote", j.first+uint64(at+i), got[:16], j.written[at+i], j.request)
		}
	}
	return nil
}
