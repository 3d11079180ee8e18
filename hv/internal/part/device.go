// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"errors"

	"ringo/hv/abi"
	"ringo/mm"
	"ringo/mm/pt"
)

// rounds says when the vCPUs of dom0 have forgotten what its tables had.
type rounds [abi.MaxVCPUs]uint64

// mark starts a shootdown on the CPUs that run dom0: the generation of the tables has
// changed, so a vCPU that enters again flushes by itself.
func (r *rounds) mark(dom0 *Domain) {
	for i, v := range dom0.VCPUs {
		r[i] = v.rounds.Load()
		v.Notify()
	}
}

// passed reports whether every vCPU of dom0 has been out of the guest since mark, or is
// now. The caller's own is out.
func (r *rounds) passed(dom0 *Domain) bool {
	for i, v := range dom0.VCPUs {
		if !v.outSince(r[i]) {
			return false
		}
	}
	return true
}

// MapDevice maps registers into dom0 at GPA == HPA, uncached. Denied is what is memory,
// or lies in between.
//
// Preconditions: d is dom0.
func (d *Domain) MapDevice(at mm.HPA, size uint64) abi.Status {
	for _, r := range d.machine.RAM {
		if uint64(at) < uint64(r.Start)+r.Size && uint64(r.Start) < uint64(at)+size {
			return abi.Denied
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch err := d.Tables.Map(pt.Addr(at), at, size, pt.RW|pt.Uncached|pt.Accessed|pt.Dirty); {
	case err == nil:
		return abi.OK
	case errors.Is(err, pt.ErrMapped):
		return abi.Exists
	case errors.Is(err, pt.ErrRange):
		return abi.BadArg
	}
	return abi.NoMemory
}

// UnmapDevice takes registers away from dom0, and reports whether no CPU remembers them:
// until then it is to be called again, for the same ones.
func (d *Domain) UnmapDevice(at mm.HPA, size uint64) (done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.Tables.Unmap(pt.Addr(at), size)
	switch {
	case err != nil:
		return false // no memory to split a large page; later, perhaps
	case f.Any():
		d.devices.mark(d)
		return false
	}
	return d.devices.passed(d)
}
