// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"sync/atomic"

	"ringo/hv/insn"
)

// stackPreempt is what the Go runtime stores in g.stackguard0 to ask for a
// preemption, and guardOffset where that field is in a g (R14). A test checks
// both against the toolchain.
const (
	stackPreempt = 0xffff_ffff_ffff_fade
	guardOffset  = 16
)

// preempted reports whether the runtime wants the current thread's goroutine to
// stop. The thread has made a system call by enter, so R14 is its g.
//
//go:nosplit
func preempted(t *thread) bool {
	v, ok := userLoad64(t.f.r14 + guardOffset)
	return ok && v == stackPreempt
}

// ownRunner (cpu) makes the calling thread the runner of a CPU.
//
//go:nosplit
func ownRunner(c *cpu, t *thread) uint64 {
	i := t.f.rdi
	if i >= maxCPU || !isOnline(uint32(i)) || t.class != clsOrdinary {
		return neg(eINVAL)
	}
	klock.lock()
	o := cpuAt(uint32(i))
	if o.runner != 0 {
		klock.unlock()
		return neg(eBUSY)
	}
	o.runner = t.addr()
	t.aff = 1 << (i & 63)
	t.f.rax = 0
	// Leave as an ordinary thread that blocks, come back as a runner.
	t.state = stSleep
	c.resched = 1
	account(c, insn.RDTSC())
	t.class = clsRunner
	ready(t, false)
	reschedule(c)
	klock.unlock()
	return keepRAX
}

// ownLeave makes the calling runner an ordinary thread.
//
//go:nosplit
func ownLeave(c *cpu, t *thread) uint64 {
	if t.class != clsRunner {
		return neg(eINVAL)
	}
	klock.lock()
	account(c, insn.RDTSC())
	c.runner, c.debt, c.protect = 0, 0, 0
	t.class, t.aff = clsOrdinary, ^uint64(0)
	t.f.rax = 0
	reschedule(c)
	klock.unlock()
	return keepRAX
}

// ownWait (deadline) blocks the runner of this CPU.
//
//go:nosplit
func ownWait(c *cpu, t *thread) uint64 {
	stop := preempted(t)
	deadline := t.f.rdi
	klock.lock()
	if atomic.SwapUint32(&c.kick, 0) != 0 || stop || t.class != clsRunner ||
		t.pending&^t.mask != 0 || deadline != 0 && deadline <= insn.RDTSC() {
		klock.unlock()
		return 0
	}
	c.debt, c.protect = 0, 0
	t.f.rax = 0
	block(c, t, stWait, deadline)
	klock.unlock()
	return keepRAX
}

// kickIRQ wakes the runner if it is in Wait. The sender has set c.kick.
//
//go:nosplit
func kickIRQ(c *cpu) {
	if c.runner == 0 {
		return
	}
	klock.lock()
	kicked(c, false)
	klock.unlock()
}

// kicked ends the runner's Wait, or else, if set says so, makes the next one
// return. The flag must never stay set while the runner waits: Kick sends no
// interrupt then. Preconditions: klock, own CPU.
//
//go:nosplit
func kicked(c *cpu, set bool) {
	if c.runner != 0 {
		if t := thr(c.runner); t.state == stWait && t.vector == 0 {
			atomic.StoreUint32(&c.kick, 0)
			unblock(t, 0, true)
			return
		}
	}
	if set {
		atomic.StoreUint32(&c.kick, 1)
	}
}

// ownArm (deadline) makes the timer of this CPU interrupt by then.
//
//go:nosplit
func ownArm(c *cpu, t *thread) uint64 {
	klock.lock() // or another CPU ends a sleep of this one's list under our eyes
	c.armAt = t.f.rdi
	rearm(c, insn.RDTSC())
	klock.unlock()
	return 0
}
