// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/internal/pvclock"
	"ringo/mm"
	"ringo/mm/pt"
)

// waiting is how long a vCPU has waited for a CPU, for guests that want to know.
type waiting struct {
	steal pvclock.Steal // written under VCPU.mu
	since uint64        // TSC since when it waits, 0 = it does not; under VCPU.mu
	ticks uint64        // that are not in the record yet; the runner's
	due   bool          // the record is to be written before v goes on; the runner's
}

// waits notes that v is ready to run and does not, from now on.
//
// Preconditions: v.mu is held.
func (v *VCPU) waits(now uint64) {
	if v.waiting.steal.On() {
		v.waiting.since = now
	}
}

// waited notes that v has a CPU now.
//
// Preconditions: v.mu is held, v.waiting.since is not 0.
func (v *VCPU) waited(now uint64) {
	w := &v.waiting
	if now > w.since { // the clocks of two CPUs may have been read in the other order
		w.ticks += now - w.since
	}
	w.since, w.due = 0, true
	v.attention.Store(1)
}

// SetStealTime is a write to MSR_KVM_STEAL_TIME. It reports false for #GP. A record
// outside of RAM is not written, as on KVM. It is for v's runner.
func (v *VCPU) SetStealTime(val uint64) bool {
	v.mu.Lock()
	ok := v.waiting.steal.Write(val)
	v.mu.Unlock()
	if ok {
		v.waiting.ticks = 0
		v.publishSteal()
	}
	return ok
}

// StealTime is MSR_KVM_STEAL_TIME.
func (v *VCPU) StealTime() uint64 { return v.waiting.steal.Read() }

// publishSteal adds what v has waited to the guest's record, if it has one.
func (v *VCPU) publishSteal() {
	w := &v.waiting
	ticks := w.ticks
	w.ticks, w.due = 0, false
	if hpa, ok := v.stealRecord(); ok {
		m := v.Dom.machine
		w.steal.Publish(m.Phys, hpa, m.NS(ticks))
	}
}

// stealRecord returns where the guest has its record, if it has one.
func (v *VCPU) stealRecord() (mm.HPA, bool) {
	s := &v.waiting.steal
	if !s.On() {
		return 0, false
	}
	hpa, _, ok := v.Dom.ramAt(s.Addr(), pvclock.StealLen, pt.Write)
	return hpa, ok
}

// preempted marks the guest's record, if it has one: v is about to lose its CPU. What
// v waits for it then makes its runner publish before it goes on, which takes the mark
// away. It is for v's runner.
func (v *VCPU) preempted() {
	if hpa, ok := v.stealRecord(); ok {
		v.waiting.steal.Preempt(v.Dom.machine.Phys, hpa)
	}
}

// KickCPU is KVM's hypercall of that name: the vCPU with an APIC ID goes on behind its
// HLT, or does not stop at the next one, whatever its interrupt flag says.
func (d *Domain) KickCPU(id uint32) {
	if i, ok := d.APICs.Find(id); ok {
		v := d.VCPUs[i]
		v.kicked.Store(true)
		v.Notify()
	}
}

// Unhalt forgets a kick: v has gone on behind a HLT. It is for v's runner.
func (v *VCPU) Unhalt() {
	if v.kicked.Load() {
		v.kicked.Store(false)
	}
}
