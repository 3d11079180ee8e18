// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package run is the life of a physical CPU: pick a vCPU, enter it, dispatch
// its exit through one table, repeat. Nothing here allocates.
//
//	guest -> vmx|svm entry -> VCPU.Run -> vcpu.Exit -> handlers[Reason]
package run

import (
	"sync/atomic"

	"ringo/boot/mce"
	"ringo/hv/abi"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/sched"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Host is what a runner needs of the kernel layer, for the CPU it is bound to.
type Host struct {
	Now func() uint64 // TSC
	// Wait blocks until a kick, the deadline (TSC) or a request of the Go
	// runtime.
	Wait func(deadline uint64)
	// Arm makes sure the CPU is interrupted at the deadline (TSC).
	Arm func(deadline uint64)
	// MachineCheck judges and clears the machine check that has just ended the
	// run of a guest. It does not return if the machine cannot go on.
	MachineCheck func() mce.Report
	// NextIRQ returns, once, a vector that has interrupted the CPU for a device that
	// dom0 has; ok is false when there is none. Raised is not zero when there may be some.
	NextIRQ func() (vector uint8, ok bool)
	Raised  *uint32
	// LostPage returns, once, a page that has failed without anybody using it;
	// ok is false when there is none, which is known at once.
	LostPage func() (page uint64, ok bool)
}

// Runner is one physical CPU's loop.
type Runner struct {
	cpu   *pcpu.CPU
	id    int // cpu's
	m     *part.Machine
	host  Host
	calls *hcall.Context
	pci   *pci.Table
	want  *atomic.Bool // the scheduler asks for the CPU
	emu   emulator

	// What Pick or Switch returned: next runs until then, unless it is nil; now
	// is when that was, or when what runs has last answered an access.
	next       *sched.Entity
	until, now uint64
}

// New makes the runner of cpu.
func New(cpu *pcpu.CPU, m *part.Machine, s *hcall.Services, host Host) *Runner {
	return &Runner{cpu: cpu, id: cpu.ID, m: m, host: host, calls: hcall.New(m, s), pci: s.PCI, want: m.Sched.Wanted(cpu.ID)}
}

// Loop never returns.
//
// Preconditions: the calling goroutine is locked to the thread that is bound to
// the CPU, and the backend is enabled on it.
func (r *Runner) Loop() {
	for {
		if !r.turn() {
			r.idle()
		}
	}
}

// idle waits until something may be runnable.
func (r *Runner) idle() { r.host.Wait(min(r.until, r.cpu.Timers.Next())) }

// turn runs one vCPU until it gives the CPU up. It reports false when none is
// runnable before r.until.
func (r *Runner) turn() bool {
	if r.next == nil {
		r.lost()
		if atomic.LoadUint32(r.host.Raised) != 0 {
			r.devices()
		}
		r.now = r.host.Now()
		r.cpu.Timers.Expire(r.now)
		var kick int
		r.next, r.until, kick = r.m.Sched.Pick(r.id, r.now)
		r.resched(kick)
		if r.next == nil {
			return false
		}
	}
	v, now := r.next.Owner.(*part.VCPU), r.now
	if !v.Begin(r.cpu, now) {
		r.leave(now, false)
		return true
	}
	// If v handed its CPU over, or waited for an answer that has come, and nothing
	// else has happened since, it has the timer armed, and the answer taken.
	due := uint64(0)
	if !v.Attention() && !r.want.Load() {
		due = v.Deadline()
	}
	if due <= now || v.Wait() != part.WaitNothing && !r.answered(v, now) {
		if !r.attend(v, now) {
			return true
		}
	} else {
		r.host.Arm(min(r.until, due, r.cpu.Timers.Next()))
	}
	r.serve(v)
	return true
}

// answered takes the answer that v waits for. It reports false when v must go on
// waiting, for the next answer or for something else.
func (r *Runner) answered(v *part.VCPU, now uint64) bool {
	if v.Wait() != part.WaitIO || !v.TakeIO() {
		return false
	}
	v.SetWait(part.WaitNothing)
	return r.finish(v, now) != block // else the instruction makes one more access
}

// leave takes what ran off the CPU, which stays runnable or not, and chooses who
// is next.
func (r *Runner) leave(now uint64, runnable bool) {
	var kick int
	r.next, r.until, kick = r.m.Sched.Switch(r.id, now, runnable, nil, 0)
	r.now = now
	r.resched(kick)
}

// resched kicks the CPU that the scheduler named, if it did.
func (r *Runner) resched(cpu int) {
	if cpu != sched.NoCPU {
		r.m.Resched(cpu)
	}
}

// arm has the CPU interrupted when the vCPU that runs, whose next timer is due
// then, must be looked at.
func (r *Runner) arm(due uint64) { r.host.Arm(min(r.until, due, r.cpu.Timers.Next())) }

// serve enters v until it blocks, yields or parks.
func (r *Runner) serve(v *part.VCPU) {
	x := &v.Exit
	for {
		if v.Attention() && !r.settle(v) {
			return
		}
		v.HW.Run(r.id, x)
		why := x.Reason
		r.cpu.Record(v.Tag, why, x)
		a := handlers[why](r, v, x)
		if a == resume {
			continue // by far the most frequent
		}
		if a == rare {
			a = rarely(r, v, x)
		}
		switch a {
		case look:
			v.SetAttention()
		case block:
			v.Dom.Tell()
			now := r.host.Now()
			r.leave(now, v.Block(now))
			return
		case gone:
			return
		}
	}
}

// settle attends to v until it has nothing to look at. It reports false when v has
// left the CPU.
func (r *Runner) settle(v *part.VCPU) bool {
	for v.Attention() {
		if !r.attend(v, r.host.Now()) {
			return false
		}
	}
	return true
}

// devices tells dom0 of the interrupts of its devices that have come to this CPU.
func (r *Runner) devices() {
	for v, ok := r.host.NextIRQ(); ok; v, ok = r.host.NextIRQ() {
		r.pci.Deliver(v)
	}
}

// action is what a handler wants next.
type action uint8

const (
	resume action = iota // enter the guest again
	look                 // something may have to be delivered first
	block                // v waits, see VCPU.Wait
	gone                 // v has left the CPU
	rare                 // the handler knows the frequent case only: rarely knows the others
)

// attend does everything that must happen before an entry and is not needed on
// most. It reports false when v has left the CPU.
func (r *Runner) attend(v *part.VCPU, now uint64) bool {
	v.TakeAttention()
	v.Dom.Tell()
	r.lost()
	if atomic.LoadUint32(r.host.Raised) != 0 {
		r.devices()
	}
	if r.cpu.Timers.Next() <= now {
		r.cpu.Timers.Expire(now)
	}
	switch {
	case v.Dom.Stopping():
		r.leave(now, v.Park(now))
		return false
	case now >= r.until, r.want.Load():
		until, ok := r.m.Sched.Stay(r.id, now)
		if !ok {
			v.SetAttention() // the rest of this is still to be done
			r.leave(now, v.Yield(now))
			return false
		}
		r.until = until
	}
	v.Tick(now)
	if !r.progress(v, now) {
		r.leave(now, v.Block(now))
		return false
	}
	r.deliver(v)
	r.arm(v.Deadline())
	if r.want.Load() {
		v.SetAttention() // this has woken somebody more urgent
	}
	return true
}

// yield gives the CPU to whoever waits for it first, if anybody does.
func (r *Runner) yield(v *part.VCPU) action {
	if !r.m.Sched.Waits(r.id) {
		return resume
	}
	now := r.host.Now()
	v.Yield(now)
	next, until, kick, ok := r.m.Sched.Yield(r.id, now)
	if !ok { // it is gone
		r.leave(now, true)
		return gone
	}
	r.next, r.until, r.now = next, until, now
	r.resched(kick)
	return gone
}

// hand gives the CPU to the vCPU to, whose access v has just answered, unless
// something wants v's attention. v goes on when to waits again, or after a moment.
// to pays for the time since it made the access, or v has begun to run or to
// answer: that was on its behalf.
func (r *Runner) hand(v, to *part.VCPU) action {
	if !to.Answered() {
		return resume
	}
	now := r.host.Now()
	spent := now - min(now, max(r.now, to.Exit.TSC))
	if v.Attention() {
		r.now = now
		r.m.Sched.Bill(&v.Sched, &to.Sched, spent)
		to.WakeHere(r.id, now)
		return resume
	}
	next, until, kick := r.m.Sched.Switch(r.id, now, v.Yield(now), &to.Sched, spent)
	r.next, r.until, r.now = next, until, now
	r.resched(kick)
	if next != &to.Sched {
		r.m.Sched.Bill(&v.Sched, &to.Sched, spent)
		to.WakeHere(r.id, now)
	}
	return gone
}

// progress moves v out of the state it waited in. It reports false when v must
// go on waiting.
func (r *Runner) progress(v *part.VCPU, now uint64) bool {
	if v.Wait() == part.WaitIO && !r.answered(v, now) {
		return false
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
		v.Unhalt()
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
	inject(v)
}

// inject gives v the most urgent interrupt of its local APIC, if it can take one now.
func inject(v *part.VCPU) (given bool) {
	vec, ok := v.APIC.Pending()
	given = ok && v.HW.Inject(vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: vec})
	switch {
	case !given:
	case (vec == abi.UpcallVector || vec == abi.DeviceVector) && v.Dom.Privileged():
		v.APIC.Take(vec)
	default:
		v.APIC.Ack(vec)
	}
	if class, changed := v.APIC.Threshold(); changed {
		v.HW.Set(x86.TPRThreshold, uint64(class))
	}
	v.APIC.Offer()
	return given
}

// selfIPI gives v what it has just sent itself, and perhaps something more urgent of its
// local APIC: then nothing of attend is to be done before the next entry.
func selfIPI(v *part.VCPU) (given bool) {
	if v.APIC.Virtual() {
		return false
	}
	syncCR8(v)
	return inject(v)
}

// syncCR8 gives the local APIC and CR8, which the guest may change without an
// exit, the same task priority.
func syncCR8(v *part.VCPU) {
	if !v.APIC.Away() {
		setTPR(v, uint8(v.HW.Get(x86.CR8)))
	}
}

// setTPR is syncCR8 where CR8 is known, and the local APIC here.
func setTPR(v *part.VCPU, cr8 uint8) {
	if class, ok := v.APIC.SyncCR8(cr8); ok {
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
