// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"sync/atomic"

	"ringo/hv/abi"
	"ringo/mm"
)

// bell is a doorbell: a write that lies within [first, last] sets its bit.
type bell struct {
	first, last uint64
	bit         uint32
}

// bells are a domain's doorbells, by address space. Lists are replaced, never
// changed: exits read them without a lock. Domain.mu guards replacing.
type bells [abi.SpaceMemory + 1]atomic.Pointer[[]bell]

// HasBells reports whether there are doorbells in a space: whoever forwards a
// write asks Ring only then.
func (d *Domain) HasBells(s abi.Space) bool { return d.bells[s].Load() != nil }

// SetBell makes the size bytes from start doorbell bit, in place of what it was;
// with size 0 it is none. The range must lie within a claimed one, in which the
// guest may move it while it runs.
//
// Preconditions: d is not dom0.
func (d *Domain) SetBell(bit uint64, s abi.Space, start, size uint64) abi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bit >= abi.MaxBells || s > abi.SpaceMemory {
		return abi.BadArg
	}
	if d.destroy != destroyNone {
		return abi.Busy
	}
	if size != 0 && !d.claimed(s, start, size) {
		return abi.BadArg
	}
	if !d.hasBells {
		if st := d.charge(bellsCost); st != abi.OK {
			return st
		}
		d.hasBells = true
	}
	for i := range d.bells {
		d.bells.replace(abi.Space(i), uint32(bit), abi.Space(i) == s && size != 0, start, size)
	}
	return abi.OK
}

// claimed reports whether the size bytes from start are part of one claim.
func (d *Domain) claimed(s abi.Space, start, size uint64) bool {
	if s == abi.SpacePort {
		return start <= 0xffff && d.Ports.Covers(uint16(start), size, Claimed)
	}
	return d.Mem.Covers(mm.GPA(start), size, Claimed)
}

// replace makes the list of a space anew without bit, or with it at a new place.
func (b *bells) replace(s abi.Space, bit uint32, keep bool, start, size uint64) {
	var list []bell
	if old := b[s].Load(); old != nil {
		for _, x := range *old {
			if x.bit != bit {
				list = append(list, x)
			}
		}
	}
	if keep {
		list = append(list, bell{start, start + size - 1, bit})
	}
	if list == nil {
		b[s].Store(nil)
		return
	}
	b[s].Store(&list)
}

// Ring answers a write to a claimed range if it is a doorbell's, and reports
// whether it was: the bit is set in the page that dom0 sees, and dom0 hears of it
// unless it has yet to look at the last time. The vCPU goes on.
func (d *Domain) Ring(s abi.Space, addr uint64, size uint8) bool {
	list := d.bells[s].Load()
	if list == nil {
		return false // gone meanwhile
	}
	for i := range *list {
		x := &(*list)[i]
		if addr < x.first || addr > x.last || uint64(size)-1 > x.last-addr {
			continue
		}
		w, b := &d.IOReq.Bell[x.bit/64], uint64(1)<<(x.bit%64)
		if atomic.OrUint64(w, b)&b == 0 {
			d.machine.Events.Raise(d.Port)
		}
		return true
	}
	return false
}
