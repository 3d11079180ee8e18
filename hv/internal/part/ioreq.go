// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/hv/bus"
	"ringo/hv/decode"
	"ringo/mm"
)

// Claim marks the ranges that dom0's device models answer. It sits on a bus
// like a device, but the run loop forwards the access instead of calling it.
type Claim struct {
	// Short says that the hypervisor can answer some of the accesses, see
	// [Domain.Short].
	Short  bool
	config bool  // the ports of PCI configuration mechanism #1
	cell   uint8 // number of the first port's cell
}

// Claimed is the device of every claimed range without a short way.
var Claimed bus.Device = new(Claim)

// IsClaimed reports whether dev is that of a claim.
func IsClaimed(dev bus.Device) bool {
	_, ok := dev.(*Claim)
	return ok
}

func (*Claim) Read(uint64, uint8, uint64) uint64   { panic("part: a claimed range was read in hv") }
func (*Claim) Write(uint64, uint8, uint64, uint64) { panic("part: a claimed range was written in hv") }

// Claim gives a range to dom0's device models. Unless cell is 0, its ports have the
// cells from number cell-1 on.
//
// Preconditions: d is not dom0.
func (d *Domain) Claim(s abi.Space, start, size, cell uint64) abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen || d.destroy != destroyNone {
		return abi.Busy
	}
	cost := d.claimRecord(s, start, size)
	if st := d.charge(cost); st != abi.OK {
		return st
	}
	st := d.addClaim(s, start, size, cell)
	if st != abi.OK {
		d.uncharge(cost)
	}
	return st
}

// addClaim puts a claim on its bus.
//
// Preconditions: d.mu is held.
func (d *Domain) addClaim(s abi.Space, start, size, cell uint64) abi.Status {
	if cell != 0 && (s != abi.SpacePort || cell > abi.MaxCells || size > abi.MaxCells+1-cell) {
		return abi.BadArg
	}
	var err error
	switch s {
	case abi.SpacePort:
		if start > 0xffff {
			return abi.BadArg
		}
		dev := Claimed
		switch {
		case cell != 0:
			dev = &Claim{Short: true, cell: uint8(cell - 1)}
		case start == abi.PortPCI && size == configPorts:
			dev = &Claim{Short: true, config: true}
		}
		err = d.Ports.Add(uint16(start), size, dev)
	case abi.SpaceMemory:
		if size == 0 || size-1 > ^start {
			return abi.BadArg
		}
		if d.overlapsRAM(start, size) {
			return abi.Exists
		}
		err = d.Mem.Add(mm.GPA(start), size, Claimed)
	case abi.SpaceConfig:
		if start >= configSpace || size > configSpace-start || (start|size)%configFunction != 0 {
			return abi.BadArg
		}
		err = d.config.Add(start, size, Claimed)
	default:
		return abi.BadArg
	}
	switch err {
	case nil:
		return abi.OK
	case bus.ErrOverlap:
		return abi.Exists
	}
	return abi.BadArg
}

// PendingKind says what kind of instruction waits for dom0.
type PendingKind uint8

// The kinds.
const (
	PendingPort PendingKind = iota
	PendingMemory
)

// Pending is an instruction whose access dom0 is answering.
type Pending struct {
	Kind PendingKind
	Read bool
	Size uint8 // bytes
	// Op is the instruction that makes a memory access, and Place where its
	// operands lie.
	Op    decode.Emulation
	Place [2]Place
}

// Place is where a memory operand lies: Here bytes at GPA, and what is left, if
// anything, at Next, in the next page of the guest's virtual memory.
type Place struct {
	GPA, Next mm.GPA
	Here      uint8
}

// Forward hands an access to dom0, and has v wait for the answer: the caller then
// blocks it. Data is what the guest writes.
//
// The slot is memory that dom0 can write at any time; what comes back is only
// ever used as a value of Size bytes.
func (d *Domain) Forward(v *VCPU, s abi.Space, addr uint64, read bool, size uint8, data uint64) {
	v.IO.Read, v.IO.Size = read, size
	v.wait = WaitIO
	v.ioDone.Store(false)
	q := &d.IOReq.Slot[v.ID]
	q.Space, q.Size, q.Read = uint8(s), size, 0
	if read {
		q.Read = 1
	}
	q.Addr, q.Data, q.Time = addr, data, v.Exit.TSC
	atomic.StoreUint32(&q.State, abi.IOReqReady)
	d.forwards.Add(1)
	d.machine.Events.Raise(d.Port)
}

// Answer fetches dom0's answer for v.
func (d *Domain) Answer(v *VCPU) uint64 {
	q := &d.IOReq.Slot[v.ID]
	val := atomic.LoadUint64(&q.Data)
	atomic.StoreUint32(&q.State, abi.IOReqFree)
	return val
}
