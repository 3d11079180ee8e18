// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package exercise writes a disk all over and reads it back, by a plan that follows from
// a number: whoever knows the number can say afterwards what must be on the disk.
package exercise

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"ringo/drivers/block"
	"ringo/drivers/dma"
)

// Bounds of a plan.
const (
	// Span is how much of a disk is used, from its start, in bytes.
	Span = 128 << 20
	// Most is the longest request in bytes, and Depth how many there are at a time.
	Most  = 64 << 10
	Depth = 8
)

// Step is a request of a plan.
type Step struct {
	Write  bool
	Start  uint64
	Blocks uint32
}

// Plan is a sequence of requests, without an end.
type Plan struct {
	rng    *rand.Rand
	blocks uint64
	most   uint32
}

// NewPlan makes the plan number seed for a disk.
func NewPlan(seed uint64, i block.Info) *Plan {
	size := uint64(i.BlockSize)
	return &Plan{rand.New(rand.NewPCG(seed, 0)), min(i.Blocks, Span/size), min(i.MaxBlocks, uint32(Most/size))}
}

// Blocks is how many blocks of the disk are used.
func (p *Plan) Blocks() uint64 { return p.blocks }

// Next returns the next request. Small ones are as frequent as large ones.
func (p *Plan) Next() Step {
	most := uint64(p.most)>>p.rng.UintN(8) + 1
	n := min(p.rng.Uint64N(most)+1, uint64(p.most), p.blocks)
	return Step{p.rng.UintN(3) != 0, p.rng.Uint64N(p.blocks - n + 1), uint32(n)}
}

// Fill makes what a block has after the nth write to it.
func Fill(b []byte, seed, block uint64, n uint16) {
	x := seed ^ block<<16 ^ uint64(n) ^ 0x9e3779b97f4a7c15
	for len(b) >= 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b, x)
		b = b[8:]
	}
}

// Job is a part of a plan.
type Job struct {
	Seed  uint64 // which plan
	Start uint64 // bytes of the plan that were moved before
	Size  uint64 // bytes to move
	// Flush has the disk flush now and then, and at the end: all that was written is on
	// the medium then.
	Flush bool
}

// Result is what an exercise has seen.
type Result struct {
	Reads, Writes, Failed int
	Bytes                 uint64 // read and written
}

// run is an exercise in progress.
type run struct {
	d      block.Device
	seed   uint64
	size   int
	writes []uint16 // to each block; unknown: one has failed
	res    Result
	ended  chan *request
	free   []*request
	check  []byte

	flushing bool // a flush is on its way
}

// unknown is the number of writes to a block one of which has failed.
const unknown = ^uint16(0)

type request struct {
	block.Request
	err  error
	busy bool
	all  dma.Segment
}

// flushEvery is how many requests there are between flushes.
const flushEvery = 16

// Run does a part of a plan, and compares what it reads with what it, or the parts
// before it, have written. Requests that fail are counted, and end it when there are too
// many. Data is Depth times Most bytes.
func Run(d block.Device, data dma.Segment, j Job) (Result, error) {
	info := d.Info()
	p := NewPlan(j.Seed, info)
	if p.blocks == 0 {
		return Result{}, fmt.Errorf("there are no blocks: %w", block.ErrInvalid)
	}
	r := &run{d: d, seed: j.Seed, size: info.BlockSize, writes: make([]uint16, p.blocks), ended: make(chan *request, Depth+1), check: make([]byte, info.BlockSize)}
	p.Skip(j.Start, r.size, r.writes)
	all := make([]*request, Depth)
	for i := range all {
		q := &request{all: data.Slice(i*Most, (i+1)*Most)}
		q.Done = func(_ *block.Request, err error) {
			q.err = err
			r.ended <- q
		}
		all[i] = q
		r.free = append(r.free, q)
	}
	idle := func() bool { return len(r.free) == Depth && !r.flushing }
	defer func() { // where it ends early, others are on their way, in data that is given back
		for !idle() {
			_ = r.end(<-r.ended)
		}
	}()
	for n := 0; r.res.Bytes < j.Size; n++ {
		s := p.Next()
		if err := r.wait(func() bool { return len(r.free) > 0 && !overlaps(all, s) }); err != nil {
			return r.res, err
		}
		r.begin(s, n%d.Queues())
		if j.Flush && n%flushEvery == flushEvery-1 && !r.flushing {
			r.beginFlush(n % d.Queues()) // of what has ended, while others are on their way
		}
	}
	if err := r.wait(idle); err != nil || !j.Flush {
		return r.res, err
	}
	r.beginFlush(0)
	return r.res, r.wait(idle)
}

