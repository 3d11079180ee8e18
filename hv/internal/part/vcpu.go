// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync"
	"sync/atomic"

	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/pvclock"
	"ringo/hv/internal/sched"
	"ringo/hv/internal/vlapic"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// State is where a vCPU is in its life.
//
//	Parked --Start--> Runnable --Begin--> Running --Block--> Blocked
//	   ^                 ^  ^----Yield-------'                  |
//	   '----- Park ------'-------------- wake -----------------'
type State uint32

// The states. Everything but Running means that no CPU touches the vCPU.
const (
	Parked   State = iota // not to be scheduled: paused, stopping, not started
	Runnable              // in a run queue
	Running               // its runner owns it
	Blocked               // waits for what wakeable names
)

// Wait is what a vCPU that does not execute waits for.
type Wait uint8

// The reasons to wait.
const (
	WaitNothing Wait = iota
	WaitHalt         // HLT: an interrupt
	WaitIO           // dom0 answers an access
	WaitSIPI         // start-up message (SDM Vol. 3, "Multiple-Processor Initialization")
)

// VCPU is one virtual CPU of a domain.
type VCPU struct {
	HW   vcpu.VCPU
	Regs *x86.Regs // HW's
	// Meter is HW's.
	Meter *vcpu.Meter
	APIC  *vlapic.LAPIC
	CPUID *policy.CPUID // Dom's
	Dom   *Domain
	ID    int
	Tag   uint32 // domain and vCPU as pcpu.Record wants them
	// Exit is the last exit; it lives here because arguments that pass through
	// an interface escape to the heap.
	Exit vcpu.Exit
	// Sched is the scheduler's record; Owner of it is this VCPU.
	Sched sched.Entity

	// What CPUID and MSR accesses read and change. They are the runner's.
	View   policy.View
	Stored policy.Storage
	Time   policy.Counter
	// ExtINT is a vector that the 8259A was acknowledged for and that the guest
	// has not taken yet, 0 = none. It is the runner's.
	ExtINT uint8
	// IO is the access that dom0 is answering, while wait is WaitIO.
	IO   Pending
	wait Wait // written by the runner only

	attention atomic.Uint32
	ioDone    atomic.Bool
	due       atomic.Bool // a timer's deadline has passed or moved
	paused    atomic.Bool // the guest does not know yet
	kicked    atomic.Bool // see KickCPU
	nmi       atomic.Bool
	initReq   atomic.Bool
	sipi      atomic.Uint32 // sipiPending | page number, or sipiDeaf
	started   atomic.Bool   // by one, or directly, since it was reset

	// mu is locked after Domain.mu and the locks of virtual devices (which post
	// interrupts while they hold theirs), before those of sched and pcpu. So no
	// device is called with it held.
	mu    sync.Mutex
	state atomic.Uint32
	cpu   *pcpu.CPU // where it runs, or whose list has the timer
	timer pcpu.Timer
	woken uint64 // TSC when timer last expired; written while v is Blocked

	waiting waiting
	eoi     eoiWord
	clock   pvclock.Clock
	base    pvclock.Base // what publishTime writes
	began   uint64       // TSC at Begin
	cpuTime atomic.Uint64
	// costs is HW's until it is freed, then nil: under Domain.mu.
	costs *vcpu.Costs
	// rounds counts returns to the run loop: who saw it change knows that v
	// has been out of the guest since.
	rounds atomic.Uint64
}

// State returns the state at this moment.
func (v *VCPU) State() State { return State(v.state.Load()) }

// Wait returns what the vCPU waits for. It is for its runner.
func (v *VCPU) Wait() Wait { return v.wait }

// SetWait sets it. It is for its runner, or for anybody while v is Parked.
func (v *VCPU) SetWait(w Wait) { v.wait = w }

