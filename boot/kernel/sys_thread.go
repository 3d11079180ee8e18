// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"
	"unsafe"

	"ringo/hv/insn"
	"ringo/hv/x86"
)

const cloneSetTLS = 0x80000

//go:nosplit
func sysClone(c *cpu, t *thread) uint64 {
	const threadFlags = 0x100 | 0x10000 // CLONE_VM, CLONE_THREAD
	if t.f.rdi&threadFlags != threadFlags {
		return neg(eINVAL) // no processes here
	}
	klock.lock()
	n := newThread()
	if n == nil {
		klock.unlock()
		return neg(eAGAIN)
	}
	n.f = t.f
	n.f.rax = 0
	n.f.rsp = t.f.rsi
	n.fs = t.fs
	if t.f.rdi&cloneSetTLS != 0 {
		n.fs = t.f.r8
	}
	n.mask = t.mask
	n.aff = t.aff
	if t.class == clsRunner {
		n.aff = ^uint64(0)
	}
	n.cpu = c.id
	id := uint64(n.tid)
	ready(n, false)
	klock.unlock()
	return id
}

//go:nosplit
func sysExit(c *cpu, t *thread) uint64 {
	klock.lock()
	if c.runner == t.addr() {
		c.runner = 0
	}
	t.state = stFree
	threadUsed--
	threadFree.push(t)
	reschedule(c)
	klock.unlock()
	return keepRAX
}

//go:nosplit
func sysExitGroup(c *cpu, t *thread) uint64 {
	exitGroup(c, t, int32(t.f.rdi))
	return 0
}

//go:nosplit
func sysYield(c *cpu, t *thread) uint64 {
	t.f.rax = 0
	klock.lock()
	reschedule(c)
	klock.unlock()
	return keepRAX
}

//go:nosplit
func sysNanosleep(c *cpu, t *thread) uint64 {
	if ns, ok := userTimespec(t.f.rdi); ok && inPartition() && brief(ns, atomicOnline(), atomic.LoadUint64(&idleMask), c.id) {
		return sysYield(c, t)
	}
	return sleep(c, t, t.f.rdi, false)
}

// briefNS is how long the Go runtime's scheduler sleeps before it takes a goroutine that
// another P has just made ready, so that this one can run it (runtime, runqgrab).
const briefNS = 3_000

// brief reports whether a sleep of ns is only to let others run, and no other CPU
// does run one: then they have had their turn when nobody is ready. In a partition the
// timer, the halt and the interrupt are some 12,000 instructions.
//
//go:nosplit
func brief(ns, online, idle uint64, self uint32) bool {
	return ns <= briefNS && online&^idle&^(1<<(self&63)) == 0
}

// The Go runtime's monitor sleeps for monitorNS while nobody needs it (runtime,
// sysmon), and then asks every goroutine that has run since it looked last to stop.
// A runner's always has: its guest's run ends, and its thread waits until another one
// has passed its P back to it, for some 15,000 instructions. So the monitor sleeps
// for monitorSlowNS. There are more Ps than threads that never give theirs back, so that
// others seldom depend on it; a collection of garbage stops them without it.
const monitorNS, monitorSlowNS = 10_000_000, 40_000_000

// sleepFor is how long a thread sleeps that asks for ns.
//
//go:nosplit
func sleepFor(ns uint64) uint64 {
	if ns == monitorNS {
		return monitorSlowNS
	}
	return ns
}

const timerAbstime = 1

//go:nosplit
func sysClockNanosleep(c *cpu, t *thread) uint64 {
	return sleep(c, t, t.f.rdx, t.f.rsi&timerAbstime != 0)
}

//go:nosplit
func sleep(c *cpu, t *thread, ts uint64, absolute bool) uint64 {
	ns, ok := userTimespec(ts)
	if !ok {
		return neg(eFAULT)
	}
	if absolute {
		now := Nanotime()
		if t.f.rdi == clockRealtime {
			now += wallOff
		}
		if ns <= now {
			return 0
		}
		ns -= now
	}
	t.f.rax = 0
	klock.lock()
	if t.pending&^t.mask != 0 {
		klock.unlock()
		return neg(eINTR)
	}
	block(c, t, stSleep, deadlineIn(sleepFor(ns)))
	klock.unlock()
	return keepRAX
}

const archSetFS = 0x1002

//go:nosplit
func sysArchPrctl(c *cpu, t *thread) uint64 {
	if t.f.rdi != archSetFS || t.f.rsi>>47 != 0 {
		return neg(eINVAL)
	}
	t.fs, c.fs = t.f.rsi, t.f.rsi
	insn.WRMSR(x86.MSRFSBase, t.fs)
	return 0
}

//go:nosplit
func sysSetaffinity(c *cpu, t *thread) uint64 {
	m, ok := userLoad64(t.f.rdx)
	if !ok || t.f.rsi < 8 {
		return neg(eINVAL)
	}
	klock.lock()
	n := t
	if t.f.rdi != 0 {
		n = threadByID(t.f.rdi)
	}
	r := uint64(0)
	switch {
	case n == nil:
		r = neg(eSRCH)
	case m&atomicOnline() == 0 || n.class != clsOrdinary:
		r = neg(eINVAL)
	default:
		n.aff = m
		if n.state == stRunning && m>>(n.cpu&63)&1 == 0 {
			poke(cpuAt(n.cpu))
		}
		if n.state == stReady { // who would have come to it may no longer
			runq.remove(n)
			ready(n, false)
		}
	}
	klock.unlock()
	return r
}

//go:nosplit
func sysGetaffinity(c *cpu, t *thread) uint64 {
	if t.f.rsi < 8 {
		return neg(eINVAL)
	}
	if !userStore64(t.f.rdx, atomicOnline()&t.aff) {
		return neg(eFAULT)
	}
	return 8
}

const (
	utsField  = 65
	utsFields = 6
)

//go:nosplit
func sysUname(c *cpu, t *thread) uint64 {
	b := addr(unsafe.Pointer(&c.out)) // 256 bytes; the fields go one by one
	for i := uint64(0); i < utsFields; i++ {
		s := "ringo"
		switch i {
		case 0:
			s = "Linux"
		case 2:
			s = "6.1.0"
		case 4:
			s = "x86_64"
		}
		stosq(b, 9, 0)
		for j := uint64(0); j < uint64(len(s)); j++ {
			*p8(b + j) = s[j]
		}
		if !copyOut(t.f.rdi+i*utsField, ptr(b), utsField) {
			return neg(eFAULT)
		}
	}
	return 0
}
