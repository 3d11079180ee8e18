// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package part is the hypervisor's ledger: partitions, their vCPUs, memory and
// platform, from creation until the last frame is scrubbed. It is the source of
// truth; a restarted dom0 reads it to find out what exists.
//
// Lock order: Machine.mu, the locks of virtual devices (PIT and PM timer, 8259A,
// I/O APIC), Domain.mu (dom0's last), VCPU.mu, then those of frame, sched and
// pcpu (each a leaf). Nothing is locked on the exit paths of CPUID, MSR,
// port and memory accesses by this package.
package part

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/internal/event"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/sched"
	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys"
)

// MaxDomains bounds the ledger, dom0 included.
const MaxDomains = abi.MaxDomains

// Machine is the computer as partitions see it. The exported fields are set
// before the first domain exists and do not change.
type Machine struct {
	Backend vcpu.Backend
	Frames  *frame.Pool
	Phys    phys.Memory
	Sched   *sched.Scheduler // of the CPUs that run
	Events  *event.Channel
	// RAM is all memory of the computer that is no device, whoever owns it.
	RAM []mm.Range[mm.HPA]
	// Spec is what is done against attacks by speculative execution.
	Spec    spec.Plan
	CPUs    []*pcpu.CPU
	TSCHz   uint64
	EpochNS atomic.Uint64 // wall time at TSC 0, ns since 1970 UTC; CallSetWall changes it
	// HostCPUID is the CPUID instruction of this machine.
	HostCPUID func(leaf, sub uint32) policy.Result
	// TSC reads it. ThisCPU is the CPU whose runner is calling, -1 for other
	// threads, even those that have interrupted a runner there. Kick
	// interrupts a CPU or ends its Wait.
	TSC     func() uint64
	ThisCPU func() int
	Kick    func(cpu int)
	// Dom0Ended is told that dom0 has stopped; it does not return when nobody
	// is left to run the machine.
	Dom0Ended func(r abi.Shutdown, why string)
	// IOReqPage is the hypervisor's view of the frame at a.
	IOReqPage func(a mm.HPA) *abi.IOReqPage
	// Records is the account of the Go heap that domains take.
	Records Records

	// domains is indexed by id % MaxDomains, so that Find needs no lock; ids
	// whose slot is taken are skipped, and no id is used twice.
	domains [MaxDomains]atomic.Pointer[Domain]

	mu     sync.Mutex // serializes creation and renaming
	nextID uint32
	// gone is the exits of domains that are no more.
	gone struct {
		mu    sync.Mutex
		costs vcpu.Costs
		time  uint64
	}
}

// Foreign reports whether a partition that sees the computer's addresses (dom0)
// and has nothing mapped at a meets somebody else's memory there, not a device.
func (d *Domain) Foreign(a mm.GPA) bool {
	if !d.Privileged() {
		return false
	}
	for _, r := range d.machine.RAM {
		if r.Contains(mm.HPA(a)) {
			return true
		}
	}
	return false
}

// Now is the host's time-stamp counter.
func (m *Machine) Now() uint64 { return m.TSC() }

// NS converts TSC ticks to nanoseconds.
func (m *Machine) NS(ticks uint64) uint64 {
	hi, lo := bits.Mul64(ticks, 1e9)
	if hi >= m.TSCHz {
		return ^uint64(0)
	}
	q, _ := bits.Div64(hi, lo, m.TSCHz)
	return q
}

func (m *Machine) dom0Ended(r abi.Shutdown, why string) { m.Dom0Ended(r, why) }

// Find returns the domain with that id, nil when there is none. It does not
// lock: the domain may be going away, which its own methods notice.
func (m *Machine) Find(id uint64) *Domain {
	d := m.domains[id%MaxDomains].Load()
	if d == nil || uint64(d.ID) != id {
		return nil
	}
	return d
}

// Next returns the domain with the lowest id that is not below first.
func (m *Machine) Next(first uint64) *Domain {
	var best *Domain
	for i := range m.domains {
		d := m.domains[i].Load()
		if d != nil && uint64(d.ID) >= first && (best == nil || d.ID < best.ID) {
			best = d
		}
	}
	return best
}

// Count returns the number of domains, dom0 included.
func (m *Machine) Count() int {
	n := 0
	for i := range m.domains {
		if m.domains[i].Load() != nil {
			n++
		}
	}
	return n
}

// named returns the domain with that name.
//
// Preconditions: m.mu is held.
func (m *Machine) named(name *[abi.NameLen]byte) *Domain {
	for i := range m.domains {
		d := m.domains[i].Load()
		if d == nil {
			continue
		}
		d.mu.Lock()
		same := d.name == *name
		d.mu.Unlock()
		if same {
			return d
		}
	}
	return nil
}

// Rename changes d's name.
//
// Preconditions: d is not dom0.
func (m *Machine) Rename(d *Domain, name *[abi.NameLen]byte) abi.Status {
	if !validName(name) {
		return abi.BadArg
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if other := m.named(name); other != nil && other != d {
		return abi.Exists
	}
	d.mu.Lock()
	d.name = *name
	d.mu.Unlock()
	return abi.OK
}

// validName reports whether name is not empty and NUL-terminated, with nothing
// behind the NUL: names are compared whole.
func validName(name *[abi.NameLen]byte) bool {
	n := 0
	for n < len(name) && name[n] != 0 {
		n++
	}
	if n == 0 || n == len(name) {
		return false
	}
	for _, c := range name[n:] {
		if c != 0 {
			return false
		}
	}
	return true
}

// AddCosts adds the exits of all domains that are or were to sum, and returns the
// cycles during which their vCPUs had a CPU.
func (m *Machine) AddCosts(sum *vcpu.Costs) (time uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone.mu.Lock()
	for i := range sum {
		m.gone.costs[i].AddTo(&sum[i])
	}
	time = m.gone.time
	m.gone.mu.Unlock()
	for i := range m.domains {
		if d := m.domains[i].Load(); d != nil {
			time += d.AddCosts(sum)
		}
	}
	return time
}

// AddCosts adds the exits of d's vCPUs to sum, and returns the cycles during which
// they had a CPU, up to the end of each one's last turn. The runners go on counting;
// an exit counts when the guest is entered again.
func (d *Domain) AddCosts(sum *vcpu.Costs) (time uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addCosts(sum)
}

// addCosts is AddCosts with d.mu held.
func (d *Domain) addCosts(sum *vcpu.Costs) (time uint64) {
	for _, v := range d.VCPUs {
		if v.costs == nil {
			continue
		}
		for i := range sum {
			v.costs[i].AddTo(&sum[i])
		}
		time += v.cpuTime.Load()
	}
	return time
}

// exits is the number of exits of d's vCPUs.
//
// Preconditions: d.mu is held.
func (d *Domain) exits() (n uint64) {
	for _, v := range d.VCPUs {
		if v.costs == nil {
			continue
		}
		for r := range vcpu.NumReasons {
			n += atomic.LoadUint64(&v.costs[r].Count)
		}
	}
	return n
}

// Resched passes on what the scheduler asked for: its methods return a CPU
// whose runner must choose again, or sched.NoCPU. The calling CPU's own runner
// looks before it enters a guest.
func (m *Machine) Resched(cpu int) {
	switch {
	case cpu == sched.NoCPU:
	case cpu != m.ThisCPU():
		m.Kick(cpu)
	default:
		if a := m.CPUs[cpu].Attention; a != nil {
			a.Store(1)
		}
	}
}
