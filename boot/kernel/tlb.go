// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"

	"ringo/hv/insn"
)

// tlbGen counts changes of the page tables that took something away. A CPU
// whose cpu.tlb has reached a generation has flushed its TLB since.
var tlbGen uint64

// pollTLB flushes this CPU's TLB if a shootdown asks for it. It is called by
// the interrupt and wherever the layer waits with interrupts off.
//
//go:nosplit
func pollTLB(c *cpu) {
	if g := atomic.LoadUint64(&tlbGen); atomic.LoadUint64(&c.tlb) < g {
		insn.SetCR3(insn.CR3())
		atomic.StoreUint64(&c.tlb, g)
	}
}

// shootdown returns when no CPU has a translation in its TLB that was removed
// from the page tables before. Preconditions: no lock is held: other CPUs may
// have to get theirs before they answer.
//
//go:nosplit
func shootdown(c *cpu) {
	g := atomic.AddUint64(&tlbGen, 1)
	pollTLB(c)
	for i := uint32(0); i < atomic.LoadUint32(&nCPU); i++ {
		if o := cpuAt(i); o != c && isOnline(i) && atomic.LoadUint64(&o.tlb) < g {
			sendIPI(o.apic, vecTLB)
		}
	}
	for i := uint32(0); i < atomic.LoadUint32(&nCPU); i++ {
		o := cpuAt(i)
		for o != c && isOnline(i) && atomic.LoadUint64(&o.tlb) < g {
			pollTLB(c)
			insn.PAUSE()
		}
	}
}

//go:nosplit
func atomicOnline() uint64 { return atomic.LoadUint64(&online) }

//go:nosplit
func isOnline(i uint32) bool { return atomicOnline()>>(i&63)&1 != 0 }
