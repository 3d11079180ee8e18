// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/internal/dbg"
	"ringo/mm"
	"ringo/mm/frame"
)

// LosePage takes note that the memory at a has failed: its frame is never handed
// out again, and the guest that has it is ended before it, or the hypervisor in
// its name, uses what is no longer there. dom0's own memory, the hypervisor's, and
// what belongs to nobody is only named: who uses it will make another machine
// check.
func (m *Machine) LosePage(a mm.HPA) {
	owner, kind, ok := m.Frames.Retire(a)
	whose := "the hypervisor's"
	var d *Domain
	switch {
	case !ok:
		whose = "not managed"
	case owner == frame.Free:
		whose = "nobody's"
	case owner == frame.Lent:
		whose = "a dead domain's"
	case owner != frame.HV:
		d = m.owner(owner)
	}
	l := dbg.At(dbg.Error).S("memory at ").X(uint64(a)).S(" has failed: ")
	if d == nil {
		l.S(whose).End()
		return
	}
	l.S("domain ").U(uint64(d.ID)).S("'s").End()
	if kind == frame.RAM && !d.Privileged() {
		d.Crash("machine check: memory of the domain has failed")
	}
}

// Place is the host physical address of d's first RAM, 0 while it has none.
func (d *Domain) Place() mm.HPA {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.extents) == 0 {
		return 0
	}
	return mm.HPA(d.extents[0].HPA)
}

// owner finds the domain that o stands for, nil when there is none.
func (m *Machine) owner(o frame.Owner) *Domain {
	for i := range m.domains {
		if frame.Domain(i) == o {
			return m.domains[i].Load()
		}
	}
	return nil
}
