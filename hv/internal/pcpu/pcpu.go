// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pcpu

import (
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/vcpu"
)

// traceLen is the number of exits a CPU remembers, a power of two.
const traceLen = 1024

// CPU is the hypervisor's record of one physical CPU. Only its runner writes
// counters and trace; others read them while they change, which is good enough
// for statistics.
type CPU struct {
	ID     int
	Timers Timers
	// Entered counts returns to the run loop: another CPU that saw it change
	// knows that this one has looked at its work flags since.
	Entered atomic.Uint64

	counts [vcpu.NumReasons]uint64
	seq    uint64
	ring   [traceLen]abi.TraceRecord
}

// Record counts one exit and keeps it in the trace ring.
func (c *CPU) Record(tsc uint64, dom uint32, vc int, x *vcpu.Exit) {
	if x.Reason < vcpu.NumReasons {
		c.counts[x.Reason]++
	}
	r := &c.ring[c.seq%traceLen]
	c.seq++
	r.TSC, r.RIP, r.Info = tsc, x.RIP, x.Raw[1]
	r.Domain, r.VCPU, r.Reason = uint16(dom), uint16(vc), uint16(x.Reason)
}

// AddCounts adds the CPU's exit counters to total, by reason.
func (c *CPU) AddCounts(total *[vcpu.NumReasons]uint64) {
	for i := range c.counts {
		total[i] += c.counts[i]
	}
}

// Trace copies the newest records to out, oldest first, and returns how many.
// Records written meanwhile may be torn.
func (c *CPU) Trace(out []abi.TraceRecord) int {
	n := min(uint64(len(out)), c.seq, traceLen)
	for i := range n {
		out[i] = c.ring[(c.seq-n+i)%traceLen]
	}
	return int(n)
}
