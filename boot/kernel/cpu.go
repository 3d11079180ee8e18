// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/boot/mce"
	"ringo/hv/insn"
)

const (
	maxCPU = 64

	pageSize = 4096

	// A CPU's block, at layout.CPUMap: struct cpu, then its stacks, with a
	// page that is not mapped below each. An RSP within the block means that
	// the layer itself was interrupted.
	blockPages = 19
	blockSize  = blockPages * pageSize

	stackKernelTop = 5 * pageSize  // pages 2-4
	stackIRQTop    = 8 * pageSize  // pages 6-7: ordinary exceptions and interrupts
	stackPFTop     = 11 * pageSize // pages 9-10: page faults
	stackNMITop    = 13 * pageSize // page 12
	stackDFTop     = 15 * pageSize // page 14
	stackMCTop     = 17 * pageSize // page 16
	stackUDTop     = 19 * pageSize // page 18: system calls by #UD

	// idlePage is the idle thread's, behind the block.
	idlePage = 20

	// cpuMapped has a bit for each page that is mapped.
	cpuMapped = 1<<0 | 7<<2 | 3<<6 | 3<<9 | 1<<12 | 1<<14 | 1<<16 | 1<<18 | 1<<idlePage

	istIRQ = 1
	istPF  = 2
	istNMI = 3
	istDF  = 4
	istMC  = 5
	istUD  = 6

	selCode = 0x08
	selData = 0x10
	selTSS  = 0x18
)

// cpu is the per-CPU structure; GS points to it. Fields that another CPU
// touches are under klock or atomic, as said.
type cpu struct {
	self    uint64 // address of this structure; first, for self()
	cur     uint64 // running thread
	ksp     uint64 // top of the kernel stack
	scratch [4]uint64
	fpDirty uint64 // FPU registers belong to nobody: reload at the next exit

	id    uint32
	apic  uint32
	kick  uint32 // atomic; set by Kick, see KickWord
	_     uint32
	fs    uint64 // FS base in the MSR
	tlb   uint64 // atomic; generation of the last flush
	idle  uint64 // idle thread
	armed uint64 // TSC at which the timer will interrupt, 0 none

	// Under klock.
	runner   uint64 // background thread bound to this CPU, 0 none
	sliceEnd uint64 // TSC, 0 none
	deferred uint64 // the slice wants an end, see defers: 1, or more with each leave
	holdEnd  uint64 // TSC at which a preemption that was held back is due, 0 none
	armAt    uint64 // TSC wanted by Arm, 0 none
	timers   uint64 // first of the threads that sleep on this CPU's timer
	acct     uint64 // TSC of the last account()
	debt     uint64 // TSC ticks that ordinary threads owe the runner
	protect  uint64 // 1: the runner collects its debt and is not preempted
	resched  uint64 // 1: reschedule before leaving the layer

	// Statistics, written by this CPU only.
	nSyscalls, nFaults, nIRQs, nSwitches, nSignals uint64
	halts                                          uint64 // atomic; see halted

	// What other CPUs see of this one after an NMI stopped it.
	stopped                       uint32 // atomic
	_                             uint32
	nmiRIP, nmiRSP, nmiRBP, nmiCX uint64
	nmiRFlags, nmiRAX             uint64

	tls   [8]uint64 // FS points to the last word while no thread runs
	gdt   [8]uint64
	gdtr  [2]uint64 // limit and base from byte 6 on: see loadTables
	tss   [16]uint64
	batch [zapBatch]uint64 // frames of one zap round
	out   [256]byte        // console and copy buffer
	sig   sigframe
	here  frame // of fatalHere
	watch watched
	mc    mce.Report

	meet     meeting
	adjusted int64 // see Adjusted

	raised  [4]uint64 // atomic; vectors that wait for the runner, see NextIRQ
	waiting uint32    // atomic; it has been kicked for them
	_       uint32
}

