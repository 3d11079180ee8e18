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

// CPU is the hypervisor's record of one physical CPU. Only its runner writes the
// trace; others read it while it changes, which is good enough for people.
type CPU struct {
	ID     int
	Timers Timers
	// Attention is the word that makes the CPU's runner look around before it
	// enters the vCPU that runs here, or ran last. It is the runner's.
	Attention *atomic.Uint32

	seq  uint64
	ring [traceLen]abi.TraceRecord
}

// Tag is what names a vCPU in a trace record.
func Tag(dom uint32, vc int) uint32 { return dom&0xffff | uint32(vc)<<16 }

// Record keeps one exit of the vCPU of tag, and why it happened, in the trace
// ring.
func (c *CPU) Record(tag uint32, why vcpu.Reason, x *vcpu.Exit) {
	seq := c.seq
	c.seq = seq + 1
	r := &c.ring[seq%traceLen]
	r.TSC, r.RIP, r.Info = x.TSC, x.RIP, x.Raw[1]
	r.Domain, r.VCPU = uint16(tag), uint16(tag>>16)
	r.Reason = uint16(why)
}

// Progress is a word that changes with each exit.
func (c *CPU) Progress() *uint64 { return &c.seq }

// Amend changes the information of the exit that was recorded last.
func (c *CPU) Amend(info uint64) { c.ring[(c.seq-1)%traceLen].Info = info }

// Trace copies the newest records to out, oldest first, and returns how many.
// Records written meanwhile may be torn.
func (c *CPU) Trace(out []abi.TraceRecord) int {
	n := min(uint64(len(out)), c.seq, traceLen)
	for i := range n {
		out[i] = c.ring[(c.seq-n+i)%traceLen]
	}
	return int(n)
}