// Attention reports whether the run loop must look at v before the next entry:
// an event to deliver, a timer, a request to stop. It is the only word the fast
// path checks; the entry code of the backend checks it again with host
// interrupts off.
func (v *VCPU) Attention() bool { return v.attention.Load() != 0 }

// TakeAttention clears the word. It is for v's runner, outside the guest.
func (v *VCPU) TakeAttention() {
	v.attention.Store(0)
	v.rounds.Add(1)
}

// SetAttention makes the run loop look at v again. It is for v's runner.
func (v *VCPU) SetAttention() { v.attention.Store(1) }

// Notify makes sure that v's runner sees what the caller has just posted: it
// wakes v when that is what it waits for, or makes it leave the guest. It may
// be called from any CPU.
func (v *VCPU) Notify() { v.notify(false) }

// NotifyHere is [VCPU.Notify] by a runner whose own vCPU is about to wait for v:
// v wakes up on the same CPU.
func (v *VCPU) NotifyHere() { v.notify(true) }

func (v *VCPU) notify(here bool) {
	v.attention.Store(1)
	v.mu.Lock()
	switch v.State() {
	case Blocked:
		v.wakeIf(here)
	case Running:
		v.leaveGuest()
	}
	v.mu.Unlock()
}

// leaveGuest makes a running v see its attention word.
//
// Preconditions: v.mu is held, v is Running, attention is set.
func (v *VCPU) leaveGuest() {
	if m := v.Dom.machine; v.cpu.ID != m.ThisCPU() {
		v.HW.Kick()
		m.Kick(v.cpu.ID)
	}
}

// wakeIf wakes v if what it waits for has come.
//
// Preconditions: v.mu is held, v is Blocked.
func (v *VCPU) wakeIf(here bool) {
	if !v.wakeable() {
		return
	}
	v.cpu.Timers.Remove(&v.timer)
	if m := v.Dom.machine; here {
		if cpu := m.ThisCPU(); cpu >= 0 {
			now := m.Now()
			v.ready(now)
			m.Resched(m.Sched.WakeHere(&v.Sched, cpu, now))
			return
		}
	}
	v.enqueue()
}

// outSince reports whether v is out of the guest or has been since it counted
// round. A vCPU whose runner is the caller is out.
func (v *VCPU) outSince(round uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.State() != Running || v.rounds.Load() != round || v.cpu.ID == v.Dom.machine.ThisCPU()
}

// ready makes v Runnable, with something to look at.
//
// Preconditions: v.mu is held.
func (v *VCPU) ready(now uint64) {
	v.attention.Store(1)
	v.waits(now)
	v.state.Store(uint32(Runnable))
}

// enqueue hands v to the scheduler.
//
// Preconditions: v.mu is held, v is not in a run queue and not running.
func (v *VCPU) enqueue() {
	m := v.Dom.machine
	now := m.Now()
	v.ready(now)
	m.Resched(m.Sched.Wake(&v.Sched, now))
}

// wakeable reports whether v has a reason to run.
func (v *VCPU) wakeable() bool {
	if v.Dom.stop.Load() != 0 {
		return true // its runner parks it
	}
	switch v.wait {
	case WaitIO:
		return v.ioDone.Load() // INIT waits for the answer, which has a slot
	case WaitSIPI:
		return v.sipi.Load()&sipiPending != 0 || v.initReq.Load()
	case WaitHalt:
		return v.due.Load() || v.Interruptible()
	}
	return true
}

// Interruptible reports whether something ends a HLT.
func (v *VCPU) Interruptible() bool {
	if v.nmi.Load() || v.initReq.Load() || v.kicked.Load() {
		return true
	}
	if v.HW.Get(x86.RFLAGS)&x86.FlagIF == 0 {
		return false
	}
	if _, ok := v.APIC.Pending(); ok {
		return true
	}
	return v.ExtINT != 0 || v.ID == 0 && v.Dom.extINT()
}

