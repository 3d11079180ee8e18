// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package pvclock

import "ringo/mm"

// Steal is a vCPU's record of the time for which it could have run and others had
// its CPU (Linux, Documentation/virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME): 64 bytes, of
// which the first is a sum in nanoseconds, the next a version, odd while the sum
// changes. Its byte 16 says that the vCPU has lost its CPU though it could go on, so that
// another one need not spin for a lock that it holds. As on KVM the sum is the guest's: it goes on from what is there, so that an
// operating system finds what it knows after it has turned a CPU off and on.
type Steal struct {
	msr     uint64
	version uint32
}

// StealMemory is where records go.
type StealMemory interface {
	Load64(a mm.HPA) uint64
	Store64(a mm.HPA, v uint64)
}

// StealLen is the length of a record, and its alignment.
const StealLen = 64

// Read returns abi.MSRKVMStealTime.
func (s *Steal) Read() uint64 { return s.msr }

// Reset is what a reset of the vCPU does.
func (s *Steal) Reset() { s.msr = 0 }

// Write sets abi.MSRKVMStealTime. ok is false when the guest gets #GP: bits 1 to 5 are
// reserved.
func (s *Steal) Write(val uint64) (ok bool) {
	if val&(StealLen-1)&^enabled != 0 {
		return false
	}
	s.msr = val
	return true
}

// On reports whether the guest wants a record, Addr where.
func (s *Steal) On() bool { return s.msr&enabled != 0 }

// Addr returns where the guest wants its record, aligned to its length.
func (s *Steal) Addr() mm.GPA { return mm.GPA(s.msr &^ (StealLen - 1)) }

// Places in a record.
const (
	versionAt   = 8 // with flags, which are 0
	preemptedAt = 16
	preempted   = 1 // KVM_VCPU_PREEMPTED
)

// Preempt says in the record at a that the vCPU has lost its CPU, until Publish.
func (s *Steal) Preempt(m StealMemory, a mm.HPA) {
	m.Store64(a+preemptedAt, m.Load64(a+preemptedAt)|preempted)
}

// Publish adds ns to the record at a, the translation of Addr: the vCPU runs again.
func (s *Steal) Publish(m StealMemory, a mm.HPA, ns uint64) {
	m.Store64(a+versionAt, uint64(s.version+1))
	m.Store64(a, m.Load64(a)+ns)
	s.version += 2
	m.Store64(a+versionAt, uint64(s.version))
	if w := m.Load64(a + preemptedAt); w&0xff != 0 {
		m.Store64(a+preemptedAt, w&^0xff)
	}
}
