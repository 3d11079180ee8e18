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
	"ringo/mm/frame"
	"ringo/mm/pt"
)

// Reasons for which a domain does not run, bits of Domain.stop.
const (
	stopPaused  = 1 << iota // by the toolstack
	stopEnded               // shut down or crashed by itself
	stopDying               // being destroyed
	stopUnready             // never started
)

// Domain is a partition: memory, vCPUs and a platform. The hypervisor is the
// source of truth for all of it; dom0 only keeps copies.
type Domain struct {
	ID      uint32
	VCPUs   []*VCPU
	Ports   bus.Ports // frozen at the first start
	Mem     bus.Bus[mm.GPA]
	Tables  *pt.Tables
	APICs   *vlapic.Set
	Plat    *Platform
	machine *Machine
	owner   frame.Owner

	// IOReq is the page of access slots shared with dom0; its frame address is
	// ioreqAt. It is nil for dom0.
	IOReq    *abi.IOReqPage
	ioreqAt  mm.HPA
	sharedAt mm.HPA // dom0's abi.SharedInfo
	Port     uint32 // event port in dom0

	clock    pvclock.Base // of vCPUs whose TSC offset is offset
	offset   uint64
	stop     atomic.Uint32
	forwards atomic.Uint64

	mu       sync.Mutex // before VCPU.mu and frame's lock; guards what follows
	name     [abi.NameLen]byte
	uuid     [16]byte
	record   []byte
	extents  []abi.Extent // RAM, by GPA
	bytes    uint64       // sum of extents
	maxBytes uint64
	weight   uint32
	cap      uint32
	shutdown abi.Shutdown
	why      [abi.WhyLen]byte
	frozen   bool // buses are frozen: it has run
	pop      populating
	mapped   mapState
	mapAt    mapCursor // progress of MapInto and Unmap
	unrefEnd mapCursor // how far MapInto came
	destroy  destroyStep
	records  uint64               // taken from Machine.Records
	rounds   [abi.MaxVCPUs]uint64 // of dom0's vCPUs, see flushed
}

// Privileged reports whether d is dom0.
func (d *Domain) Privileged() bool { return d.ID == abi.Dom0 }

// Machine returns the machine d lives on.
func (d *Domain) Machine() *Machine { return d.machine }

// Stopping reports whether d's runners must park its vCPUs.
func (d *Domain) Stopping() bool { return d.stop.Load() != 0 }

// Forwarded counts an access that dom0 answers.
func (d *Domain) Forwarded() { d.forwards.Add(1) }

// setStop sets bits of stop and takes every vCPU off its CPU. It reports
// whether all of them are off; if not, ask again.
func (d *Domain) setStop(bits uint32) (quiet bool) {
	d.stop.Or(bits)
	quiet = true
	for _, v := range d.VCPUs {
		if !v.halt() {
			quiet = false
		}
	}
	return quiet
}

// clearStop clears bits of stop and starts the vCPUs when none remain.
func (d *Domain) clearStop(bits uint32) {
	if d.stop.And(^bits)&^bits != 0 {
		return
	}
	for _, v := range d.VCPUs {
		v.start()
	}
}

// Pause stops d until Unpause. It reports Again while a vCPU is still on a CPU.
func (d *Domain) Pause() abi.Status {
	if d.Privileged() {
		return abi.Denied
	}
	if !d.setStop(stopPaused) {
		return abi.Again
	}
	return abi.OK
}

// Unpause lets d run, for the first time or after Pause.
func (d *Domain) Unpause() abi.Status {
	d.mu.Lock()
	if d.destroy != destroyNone {
		d.mu.Unlock()
		return abi.Busy
	}
	if !d.frozen {
		d.Ports.Freeze()
		d.Mem.Freeze()
		d.frozen = true
		d.startClock()
	}
	d.mu.Unlock()
	d.clearStop(stopPaused | stopUnready)
	return abi.OK
}

// End stops d by its own doing: r says how, why is for people. The first reason
// stays. It never waits: d's vCPUs park as their runners see it.
func (d *Domain) End(r abi.Shutdown, why string) {
	if d.Privileged() {
		d.machine.dom0Ended(r, why)
		return
	}
	d.mu.Lock()
	first := d.shutdown == abi.ShutdownNone
	if first {
		d.shutdown = r
		copy(d.why[:abi.WhyLen-1], why)
	}
	d.mu.Unlock()
	d.setStop(stopEnded)
	if first {
		d.machine.Events.Raise(abi.PortDomainState)
	}
}

// Crash ends d because of something its guest did. why says what.
func (d *Domain) Crash(why string) { d.End(abi.ShutdownCrash, why) }

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

// Info fills in, the hypervisor's record of d.
func (d *Domain) Info(in *abi.DomainInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*in = abi.DomainInfo{
		ID: d.ID, State: d.stateLocked(), Shutdown: d.shutdown, VCPUs: uint32(len(d.VCPUs)),
		Bytes: d.bytes, MaxBytes: d.maxBytes, Overhead: d.overhead(), Forwards: d.forwards.Load(),
		Weight: d.weight, Cap: d.cap, Port: d.Port, RecordLen: uint32(len(d.record)),
		IOReq: uint64(d.ioreqAt), UUID: d.uuid, Name: d.name, Why: d.why,
	}
	var ticks uint64
	for _, v := range d.VCPUs {
		ticks += v.cpuTime.Load()
		for _, n := range &v.counts {
			in.Exits += n
		}
	}
	in.CPUTimeNS = d.machine.NS(ticks)
}

func (d *Domain) stateLocked() uint32 {
	stop := d.stop.Load()
	var s uint32
	if stop&(stopPaused|stopUnready) != 0 {
		s |= abi.StatePaused
	}
	if stop&stopEnded != 0 {
		s |= abi.StateShutdown
		if d.shutdown == abi.ShutdownCrash {
			s |= abi.StateCrashed
		}
	}
	if stop&stopDying != 0 {
		s |= abi.StateDying
	}
	if s != 0 {
		return s
	}
	for _, v := range d.VCPUs {
		if v.State() == Running || v.State() == Runnable {
			return abi.StateRunning
		}
	}
	return abi.StateBlocked
}
