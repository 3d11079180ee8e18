// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync"
	"sync/atomic"

	"ringo/hv/abi"
)

// PCI configuration mechanism #1 (PCI Local Bus Specification 3.0, "Configuration
// Mechanism"): a doubleword at the first port is the address, the last four ports are
// a window on the doubleword of configuration space that it names.
const (
	configPorts    = 8
	configData     = 4
	configEnable   = 1 << 31
	configSpace    = 1 << 28
	configFunction = 1 << 12
)

// Access is an access to a port. Value is what is written, or what was read.
type Access struct {
	Space abi.Space
	Addr  uint64
	Read  bool
	Size  uint8
	Value uint64
	Time  uint64
}

// Short answers an access to a claimed port, at offset off of its claim c, if it can
// do so without dom0, and reports whether it could. If not, a is what dom0 is to be
// asked.
//
// Preconditions: c.Short.
func (d *Domain) Short(c *Claim, off uint64, a *Access) bool {
	switch {
	case !c.config:
		return a.Size == 1 && d.useCell(uint64(c.cell)+off, a)
	case off >= configData:
		return d.configure(off-configData, a)
	case off != 0 || a.Size != 4:
		return false
	case a.Read:
		a.Value = uint64(d.selected.Load())
	default:
		d.selected.Store(uint32(a.Value))
	}
	return true
}

// Silent reports whether the port at offset off of c has a cell in which dom0 has said
// nothing: there is no short way then.
//
// Preconditions: c.Short.
func (d *Domain) Silent(c *Claim, off uint64) bool {
	return !c.config && atomic.LoadUint32(&d.IOReq.Cell[(uint64(c.cell)+off)%abi.MaxCells]) == 0
}

// configure makes an access to the data ports one to configuration space. Where no
// function is, it reads all ones. No access reaches beyond the doubleword, since the
// claim ends with it.
func (d *Domain) configure(off uint64, a *Access) bool {
	sel := uint64(d.selected.Load())
	addr := sel&0xffff00<<4 | sel&0xfc | off
	if sel&configEnable != 0 {
		if _, _, ok := d.config.Find(addr, a.Size); ok {
			a.Space, a.Addr = abi.SpaceConfig, addr
			return false
		}
	}
	a.Value = ^uint64(0)
	return true
}

// useCell does what dom0 allows with accesses to the port of cell n.
func (d *Domain) useCell(n uint64, a *Access) bool {
	w := atomic.LoadUint32(&d.IOReq.Cell[n%abi.MaxCells])
	switch {
	case a.Read && w&abi.CellRead != 0:
		a.Value = uint64(w & 0xff)
		return true
	case !a.Read && w&abi.CellPost != 0:
		return d.post(a)
	}
	return false
}

// posts is the hypervisor's end of the ring of posted writes. Of what dom0 can write
// it believes nothing but how much dom0 has taken out: a lie costs the domain writes.
type posts struct {
	mu sync.Mutex
	in uint32
	// unseen: dom0 has not been told of all.
	unseen atomic.Bool
}

// tellAt is how many posted writes dom0 is told of at once: while the rest of the ring
// fills up it comes to take them. Those of that rest it is told of later, like the first
// ones: it may have looked before they came, and says so only when it has done with what
// it saw.
const tellAt = abi.MaxPosts * 3 / 4

// post puts a write into the ring. It reports false when there is no room.
func (d *Domain) post(a *Access) bool {
	p, q := &d.posts, d.IOReq
	p.mu.Lock()
	n := p.in - atomic.LoadUint32(&q.PostOut)
	if n >= abi.MaxPosts {
		p.mu.Unlock()
		return false
	}
	e := &q.Post[p.in%abi.MaxPosts]
	e.Time, e.Port, e.Value = a.Time, uint16(a.Addr), uint8(a.Value)
	p.in++
	atomic.StoreUint32(&q.PostIn, p.in)
	p.mu.Unlock()
	if n+1 == tellAt {
		d.machine.Events.Raise(d.Port)
	} else {
		p.unseen.Store(true)
	}
	return true
}

// Tell tells dom0 of posted writes that it has not been told of. It is for a runner,
// whenever a vCPU of d is out of its guest for longer than an access takes.
func (d *Domain) Tell() {
	if d.posts.unseen.Load() {
		d.tell()
	}
}

func (d *Domain) tell() {
	if d.posts.unseen.Swap(false) {
		d.machine.Events.Raise(d.Port)
	}
}