// Begin moves v from Runnable to Running on c. It reports false when v was
// paused since the scheduler picked it; the caller then gives it back. The
// attention word is set when v has anything to look at but the answer that it waited
// for: who made it Runnable has seen to that.
func (v *VCPU) Begin(c *pcpu.CPU, now uint64) bool {
	v.mu.Lock()
	ok := v.State() == Runnable
	if ok {
		if v.waiting.since != 0 {
			v.waited(now)
		}
		v.cpu, v.began = c, now
		v.Meter.Return(now)
		v.state.Store(uint32(Running))
		v.rounds.Add(1)
		c.Attention = &v.attention
	}
	v.mu.Unlock()
	return ok
}

// Yield ends v's run on its CPU: its time is over, or somebody more urgent
// waits. Yield, Block and Park are for v's runner, which then tells the scheduler
// whether v is runnable, as they return it. Until it has done so, v runs nowhere
// else, and a wake-up counts; the runner touches nothing of v but v.Sched.
//
// Yield leaves the attention word as it is.
func (v *VCPU) Yield(now uint64) (runnable bool) {
	v.HW.Leave()
	if v.waiting.steal.On() {
		v.preempted()
	}
	v.mu.Lock()
	v.account(now)
	v.waits(now)
	v.state.Store(uint32(Runnable))
	v.mu.Unlock()
	return true
}

// Block ends v's run until v is wakeable.
func (v *VCPU) Block(now uint64) (runnable bool) {
	at := uint64(pcpu.Never)
	if v.wait == WaitHalt {
		at = v.alarm(now)
	}
	v.HW.Leave()
	v.mu.Lock()
	v.account(now)
	if runnable = v.ioDone.Load(); v.wait != WaitIO || v.Dom.stop.Load() != 0 {
		runnable = v.wakeable()
	}
	if runnable {
		v.ready(now)
	} else {
		v.state.Store(uint32(Blocked))
		if at != pcpu.Never {
			v.cpu.Timers.Add(&v.timer, at)
		}
	}
	v.mu.Unlock()
	return runnable
}

// Park ends v's run until start, after its runner saw that the domain stops. If
// the domain may run again by now, v stays runnable: start has seen it running
// and did nothing.
func (v *VCPU) Park(now uint64) (runnable bool) {
	v.HW.Leave()
	v.mu.Lock()
	v.account(now)
	if runnable = v.Dom.stop.Load() == 0; runnable {
		v.ready(now)
	} else {
		v.state.Store(uint32(Parked))
	}
	v.mu.Unlock()
	return runnable
}

// account adds the time since Begin to v's CPU time.
func (v *VCPU) account(now uint64) {
	v.cpuTime.Add(now - v.began)
	v.Meter.Leave(now)
}

// expired is the timer's callback. It does not touch the virtual timers, which
// belong to v's runner and would lock v.mu in turn: it only wakes v. v pays for it,
// not what runs on the CPU.
func (v *VCPU) expired(uint64) {
	m := v.Dom.machine
	start := m.Now()
	if v.wakeByTimer(start) {
		m.Sched.Interrupted(m.ThisCPU(), &v.Sched, m.Now()-start)
	}
}

// wakeByTimer reports whether v slept.
func (v *VCPU) wakeByTimer(now uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.State() != Blocked {
		return false
	}
	// v may have been woken, and have fallen asleep again on another CPU, since
	// the timer left its list: then it is on a list again.
	v.cpu.Timers.Remove(&v.timer)
	v.woken = now
	v.due.Store(true)
	v.attention.Store(1)
	v.enqueue()
	return true
}

// Rearm makes v look at its timers again: a deadline has moved closer while v
// may sleep.
func (v *VCPU) Rearm() {
	v.due.Store(true)
	v.Notify()
}

