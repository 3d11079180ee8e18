// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package run is the life of a physical CPU: pick a vCPU, enter it, dispatch
// its exit through one table, repeat. Nothing here allocates.
//
//	guest -> vmx|svm entry -> VCPU.Run -> vcpu.Exit -> handlers[Reason]
package run

import (
	"ringo/hv/abi"
	"sync/atomic"

	"ringo/hv/decode"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pcpu"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/gwalk"
)

// Host is what a runner needs of the kernel layer, for the CPU it is bound to.
type Host struct {
	Now func() uint64 // TSC
	// Wait blocks until a kick, the deadline (TSC) or a request of the Go
	// runtime.
	Wait func(deadline uint64)
	// Arm makes sure the CPU is interrupted at the deadline (TSC).
	Arm func(deadline uint64)
}

// Runner is one physical CPU's loop.
type Runner struct {
	cpu   *pcpu.CPU
	id    int // cpu's
	m     *part.Machine
	host  Host
	until uint64 // end of the present time slice
	calls *hcall.Context
	want  *atomic.Bool        // the scheduler asks for the CPU
	insn  [decode.MaxLen]byte // the instruction being decoded
	word  [8]byte             // an operand in memory
	walk  gwalk.Regime
	ram   part.Window // of the domain whose instruction is emulated
	hint  hint
}

// hint is where the access that led to an emulation goes, as the CPU has found
// out: the guest's page tables need not be walked for it again. It is good for
// the first access of the emulated instruction that has its direction.
type hint struct {
	ok, write bool
	gpa       mm.GPA
}

// New makes the runner of cpu.
func New(cpu *pcpu.CPU, m *part.Machine, s *hcall.Services, host Host) *Runner {
	return &Runner{cpu: cpu, id: cpu.ID, m: m, host: host, calls: hcall.New(m, s), want: m.Sched.Wanted(cpu.ID)}
}

// Loop never returns.
//
// Preconditions: the calling goroutine is locked to the thread that is bound to
// the CPU, and the backend is enabled on it.
func (r *Runner) Loop() {
	for {
		r.Once()
	}
}

// Once runs one vCPU until it gives the CPU up, or waits when none is runnable.
func (r *Runner) Once() {
	now := r.host.Now()
	r.cpu.Timers.Expire(now)
	e, until := r.m.Sched.Pick(r.cpu.ID, now)
	if e == nil {
		r.host.Wait(min(until, r.cpu.Timers.Next()))
		return
	}
	v := e.Owner.(*part.VCPU)
	if !v.Begin(r.cpu, now) {
		r.m.Resched(r.m.Sched.Put(r.cpu.ID, now, false))
		return
	}
	r.until = until
	r.serve(v, now)
}

// serve enters v until it blocks, yields or parks.
func (r *Runner) serve(v *part.VCPU, now uint64) {
	x := &v.Exit
	for {
		if v.Attention() {
			if now == 0 {
				now = r.host.Now()
			}
			if !r.attend(v, now) {
				return
			}
			now = 0
			if r.want.Load() {
				v.SetAttention() // attend has woken somebody more urgent
				continue
			}
		}
		v.HW.Run(r.id, x)
		reason := x.Reason
		v.Count(reason)
		r.cpu.Record(v.Tag, reason, x)
		switch handlers[reason](r, v, x) {
		case resume:
		case look:
			v.SetAttention()
		case block:
			v.Block(r.host.Now())
			return
		}
	}
}

// action is what a handler wants next.
type action uint8

const (
	resume action = iota // enter the guest again
	look                 // something may have to be delivered first
	block                // v waits, see VCPU.Wait
)

// attend does everything that must happen before an entry and is not needed on
// most. It reports false when v has left the CPU.
func (r *Runner) attend(v *part.VCPU, now uint64) bool {
	v.TakeAttention()
	r.cpu.Timers.Expire(now)
	switch {
	case v.Dom.Stopping():
		v.Park(now)
		return false
	case v.TakeYield(now):
		v.Yield(now)
		return false
	case now >= r.until, r.want.Load():
		until, ok := r.m.Sched.Stay(r.cpu.ID, now)
		if !ok {
			v.Yield(now)
			return false
		}
		r.until = until
	}
	v.Tick(now)
	if !r.progress(v) {
		v.Block(now)
		return false
	}
	r.deliver(v)
	r.host.Arm(min(r.until, v.Deadline(), r.cpu.Timers.Next()))
	return true
}

// progress moves v out of the state it waited in. It reports false when v must
// go on waiting.
func (r *Runner) progress(v *part.VCPU) bool {
	if v.Wait() == part.WaitIO {
		if !v.TakeIO() {
			return false
		}
		v.SetWait(part.WaitNothing)
		if r.finish(v) == block {
			return false // the instruction makes one more access
		}
	}
	if v.TakeInit() {
		v.Reset()
		v.SetWait(part.WaitSIPI)
	}
	switch v.Wait() {
	case part.WaitSIPI:
		page, ok := v.TakeStartup()
		if !ok {
			return false
		}
		v.StartAt(page)
	case part.WaitHalt:
		if !v.Interruptible() {
			return false
		}
	}
	v.SetWait(part.WaitNothing)
	return true
}

// deliver injects the most urgent pending event that v can take; the backend
// arms a window for what it cannot.
func (r *Runner) deliver(v *part.VCPU) {
	if v.PendingNMI() && v.HW.Inject(vcpu.Event{Type: vcpu.NMI, Vector: 2}) {
		v.ClearNMI()
	}
	syncCR8(v)
	if v.ID == 0 {
		r.extINT(v)
	}
	if v.APIC.Virtual() {
		v.APIC.Load() // the CPU delivers
		return
	}
	// Behind an interrupt of the 8259A, Inject refuses this one and arms the
	// window for it.
	if vec, ok := v.APIC.Pending(); ok {
		if v.HW.Inject(vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: vec}) {
			if vec == abi.UpcallVector && v.Dom.Privileged() {
				v.APIC.Take(vec)
			} else {
				v.APIC.Ack(vec)
			}
		}
	}
	if class, changed := v.APIC.Threshold(); changed {
		v.HW.Set(x86.TPRThreshold, uint64(class))
	}
}

// syncCR8 gives the local APIC and CR8, which the guest may change without an
// exit, the same task priority.
func syncCR8(v *part.VCPU) {
	if class, ok := v.APIC.SyncCR8(uint8(v.HW.Get(x86.CR8))); ok {
		v.HW.Set(x86.CR8, uint64(class))
	}
}

// extINT injects the 8259A's interrupt. The controller is acknowledged only
// when the guest can take it: by that alone the vector becomes known.
func (r *Runner) extINT(v *part.VCPU) {
	ev := vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: v.ExtINT}
	if ev.Vector == 0 {
		if !v.Dom.HasExtINT() {
			return
		}
		if v.HW.Get(x86.RFLAGS)&x86.FlagIF == 0 {
			v.HW.Inject(ev) // refused, and the window is armed
			return
		}
		ev.Vector = v.Dom.AckExtINT()
	}
	v.ExtINT = ev.Vector
	if v.HW.Inject(ev) {
		v.ExtINT = 0
	}
}
