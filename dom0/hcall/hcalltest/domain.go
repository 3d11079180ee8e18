// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcalltest

import (
	"ringo/dom0/hcall"
	"ringo/hv/abi"
)

// dom is a domain.
type dom struct {
	info     abi.DomainInfo
	extents  []extent
	cost     uint64 // hypervisor memory, in bytes
	mapped   bool
	vcpu     [abi.MaxVCPUs]abi.VCPUContext
	affinity [abi.MaxVCPUs]uint64 // 0 for all
	flags    uint32               // of its creation
	topology abi.Topology
	set      bool // vCPU 0 has registers
	started  bool
	claims   []claim
	bells    map[uint64]claim
	// messages are the data of interrupt messages that nobody has taken yet.
	messages []uint32
	triggers []abi.Trigger // that the CPU has not taken yet
	listens  bool          // to the buttons
	record   []byte
	line     [maxGSI]bool
	page     *abi.IOReqPage
	done     [abi.MaxVCPUs]bool
	gone     chan struct{} // closed when the domain dies; releases its CPU
	running  bool          // a CPU goroutine is alive
}

type extent struct {
	abi.Extent
	mem []byte // allocated at the first touch
}

type claim struct {
	space       abi.Space
	start, size uint64
	cell        uint64
}

func (m *Machine) named(name string) *dom {
	for _, d := range m.doms {
		if hcall.Text(d.info.Name[:]) == name {
			return d
		}
	}
	return nil
}

func (m *Machine) slot() (uint32, bool) {
	used := [maxDomains]bool{}
	for id, d := range m.doms {
		if id != 0 {
			used[d.info.Port-abi.PortDomain] = true
		}
	}
	for i := range used {
		if !used[i] {
			return uint32(i), true
		}
	}
	return 0, false
}

func (m *Machine) create(gpa uint64) (abi.Status, uint64) {
	var a abi.CreateArgs
	if st := m.ask(gpa, &a); st != abi.OK {
		return st, 0
	}
	name := hcall.Text(a.Name[:])
	switch {
	case name == "" || a.Name[abi.NameLen-1] != 0 || a.VCPUs < 1 || a.VCPUs > abi.MaxVCPUs,
		a.Weight > 65535, a.Flags&^abi.CreateKVM != 0, a.MaxBytes == 0 || a.MaxBytes%hcall.PageSize != 0:
		return abi.BadArg, 0
	case m.named(name) != nil:
		return abi.Exists, 0
	case m.free < baseCost:
		return abi.NoMemory, 0
	}
	slot, ok := m.slot()
	if !ok {
		return abi.NoSlot, 0
	}
	if a.Weight == 0 {
		a.Weight = 256
	}
	var affinity [abi.MaxVCPUs]uint64
	for i := range affinity {
		affinity[i] = a.Affinity &^ m.Reserved
	}
	m.lastID++
	a.ID, a.Port, a.IOReq = m.lastID, abi.PortDomain+slot, ioreqGPA+uint64(slot)*hcall.PageSize
	m.free -= baseCost
	m.doms[a.ID] = &dom{
		info: abi.DomainInfo{
			ID: a.ID, State: abi.StatePaused, VCPUs: a.VCPUs, MaxBytes: a.MaxBytes, Overhead: baseCost,
			Weight: a.Weight, Cap: a.Cap, Port: a.Port, IOReq: a.IOReq, UUID: a.UUID, Name: a.Name,
		},
		affinity: affinity, flags: a.Flags, topology: a.Topology, page: new(abi.IOReqPage), cost: baseCost, bells: map[uint64]claim{}, gone: make(chan struct{}),
	}
	m.answer(gpa, &a)
	return abi.OK, uint64(a.ID)
}

func (m *Machine) affinity(d *dom, vcpu, mask uint64) (abi.Status, uint64) {
	all := (uint64(1)<<m.Host.NumCPUs - 1) &^ m.Reserved
	if mask == ^uint64(0) {
		mask = all
	}
	switch {
	case vcpu >= uint64(d.info.VCPUs):
		return abi.NoVCPU, 0
	case mask&^all != 0:
		return abi.BadArg, all
	case mask != 0:
		d.affinity[vcpu] = mask
	}
	if d.affinity[vcpu] == 0 {
		return abi.OK, all
	}
	return abi.OK, d.affinity[vcpu]
}

func (m *Machine) info(first, gpa uint64) (abi.Status, uint64) {
	var best *dom
	for id, d := range m.doms {
		if uint64(id) >= first && (best == nil || id < best.info.ID) {
			best = d
		}
	}
	if best == nil {
		return abi.NoDomain, 0
	}
	return m.answer(gpa, &best.info)
}

