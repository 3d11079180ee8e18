// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/hv/abi"
	"ringo/hv/insn"
)

// irq is one interrupt vector, under klock.
type irq struct {
	count  uint64 // interrupts so far
	seen   uint64 // of them, taken by a reader
	waiter uint64 // thread in WaitIRQ
	fd     uint64 // descriptor, 0 none
}

var irqs [256]irq

//go:nosplit
func irqAt(vector uint64) *irq {
	return (*irq)(ptr(addr(unsafe.Pointer(&irqs)) + vector%256*uint64(unsafe.Sizeof(irq{}))))
}

//go:nosplit
func deviceIRQ(vector uint64) {
	if vector == uint64(atomic.LoadUint32(&serial.vector)) {
		serialIRQ()
	}
	klock.lock()
	q := irqAt(vector)
	if vector == abi.DeviceVector && q.fd == 0 {
		q = irqAt(abi.UpcallVector) // whose thread looks at devices as well
	}
	q.count++
	if q.waiter != 0 {
		t := thr(q.waiter)
		n := q.count - q.seen
		q.seen = q.count
		unblock(t, 0, true)
		t.f.rax = n
	} else if q.fd != 0 {
		epollNotify(q.fd)
	}
	klock.unlock()
}

//go:nosplit
func ownOpenIRQ(c *cpu, t *thread) uint64 {
	v := t.f.rdi
	if v < vecFirst || v > vecLast {
		return neg(eINVAL)
	}
	klock.lock()
	q := irqAt(v)
	r := neg(eBUSY)
	if q.fd == 0 && q.waiter == 0 {
		r = fdNew(fdIRQ)
		if f := fdAt(r); f != nil {
			f.vector = v
			q.fd = r
		}
	}
	klock.unlock()
	return r
}

// ownRaise (vector).
//
//go:nosplit
func ownRaise(c *cpu, t *thread) uint64 {
	deviceIRQ(t.f.rdi & 255)
	return 0
}

// ownWaitIRQ (vector, deadline) returns the number of interrupts since the last
// time, 0 when it gave up.
//
//go:nosplit
func ownWaitIRQ(c *cpu, t *thread) uint64 {
	v := t.f.rdi
	if v < vecFirst || v > vecLast {
		return 0
	}
	stop := preempted(t)
	klock.lock()
	q := irqAt(v)
	n := q.count - q.seen
	if n != 0 || stop || q.waiter != 0 || q.fd != 0 || t.pending&^t.mask != 0 ||
		t.f.rsi != 0 && t.f.rsi <= insn.RDTSC() {
		q.seen = q.count
		klock.unlock()
		return n
	}
	q.waiter = t.addr()
	t.vector = v
	t.f.rax = 0
	block(c, t, stWait, t.f.rsi)
	klock.unlock()
	return keepRAX
}