var (
	cpus   [maxCPU]uint64 // *cpu by index
	nCPU   uint32         // entries of cpus in use; atomic
	online uint64         // CPUs that take interrupts; atomic
)

//go:nosplit
func cpuAt(i uint32) *cpu {
	return (*cpu)(ptr(*p64(addr(unsafe.Pointer(&cpus)) + uint64(i%maxCPU)*8)))
}

// spinlock is taken with interrupts off only and never twice by one CPU.
//
// Lock order: klock, then mmlock. mmlock is never held while memory of the Go
// program is touched, so that a page fault of the layer's own accesses can take
// it, under klock too. rnglock, conlock and serlock are leaves. A CPU that waits for a
// lock serves TLB shootdowns meanwhile, so the initiator of a shootdown, who
// holds none of them, cannot wait for ever.
//
// Whoever finds a lock free takes it, but one that has waited for claimAfter tries
// puts a claim in, and the others leave the lock to it. Without that an emulator that
// runs its CPUs in turn, and changes them in the middle of what is done under klock
// (a write to the local APIC), kept a CPU waiting for seconds. A claim is no lock: who
// puts it in does nothing but try, with interrupts off, and clears it with the try that
// succeeds; and it holds up nobody for more than claimMost tries, as one would whose CPU
// another hypervisor leaves alone, or that was reset while it tried.
type spinlock struct {
	v     uint32
	owner uint32 // CPU index + 1, for the check against recursion
	claim uint32 // CPU index + 1, 0 none; atomic
}

const (
	claimAfter = 128     // a few microseconds
	claimMost  = 1 << 13 // a hundred and more; an emulator that changes CPUs at PAUSE has been everywhere
)

//go:nosplit
func (l *spinlock) lock() {
	if atomic.LoadUint32(&l.claim) == 0 && atomic.CompareAndSwapUint32(&l.v, 0, 1) {
		l.owner = self().id + 1
		return
	}
	c := self()
	if l.owner == c.id+1 {
		fatalHere("lock taken twice")
	}
	start := insn.RDTSC()
	for n := uint64(1); !l.try(c.id+1, n); n++ {
		pollTLB(c)
		if n%pauseEvery == 0 {
			insn.PAUSE()
		}
		if n%watchSpins == 0 && lockStuck(start) {
			fatalHere("watchdog: a lock is not given back")
		}
	}
	l.owner = c.id + 1
}

// try is the nth try of a CPU (index + 1) that waits, which claims the lock in time.
//
//go:nosplit
func (l *spinlock) try(me uint32, n uint64) bool {
	first := atomic.LoadUint32(&l.claim)
	if first != 0 && first != me && n < claimMost {
		return false
	}
	if atomic.LoadUint32(&l.v) == 0 && atomic.CompareAndSwapUint32(&l.v, 0, 1) {
		if first == me {
			atomic.StoreUint32(&l.claim, 0)
		}
		return true
	}
	if first == 0 && n >= claimAfter {
		atomic.CompareAndSwapUint32(&l.claim, 0, me)
	}
	return false
}

// disclaim takes back the claim of a CPU (index + 1) that does not try any more.
//
//go:nosplit
func (l *spinlock) disclaim(who uint32) { atomic.CompareAndSwapUint32(&l.claim, who, 0) }

// lockBare is lock without the check, for what reports failures.
//
//go:nosplit
func (l *spinlock) lockBare() {
	c := self()
	for n := 1; !atomic.CompareAndSwapUint32(&l.v, 0, 1); n++ {
		pollTLB(c)
		if n%pauseEvery == 0 {
			insn.PAUSE()
		}
	}
	l.owner = c.id + 1
}

//go:nosplit
func (l *spinlock) unlock() {
	l.owner = 0
	atomic.StoreUint32(&l.v, 0)
}

var (
	klock   spinlock // threads, run queue, futexes, timers, descriptors
	mmlock  spinlock // VMAs, page tables of the lower half, frames
	rnglock spinlock
	conlock spinlock
)
