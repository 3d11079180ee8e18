// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/pt"
)

// destroyStep is how far the destruction of a domain has come.
type destroyStep uint8

const (
	destroyNone   destroyStep = iota
	destroyQuiet              // vCPUs leave their CPUs
	destroyUnmap              // RAM leaves dom0's address space
	destroyShared             // so does the page of access slots
	destroyFlush              // no TLB of dom0 knows either
	destroyFree               // RAM is cleared and freed
	destroyDone               // the domain is not in the ledger any more
)

// Destroy pulls the cord and frees everything, in steps of bounded time: Again
// until nothing is left. The domain is gone from the ledger when it returns OK.
//
// Preconditions: d is not dom0.
func (d *Domain) Destroy() abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.destroy {
	case destroyNone:
		d.destroy = destroyQuiet
		fallthrough
	case destroyQuiet:
		if !d.setStop(stopDying) {
			return abi.Again
		}
		d.destroy = destroyUnmap
	case destroyUnmap:
		if d.lent.unmapSome(&d.memory, d.machine.Dom0()) == abi.OK {
			d.destroy = destroyShared
		}
	case destroyShared:
		d.unshare()
		d.lent.rounds.mark(d.machine.Dom0())
		d.destroy = destroyFlush
	case destroyFlush:
		if dom0 := d.machine.Dom0(); d.lent.rounds.passed(dom0) {
			dom0.reap()
			d.destroy = destroyFree
		}
	case destroyFree:
		if d.freeSome() {
			d.remove()
			d.destroy = destroyDone
			return abi.OK
		}
	case destroyDone:
		return abi.NoDomain // another CPU was faster; the id may have a successor
	}
	return abi.Again
}

// unshare takes the page of access slots out of dom0's tables.
func (d *Domain) unshare() {
	if d.ioreqAt == 0 {
		return
	}
	dom0 := d.machine.Dom0()
	dom0.mu.Lock()
	defer dom0.mu.Unlock()
	if _, err := dom0.Tables.Unmap(pt.Addr(d.ioreqAt), mm.PageSize); err != nil {
		panic("part: dom0's tables cannot be edited")
	}
}

// reap frees the page tables that have left d's tree.
//
// Preconditions: no TLB knows them any more.
func (d *Domain) reap() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Tables.Reap()
}

// freeSome frees a bounded part of the RAM and reports whether none is left.
func (m *memory) freeSome() bool {
	if m.pop.block.Size != 0 {
		m.freeBlock()
	}
	m.pop = populating{}
	if len(m.extents) == 0 {
		return true
	}
	e := &m.extents[len(m.extents)-1]
	n := min(e.Size, frame.Step)
	m.freeRAM(mm.HPA(e.HPA+e.Size-n), n)
	e.Size -= n
	m.bytes -= n
	if e.Size == 0 {
		m.extents = m.extents[:len(m.extents)-1]
	}
	return false
}

// remove frees what is left and takes d out of the ledger.
//
// Preconditions: d.mu is held, nothing of d runs or is mapped.
func (d *Domain) remove() {
	m := d.machine
	m.gone.mu.Lock()
	m.gone.time += d.addCosts(&m.gone.costs)
	m.gone.mu.Unlock()
	d.dismantle()
	m.domains[d.ID%MaxDomains].Store(nil)
}

// dismantle frees vCPUs, tables and the page of access slots, of a domain that
// was built in part or whole.
func (d *Domain) dismantle() {
	for _, v := range d.VCPUs {
		d.machine.Sched.Remove(&v.Sched)
		v.costs = nil
		v.HW.Free()
	}
	if d.ioreqAt != 0 {
		d.machine.Frames.Free(d.ioreqAt, mm.PageSize, d.owner)
		d.ioreqAt = 0
	}
	if d.Tables != nil {
		d.Tables.Free()
	}
	d.uncharge(d.records)
}
