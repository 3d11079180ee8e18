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
}

// unknown is the number of writes to a block one of which has failed.
const unknown = ^uint16(0)

type request struct {
	block.Request
	err  error
	busy bool
	all  dma.Segment
}

// Run moves size bytes by plan number seed, and compares what it reads with what it has
// written. Requests that fail are counted, and end it when there are too many. Data is Depth times Most bytes.
func Run(d block.Device, data dma.Segment, seed, size uint64) (Result, error) {
	info := d.Info()
	p := NewPlan(seed, info)
	r := &run{d: d, seed: seed, size: info.BlockSize, writes: make([]uint16, p.blocks), ended: make(chan *request, Depth), check: make([]byte, info.BlockSize)}
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
	queue := 0
	for r.res.Bytes < size {
		s := p.Next()
		for len(r.free) == 0 || overlaps(all, s) {
			if err := r.end(<-r.ended); err != nil {
				return r.res, err
			}
		}
		r.begin(s, queue)
		queue = (queue + 1) % d.Queues()
	}
	for len(r.free) < Depth {
		if err := r.end(<-r.ended); err != nil {
			return r.res, err
		}
	}
	return r.res, nil
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