// populate adds Step bytes of [start, start+size) per call.
func (m *Machine) populate(d *dom, start, size uint64) (abi.Status, uint64) {
	if start%hcall.PageSize != 0 || size%hcall.PageSize != 0 || size == 0 || start+size < start {
		return abi.BadArg, 0
	}
	// What an unfinished call of the same range has added is a prefix of it.
	have := uint64(0)
	for _, e := range d.extents {
		if e.GPA < start+size && start < e.GPA+e.Size {
			if e.GPA != start+have {
				return abi.Exists, 0
			}
			have += e.Size
		}
	}
	if have >= size {
		return abi.Exists, 0
	}
	n := min(size-have, m.Step, maxExtent)
	cost := (n + 2<<20 - 1) / (2 << 20) * costPer2M
	if d.info.Bytes+n > d.info.MaxBytes {
		return abi.BadArg, 0
	}
	if m.free < n+cost {
		return abi.NoMemory, 0
	}
	m.free -= n + cost
	d.cost += cost
	d.info.Bytes += n
	d.info.Overhead = d.cost
	d.extents = append(d.extents, extent{Extent: abi.Extent{GPA: start + have, HPA: m.nextHPA, Size: n}})
	m.nextHPA += n + hcall.PageSize // never contiguous
	if have+n < size {
		return abi.Again, have + n
	}
	return abi.OK, size
}

func (m *Machine) mapAll(d *dom, gpa uint64) (abi.Status, uint64) {
	var l abi.ExtentList
	if st := m.ask(gpa, &l); st != abi.OK {
		return st, 0
	}
	d.mapped = true
	total := uint32(len(d.extents))
	if l.First > total {
		return abi.BadArg, 0
	}
	l.Total, l.Count = total, min(total-l.First, uint32(len(l.E)))
	for i := range l.Count {
		l.E[i] = d.extents[l.First+i].Extent
	}
	if st, _ := m.answer(gpa, &l); st != abi.OK || l.First+l.Count == total {
		return st, 0
	}
	return abi.Again, 0
}

func (m *Machine) setVCPU(d *dom, n, gpa uint64) (abi.Status, uint64) {
	var x abi.VCPUContext
	switch {
	case n >= uint64(d.info.VCPUs):
		return abi.NoVCPU, 0
	case d.info.State&abi.StatePaused == 0:
		return abi.Busy, 0
	}
	if st := m.ask(gpa, &x); st != abi.OK {
		return st, 0
	}
	d.vcpu[n] = x
	if d.info.Started &^= 1 << n; x.Online != 0 {
		d.info.Started |= 1 << n
	}
	d.set = d.set || n == 0
	return abi.OK, 0
}

func (m *Machine) claim(d *dom, s abi.Space, start, size, cell uint64) (abi.Status, uint64) {
	if cell != 0 && (s != abi.SpacePort || cell-1+size > abi.MaxCells) {
		return abi.BadArg, 0
	}
	if s > abi.SpaceConfig || size == 0 || start+size < start || s == abi.SpacePort && start+size > 1<<16 {
		return abi.BadArg, 0
	}
	for _, c := range d.claims {
		if c.space == s && c.start < start+size && start < c.start+c.size {
			return abi.Exists, 0
		}
	}
	d.claims = append(d.claims, claim{s, start, size, cell})
	return abi.OK, 0
}

func (m *Machine) setBell(d *dom, bell uint64, s abi.Space, start, size uint64) abi.Status {
	if bell >= abi.MaxBells || s > abi.SpaceMemory {
		return abi.BadArg
	}
	if size == 0 {
		delete(d.bells, bell)
		return abi.OK
	}
	for _, c := range d.claims {
		if c.space == s && start-c.start < c.size && size <= c.size-(start-c.start) {
			d.bells[bell] = claim{s, start, size, 0}
			return abi.OK
		}
	}
	return abi.BadArg
}

func (m *Machine) rename(d *dom, gpa uint64) (abi.Status, uint64) {
	b := m.operand(gpa, abi.NameLen)
	if b == nil {
		return abi.BadAddress, 0
	}
	name := hcall.Text(b)
	if name == "" || b[abi.NameLen-1] != 0 {
		return abi.BadArg, 0
	}
	if m.named(name) != nil {
		return abi.Exists, 0
	}
	copy(d.info.Name[:], b)
	return abi.OK, 0
}

func (m *Machine) unpause(d *dom) (abi.Status, uint64) {
	if !d.set || d.info.State&(abi.StateShutdown|abi.StateCrashed) != 0 {
		return abi.Busy, 0
	}
	d.info.State = d.info.State&^abi.StatePaused | abi.StateBlocked
	if !d.started && m.Guest != nil {
		d.started, d.running = true, true
		go m.run(d)
	}
	m.cond.Broadcast()
	return abi.OK, 0
}

// destroy frees Step bytes per call.
func (m *Machine) destroy(d *dom, ports *[]uint32) (abi.Status, uint64) {
	if d.info.State&abi.StateDying == 0 {
		d.info.State = abi.StateDying
		d.mapped = false
		close(d.gone)
		m.cond.Broadcast()
	}
	if d.running {
		return abi.Again, 0 // its CPU has not stopped yet
	}
	if len(d.extents) > 0 {
		last := len(d.extents) - 1
		m.free += d.extents[last].Size
		d.info.Bytes -= d.extents[last].Size
		d.extents = d.extents[:last]
		return abi.Again, d.info.Bytes
	}
	m.free += d.cost
	delete(m.doms, d.info.ID)
	*ports = append(*ports, abi.PortDomainState)
	return abi.OK, 0
}
