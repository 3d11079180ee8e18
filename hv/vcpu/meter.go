// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcpu

import (
	"math/bits"
	"sync/atomic"
)

// Cost is what the exits of one reason cost: cycles of the time-stamp counter from
// the exit to the next entry. The entry code adds to it, while others read.
type Cost struct {
	Count  uint64
	Cycles uint64 // their sum; of one exit it takes 32 bits
	// Hist counts exits by the magnitude of their cost: entry i those of
	// 2^(i+4) to 2^(i+5)-1 cycles, the first one also cheaper ones. A count
	// that is full stays so.
	Hist [HistLen]uint32
}

// The histogram.
const (
	// HistLen is the number of magnitudes, HistFirst the binary logarithm of the first.
	HistLen   = 28
	HistFirst = 4
	// CostShift is the binary logarithm of the size of a Cost in bytes.
	CostShift = 7
)

// Costs is what exits cost, by reason. The last entry takes the first entry of a
// vCPU, which no exit precedes.
type Costs [NumReasons + 1]Cost

// Meter is the entry code's part of the measurement. It lies in memory of the
// backend, as do the costs.
//
// At an exit the backend stores the time, and says where the cost of the exit's
// reason is to be added; the entry code adds at the next entry. Time during which
// others have the CPU does not count: whoever takes the vCPU off it, and brings it
// back, says so.
type Meter struct {
	Row  uint64 // address of the Cost that the next entry adds to
	TSC  uint64 // of the exit, later by what the vCPU was away since
	left uint64
}

// Start makes the next entry the first one.
//
// Preconditions: at is the address of the vCPU's Costs.
func (m *Meter) Start(at uint64) { m.Row = at + uint64(NumReasons)<<CostShift }

// Exit says why the run ended, for the vCPU whose Costs are at the address at.
func (m *Meter) Exit(at uint64, why Reason) { m.Row = at + uint64(why)<<CostShift }

// Leave says that the vCPU gives its CPU up, at a time (TSC).
func (m *Meter) Leave(now uint64) { m.left = now }

// Return says that it has a CPU again.
func (m *Meter) Return(now uint64) { m.TSC += now - m.left }

// Add adds a cost as the entry code does; it is for backends that have none.
func (c *Cost) Add(cycles uint64) {
	cycles &= 0xffff_ffff
	atomic.AddUint64(&c.Count, 1)
	atomic.AddUint64(&c.Cycles, cycles)
	if n := &c.Hist[Magnitude(cycles)]; *n != ^uint32(0) {
		atomic.AddUint32(n, 1)
	}
}

// Magnitude is the index in Hist of an exit that took so many cycles, of which it
// takes 32 bits.
func Magnitude(cycles uint64) int {
	return bits.Len32(uint32(cycles)|1<<HistFirst) - 1 - HistFirst
}

// Quantile is a number of cycles that a share of q in 1000 of the exits, or more, did
// not exceed: the upper end of a magnitude, so less than twice the true one.
func (c *Cost) Quantile(q uint64) (cycles uint64) {
	total, below := uint64(0), uint64(0)
	for _, n := range &c.Hist {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	for i, n := range &c.Hist {
		if below += uint64(n); below*1000 >= total*q {
			return 2<<(HistFirst+i) - 1
		}
	}
	return 2<<(HistFirst+HistLen-1) - 1
}

// AddTo adds c, whose vCPU may run, to sum.
func (c *Cost) AddTo(sum *Cost) {
	sum.Count += atomic.LoadUint64(&c.Count)
	sum.Cycles += atomic.LoadUint64(&c.Cycles)
	for i := range c.Hist {
		n := atomic.LoadUint32(&c.Hist[i])
		sum.Hist[i] += min(n, ^sum.Hist[i])
	}
}
