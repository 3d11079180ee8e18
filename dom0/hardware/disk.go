// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hardware

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"ringo/drivers/block"
	"ringo/drivers/block/exercise"
	"ringo/drivers/dma"
)

// Disk is a disk of the machine, which counts what is asked of it.
type Disk struct {
	block.Device
	Name   string
	reader *block.Reader
	health func() error
	counts [block.WriteZeroes + 1]atomic.Uint64
	errors atomic.Uint64
	ended  func(*block.Request, error) // count, made once
}

// AddDisk takes up a disk that the function has. Its name is the function's with a
// suffix. health says why it does not work any more; nil means that it does.
func (f *Function) AddDisk(suffix string, d block.Device, health func() error) {
	f.h.AddDisk(f.Name+suffix, d, health)
}

// AddDisk takes up a disk that is no function's. It takes the place of one with its name
// that works no more.
func (h *Hardware) AddDisk(name string, d block.Device, health func() error) {
	x := &Disk{Device: d, Name: name, health: health}
	x.ended = x.count
	if h.cache != nil {
		x.reader = h.cache.Reader(x)
	}
	h.mu.Lock()
	h.disks = slices.DeleteFunc(h.disks, func(d *Disk) bool { return d.Name == name && d.Health() != nil })
	h.disks = append(h.disks, x)
	slices.SortFunc(h.disks, func(a, b *Disk) int { return cmp.Compare(a.Name, b.Name) })
	h.mu.Unlock()
}

// Disks returns all disks, by name, when all drivers have started.
func (h *Hardware) Disks() []*Disk {
	h.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.disks)
}

// Disk returns the one with a name, or nil.
func (h *Hardware) Disk(name string) *Disk {
	for _, d := range h.Disks() {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// Reader is the disk's content, for files on it; nil if there is no memory for that.
func (d *Disk) Reader() *block.Reader { return d.reader }

// Health returns why the disk does not work any more, or nil.
func (d *Disk) Health() error { return d.health() }

// Errors is how many requests have failed.
func (d *Disk) Errors() uint64 { return d.errors.Load() }

// Count is how often an operation was asked for.
func (d *Disk) Count(op block.Op) uint64 { return d.counts[op].Load() }

// Submit implements [block.Device].
func (d *Disk) Submit(queue int, r *block.Request) {
	if r.Op <= block.WriteZeroes {
		d.counts[r.Op].Add(1)
	}
	r.Wrap(d.ended)
	d.Device.Submit(queue, r)
}

// count counts a request that has ended, and ends it.
func (d *Disk) count(r *block.Request, err error) {
	if err != nil {
		d.errors.Add(1)
	}
	r.Unwrap(err)
}

// do makes a request and waits for its end.
func (d *Disk) do(r block.Request) error {
	end := make(chan error, 1)
	r.Done = func(_ *block.Request, err error) { end <- err }
	d.Submit(0, &r)
	return <-end
}

// bufferSize is what Read and Exercise move data in, in bytes.
const bufferSize = 1 << 20

// Read calls f with size bytes of a disk from start on, a piece at a time; both are
// multiples of its block size.
func (h *Hardware) Read(d *Disk, start, size uint64, f func([]byte) error) error {
	h.buffer.Lock()
	defer h.buffer.Unlock()
	info := d.Info()
	block64 := uint64(info.BlockSize)
	if start%block64 != 0 || size%block64 != 0 {
		return ErrRange
	}
	if end := info.Blocks * block64; start > end || size > end-start {
		return ErrRange
	}
	for most := min(bufferSize, uint64(info.MaxBlocks)*block64); size > 0; {
		n := min(size, most)
		data := h.data.Slice(0, int(n))
		r := block.Request{Op: block.Read, Start: start / block64, Blocks: uint32(n / block64), Data: []dma.Segment{data}}
		if err := d.do(r); err != nil {
			return err
		}
		if err := f(data.Bytes); err != nil {
			return err
		}
		start, size = start+n, size-n
	}
	return nil
}

// Exercise writes a disk all over and reads it back: a part of a plan, see [exercise.Job].
func (h *Hardware) Exercise(d *Disk, seed, start, size uint64, flush bool) (exercise.Result, error) {
	h.buffer.Lock()
	defer h.buffer.Unlock()
	return exercise.Run(d, h.data, exercise.Job{Seed: seed, Start: start, Size: size, Flush: flush})
}

// Speed asks a disk count times for op, depth requests at a time of which each is waited
// for: for size bytes at random places, or to flush.
func (h *Hardware) Speed(d *Disk, op block.Op, size uint64, depth, count int) error {
	i := d.Info()
	blocks := size / uint64(i.BlockSize)
	if size == 0 || size%uint64(i.BlockSize) != 0 || blocks > min(i.Blocks, uint64(i.MaxBlocks)) || depth < 1 || size > bufferSize/uint64(depth) {
		return ErrRange
	}
	h.buffer.Lock()
	defer h.buffer.Unlock()
	var wait sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(count))
	errs := make([]error, depth)
	for n := range depth {
		data := []dma.Segment{h.data.Slice(n*int(size), (n+1)*int(size))}
		wait.Go(func() { errs[n] = d.goOn(op, n, data, blocks, i.Blocks/blocks, &left) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// goOn does op, at one of so many places, until nothing is left to be done, or something
// fails.
func (d *Disk) goOn(op block.Op, n int, data []dma.Segment, blocks, places uint64, left *atomic.Int64) error {
	rng := rand.New(rand.NewPCG(uint64(n), 0))
	end := make(chan error, 1)
	r := block.Request{Done: func(_ *block.Request, err error) { end <- err }}
	for left.Add(-1) >= 0 {
		if r.Op = op; op != block.Flush {
			r.Start, r.Blocks, r.Data = rng.Uint64N(places)*blocks, uint32(blocks), data
		}
		d.Submit(n%d.Queues(), &r)
		if err := <-end; err != nil {
			return err
		}
	}
	return nil
}

// ErrRange is a range that is not one of whole blocks of the disk.
var ErrRange = errors.New("not whole blocks of the disk")