// wait takes what ends until ok says that it is enough.
func (r *run) wait(ok func() bool) error {
	for !ok() {
		if err := r.end(<-r.ended); err != nil {
			return err
		}
	}
	return nil
}

// Skip goes on by a number of bytes, and counts the writes to each block.
func (p *Plan) Skip(bytes uint64, blockSize int, writes []uint16) {
	for done := uint64(0); done < bytes; {
		s := p.Next()
		for i := range uint64(s.Blocks) {
			if s.Write {
				writes[s.Start+i]++
			}
		}
		done += uint64(s.Blocks) * uint64(blockSize)
	}
}

// beginFlush has the disk flush.
func (r *run) beginFlush(queue int) {
	r.flushing = true
	q := new(request)
	q.Op, q.Done = block.Flush, func(_ *block.Request, err error) {
		q.err = err
		r.ended <- q
	}
	r.d.Submit(queue, &q.Request)
}

// overlaps reports whether a request is on its way that has a block of s.
func overlaps(all []*request, s Step) bool {
	for _, q := range all {
		if q.busy && s.Start < q.Start+uint64(q.Blocks) && q.Start < s.Start+uint64(s.Blocks) {
			return true
		}
	}
	return false
}

func (r *run) begin(s Step, queue int) {
	q := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	data := q.all.Slice(0, int(s.Blocks)*r.size)
	q.busy, q.Op, q.Start, q.Blocks = true, block.Read, s.Start, s.Blocks
	q.Data = append(q.Data[:0], data)
	r.res.Bytes += uint64(len(data.Bytes))
	if s.Write {
		q.Op = block.Write
		r.res.Writes++
		for i := range uint64(s.Blocks) {
			n := &r.writes[s.Start+i]
			if *n != unknown {
				*n++
			}
			Fill(data.Bytes[int(i)*r.size:][:r.size], r.seed, s.Start+i, *n)
		}
	} else {
		r.res.Reads++
	}
	r.d.Submit(queue, &q.Request)
}

// maxFailed requests that have failed end an exercise.
const maxFailed = 100

// end takes a request that is finished, and compares what was read.
func (r *run) end(q *request) error {
	if q.Op == block.Flush {
		r.flushing = false
		return q.err
	}
	q.busy = false
	r.free = append(r.free, q)
	if q.err != nil {
		r.res.Failed++
		if q.Op == block.Write {
			for i := range uint64(q.Blocks) {
				r.writes[q.Start+i] = unknown
			}
		}
		if r.res.Failed >= maxFailed {
			return fmt.Errorf("%d requests have failed, the last: %w", r.res.Failed, q.err)
		}
		return nil
	}
	if q.Op == block.Write {
		return nil
	}
	for i := range uint64(q.Blocks) {
		n := r.writes[q.Start+i]
		if n == 0 || n == unknown {
			continue
		}
		Fill(r.check, r.seed, q.Start+i, n)
		if string(r.check) != string(q.Data[0].Bytes[int(i)*r.size:][:r.size]) {
			return fmt.Errorf("block %d is not what was written to it", q.Start+i)
		}
	}
	return nil
}
