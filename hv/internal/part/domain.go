// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/bus"
	"ringo/hv/internal/pvclock"
	"ringo/hv/internal/sched"
	"ringo/hv/internal/vlapic"
	"ringo/mm"
)

// Domain is a partition: memory, vCPUs and a platform. The hypervisor is the
// source of truth for all of it; dom0 only keeps copies.
type Domain struct {
	ID       uint32
	Ports    bus.Ports // frozen at the first start
	Mem      bus.Bus[mm.GPA]
	APICs    *vlapic.Set
	topology abi.Topology
	Plat     *Platform
	machine  *Machine

	memory // RAM, second-level tables, and what is paid for them
	life   // whether the vCPUs run

	// IOReq is the page of access slots shared with dom0; its frame address is
	// ioreqAt. It is nil for dom0.
	IOReq    *abi.IOReqPage
	ioreqAt  mm.HPA
	sharedAt mm.HPA // dom0's abi.SharedInfo
	Port     uint32 // event port in dom0

	clock    pvclock.Base // of vCPUs whose TSC offset is offset
	offset   uint64
	forwards atomic.Uint64
	bells    bells
	config   bus.Bus[uint64] // claims of configuration space; frozen like Ports
	selected atomic.Uint32   // configuration address
	posts    posts

	// mu is locked before VCPU.mu and frame's lock. It guards what follows, the
	// memory, and of life what says so.
	mu     sync.Mutex
	name   [abi.NameLen]byte
	uuid   [16]byte
	record []byte
	weight uint32
	cap    uint32
	lent   lending // how the RAM stands in dom0's address space

	devices rounds // of dom0: since registers were unmapped last

	hasBells bool // their records are paid
}

// Privileged reports whether d is dom0.
func (d *Domain) Privileged() bool { return d.ID == abi.Dom0 }

// Machine returns the machine d lives on.
func (d *Domain) Machine() *Machine { return d.machine }

// SetRecord stores the toolstack's opaque record of d.
func (d *Domain) SetRecord(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record = append(d.record[:0], b...)
}

// Record copies the record to b. TooBig when it does not fit.
func (d *Domain) Record(b []byte) (int, abi.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(b) < len(d.record) {
		return 0, abi.TooBig
	}
	return copy(b, d.record), abi.OK
}

// SetSched sets the scheduler's weight (0 keeps it) and cap of all vCPUs.
func (d *Domain) SetSched(weight, limit uint32) abi.Status {
	if weight > 65535 || limit > 100*uint32(len(d.VCPUs)) {
		return abi.BadArg
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if weight != 0 {
		d.weight = weight
	}
	d.cap = limit
	m := d.machine
	share := limit * (sched.CapCPU / 100) / uint32(len(d.VCPUs)) // not 0: MaxVCPUs is below 100
	for _, v := range d.VCPUs {
		m.Sched.SetWeight(&v.Sched, d.weight)
		kick, _ := m.Sched.SetCap(&v.Sched, share, m.Now())
		m.Resched(kick)
	}
	return abi.OK
}

// SetAffinity makes the CPUs of mask, all with ^0, those where v may run; 0 keeps them.
// It returns them; or with BadArg the CPUs that run vCPUs, of which mask has others.
// Of a machine with more than 64 CPUs only the first can be named.
func (v *VCPU) SetAffinity(mask uint64) (abi.Status, uint64) {
	m := v.Dom.machine
	if all := m.Sched.Online(); mask == ^uint64(0) {
		kick, _ := m.Sched.SetAffinity(&v.Sched, all, sched.CPUSet{}, m.Now())
		m.Resched(kick)
	} else if mask&^all[0] != 0 {
		return abi.BadArg, all[0]
	} else if mask != 0 {
		kick, _ := m.Sched.SetAffinity(&v.Sched, sched.CPUSet{mask}, sched.CPUSet{}, m.Now())
		m.Resched(kick)
	}
	set := m.Sched.Affinity(&v.Sched)
	return abi.OK, set[0]
}

// Info fills in, the hypervisor's record of d.
func (d *Domain) Info(in *abi.DomainInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*in = abi.DomainInfo{
		ID: d.ID, State: d.state(), Shutdown: d.shutdown, VCPUs: uint32(len(d.VCPUs)),
		Bytes: d.bytes, MaxBytes: d.maxBytes, Overhead: d.overhead(), Forwards: d.forwards.Load(),
		Weight: d.weight, Cap: d.cap, Port: d.Port, RecordLen: uint32(len(d.record)),
		IOReq: uint64(d.ioreqAt), UUID: d.uuid, Name: d.name, Why: d.why,
	}
	var ticks uint64
	for i, v := range d.VCPUs {
		ticks += v.cpuTime.Load()
		if v.absent() {
			in.Absent |= 1 << i
		}
		if v.started.Load() {
			in.Started |= 1 << i
		}
	}
	in.Exits = d.exits()
	in.CPUTimeNS = d.machine.NS(ticks)
}
