// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"errors"
	"slices"

	"ringo/hv/abi"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/sched"
	"ringo/hv/internal/vlapic"
	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/pt"
)

// Scheduling weights: dom0 counts eight times, since it serves all the others.
const (
	defaultWeight = 256
	dom0Weight    = 8 * defaultWeight
)

// Dom0 returns dom0.
func (m *Machine) Dom0() *Domain { return m.domains[0].Load() }

// Create makes a domain without memory, not yet allowed to run, and fills in
// the results of a.
func (m *Machine) Create(a *abi.CreateArgs) (*Domain, abi.Status) {
	if !validName(&a.Name) || a.VCPUs == 0 || a.VCPUs > abi.MaxVCPUs || a.Flags&^abi.CreateKVM != 0 ||
		a.Weight > 65535 || a.MaxBytes == 0 || a.MaxBytes > maxGPA || a.MaxBytes%mm.PageSize != 0 ||
		a.Affinity != 0 && len(m.CPUs) < 64 && a.Affinity&(1<<len(m.CPUs)-1) == 0 {
		return nil, abi.BadArg
	}
	if _, ok := a.Topology.For(a.VCPUs); !ok {
		return nil, abi.BadArg
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.named(&a.Name) != nil {
		return nil, abi.Exists
	}
	id, ok := m.freeID()
	if !ok {
		return nil, abi.NoSlot
	}
	d := m.newDomain(id, a.MaxBytes)
	d.name, d.uuid = a.Name, a.UUID
	d.Port = abi.PortDomain + id%MaxDomains
	if st := d.charge(recordCost(a.VCPUs)); st != abi.OK {
		return nil, st
	}
	if st := d.furnish(a); st != abi.OK {
		d.dismantle()
		return nil, st
	}
	a.ID, a.Port, a.IOReq = id, d.Port, uint64(d.ioreqAt)
	m.nextID = id + 1
	m.domains[id%MaxDomains].Store(d)
	return d, abi.OK
}

// newDomain makes the record of a domain that has nothing yet and may not run.
func (m *Machine) newDomain(id uint32, maxBytes uint64) *Domain {
	d := &Domain{ID: id, machine: m}
	d.memory = memory{frames: m.Frames, account: &m.Records, owner: frame.Domain(int(id % MaxDomains)), maxBytes: maxBytes}
	d.stop.Store(stopUnready)
	return d
}

// furnish makes the parts of a new domain.
func (d *Domain) furnish(a *abi.CreateArgs) abi.Status {
	platform := func(d *Domain) (*Platform, error) { return newPlatform(d, a.Flags&abi.CreateKVM != 0) }
	if err := d.build(int(a.VCPUs), a.Affinity, a.Topology, platform); errors.Is(err, vcpu.ErrTooMany) {
		return abi.NoSlot
	} else if err != nil {
		return abi.NoMemory
	}
	d.weight = defaultWeight
	if st := d.SetSched(a.Weight, a.Cap); st != abi.OK {
		return st
	}
	if d.shareIOReq() != nil {
		return abi.NoMemory
	}
	return abi.OK
}

// freeID returns the next id whose slot is free.
func (m *Machine) freeID() (uint32, bool) {
	for i := range uint32(MaxDomains) {
		id := m.nextID + i
		if id%MaxDomains != 0 && m.domains[id%MaxDomains].Load() == nil {
			return id, true
		}
	}
	return 0, false
}

// CreateDom0 makes the first domain with size bytes of contiguous zeroed RAM at
// GPA == HPA, which starts at ram.
func (m *Machine) CreateDom0(vcpus int, size uint64) (d *Domain, ram mm.HPA, err error) {
	if m.Dom0() != nil {
		return nil, 0, errors.New("dom0 exists")
	}
	d = m.newDomain(abi.Dom0, size)
	copy(d.name[:], "Domain-0")
	if err := d.build(vcpus, 0, abi.Topology{}, func(d *Domain) (*Platform, error) { return newPrivilegedPlatform(d, false) }); err != nil {
		return nil, 0, err
	}
	b, err := m.Frames.Contiguous(frame.Request{Size: size, Align: mm.Page2M}, d.owner, frame.RAM)
	if err != nil {
		return nil, 0, err
	}
	for m.Frames.Scrub(&b) {
	}
	if err := d.Tables.Map(pt.Addr(b.Start), b.Start, size, pt.RWX|pt.Accessed|pt.Dirty); err != nil {
		return nil, 0, err
	}
	d.addExtent(abi.Extent{GPA: uint64(b.Start), HPA: uint64(b.Start), Size: size})
	if d.sharedAt, err = m.Frames.Pages(1, d.owner, frame.Data); err != nil {
		return nil, 0, err
	}
	if err := d.Tables.Map(pt.Addr(d.sharedAt), d.sharedAt, mm.PageSize, pt.RW); err != nil {
		return nil, 0, err
	}
	d.SetSched(dom0Weight, 0)
	m.nextID = 1
	m.domains[0].Store(d)
	return d, b.Start, nil
}

// RAM is a domain's RAM that is one piece in the machine, such as dom0's.
func (d *Domain) RAM() mm.Range[mm.HPA] {
	e := d.extents[0]
	return mm.Range[mm.HPA]{Start: mm.HPA(e.HPA), Size: e.Size}
}

// SharedInfoAt is the frame of dom0's abi.SharedInfo.
func (d *Domain) SharedInfoAt() mm.HPA { return d.sharedAt }

// build makes tables, vCPUs and platform.
//
// Preconditions: t is right for n vCPUs.
func (d *Domain) build(n int, affinity uint64, t abi.Topology, platform func(*Domain) (*Platform, error)) (err error) {
	m := d.machine
	if d.Tables, err = pt.New(m.Backend.TableFormat(), m.Phys, m.Frames.Tables(d.owner)); err != nil {
		return err
	}
	for i := range n {
		v := &VCPU{Dom: d, ID: i, Tag: pcpu.Tag(d.ID, i), wait: WaitSIPI}
		v.timer.Expired = v.expired
		if v.HW, err = m.Backend.NewVCPU(d.Tables); err != nil {
			return err
		}
		v.Regs = v.HW.Regs()
		v.Meter, v.costs = v.HW.(vcpu.Metered).Meter()
		d.VCPUs = append(d.VCPUs, v)
		v.Sched.Owner = v
		if err = m.Sched.Add(&v.Sched, sched.CPUSet{affinity}, m.Now()); err != nil {
			return err
		}
	}
	sinks := make([]vlapic.Sink, n)
	for i, v := range d.VCPUs {
		sinks[i] = v
	}
	d.APICs = vlapic.NewSet(m.TSCHz, sinks)
	d.topology, _ = t.For(uint32(n))
	for i, v := range slices.Backward(d.VCPUs) { // IDs only grow: upwards, one could meet another's old one
		d.APICs.Number(i, d.topology.APICID(uint32(i)))
		v.APIC = d.APICs.CPU(i)
		// dom0's upcall ends with its delivery, which no CPU does.
		if hw, ok := v.HW.(vcpu.LocalAPIC); ok && !d.Privileged() {
			v.APIC.Attach(hw)
		}
	}
	if d.Plat, err = platform(d); err != nil {
		return err
	}
	for _, v := range d.VCPUs {
		v.CPUID = d.Plat.CPUID
	}
	return nil
}

// shareIOReq makes the page of access slots and maps it into dom0.
func (d *Domain) shareIOReq() (err error) {
	m := d.machine
	if d.ioreqAt, err = m.Frames.Pages(1, d.owner, frame.Data); err != nil {
		return err
	}
	d.IOReq = m.IOReqPage(d.ioreqAt)
	dom0 := m.Dom0()
	dom0.mu.Lock()
	defer dom0.mu.Unlock()
	return dom0.Tables.Map(pt.Addr(d.ioreqAt), d.ioreqAt, mm.PageSize, pt.RW)
}
