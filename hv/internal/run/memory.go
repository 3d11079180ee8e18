// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"ringo/hv/internal/dbg"
	"ringo/hv/internal/part"
	"ringo/hv/vcpu"
	"ringo/mm/pt"
)

// memory answers an access to guest physical memory that the second-level
// tables do not allow: a device, or nothing at all.
func memory(r *Runner, v *part.VCPU, x *vcpu.Exit) action {
	r.cpu.Amend(uint64(x.Mem.GPA))
	m := &x.Mem
	switch {
	case m.Walk:
		return crash(v, "its page tables are not in its memory")
	case m.Fetch:
		return crash(v, "it executes outside its memory")
	}
	d := deviceAt(v, m.GPA, 1)
	if d.ok {
		return r.emu.memory(v, x, d) // nothing is ever mapped where a device is
	}
	if _, _, _, mapped := v.Dom.Tables.Lookup(pt.Addr(m.GPA)); mapped {
		if !m.Present {
			return resume // mapped meanwhile
		}
		if v.Dom.Privileged() {
			return readOnly(v)
		}
	}
	if v.Dom.Foreign(m.GPA) {
		return trespass(v, x)
	}
	return r.emu.memory(v, x, d)
}

// readOnly answers a write of dom0 to memory that it may only read: its own
// mistake. A guest's write to its ROM is carried out without effect.
func readOnly(v *part.VCPU) action { return crash(v, "it writes to read-only memory") }

// trespass answers dom0's access to memory that is not its own. A bus without a
// device would hide a broken pointer; a fault shows it where it is.
func trespass(v *part.VCPU, x *vcpu.Exit) action {
	dbg.At(dbg.Warning).S("domain ").U(uint64(v.Dom.ID)).S(" vCPU ").U(uint64(v.ID)).
		S(": access to memory of others at ").X(uint64(x.Mem.GPA)).S(", rip ").X(x.RIP).End()
	return fault(v)
}