// halt parks v from outside if no runner has it. It reports whether v is off
// every CPU; if not, its runner has been told and will park it.
//
// Domain.stop is read under v.mu here, in start and in Park: whoever clears it
// calls start afterwards, so that no vCPU stays parked in a domain that runs.
func (v *VCPU) halt() bool {
	v.attention.Store(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Dom.stop.Load() == 0 {
		return true
	}
	m := v.Dom.machine
	switch v.State() {
	case Blocked:
		v.cpu.Timers.Remove(&v.timer)
		v.state.Store(uint32(Parked))
	case Runnable:
		m.Resched(m.Sched.Block(&v.Sched))
		v.state.Store(uint32(Parked))
	case Running:
		v.leaveGuest()
		return false
	}
	return true
}

// start lets a parked vCPU run again.
func (v *VCPU) start() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.State() == Parked && v.Dom.stop.Load() == 0 {
		v.enqueue()
	}
}

// Answered tells v that dom0 has answered its access. It reports
// whether v was waiting for the answer: from now on v is runnable, and it is the
// runner who owes it a CPU, by [sched.Scheduler.Switch] or [VCPU.WakeHere]. The
// attention word stays as it is: unless something else has come, v has the answer to
// look at and nothing more.
func (v *VCPU) Answered() bool {
	v.ioDone.Store(true)
	v.mu.Lock()
	ok := v.State() == Blocked && v.wait == WaitIO
	if ok {
		v.state.Store(uint32(Runnable)) // no list has its timer, see Block
	} else {
		v.attention.Store(1)
	}
	v.mu.Unlock()
	return ok
}

// WakeHere gives v, for which Answered was true, to the scheduler, to run on CPU
// here if it may. Pausing v meanwhile does no harm: who finds v parked when it is
// its turn puts it back.
func (v *VCPU) WakeHere(here int, now uint64) {
	v.mu.Lock()
	v.waits(now)
	v.mu.Unlock()
	m := v.Dom.machine
	m.Resched(m.Sched.WakeHere(&v.Sched, here, now))
}

// TakeIO consumes the notice of Answered.
func (v *VCPU) TakeIO() bool { return v.ioDone.Swap(false) }

// NMI makes a non-maskable interrupt pending; it implements vlapic.Sink, as do
// Kick, Init and Startup.
func (v *VCPU) NMI() {
	v.nmi.Store(true)
	v.Notify()
}

// Kick makes the run loop look at the local APIC.
func (v *VCPU) Kick() { v.Notify() }

// Init requests an INIT reset. A start-up message from before it is void; one
// that comes before v's runner has looked is not.
func (v *VCPU) Init() {
	v.sipi.And(sipiDeaf)
	v.initReq.Store(true)
	v.Notify()
}

// Bits of VCPU.sipi: a start-up message has come, and v is absent, so that none comes.
const (
	sipiPending = 1 << 8
	sipiDeaf    = 1 << 9
)

// Startup requests a start at page<<12 in real mode, if v waits for that and is there.
func (v *VCPU) Startup(page uint8) {
	for old := v.sipi.Load(); old&sipiDeaf == 0; old = v.sipi.Load() {
		if v.sipi.CompareAndSwap(old, sipiPending|uint32(page)) {
			v.Notify()
			return
		}
	}
}

// absent reports whether v is unplugged.
func (v *VCPU) absent() bool { return v.sipi.Load()&sipiDeaf != 0 }

// PendingNMI reports whether an NMI waits; ClearNMI is called when it was
// delivered. TakeInit and TakeStartup consume the requests of that name.
func (v *VCPU) PendingNMI() bool { return v.nmi.Load() }

// ClearNMI forgets the pending NMI.
func (v *VCPU) ClearNMI() { v.nmi.Store(false) }

// TakeInit reports and forgets a request for INIT.
func (v *VCPU) TakeInit() bool { return v.initReq.Swap(false) }

// TakeStartup reports and forgets a request to start.
func (v *VCPU) TakeStartup() (page uint8, ok bool) {
	s := v.sipi.And(sipiDeaf)
	return uint8(s), s&sipiPending != 0
}
