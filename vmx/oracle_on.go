// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build invariants

package vmx

// oracle models what the TLB of one CPU may hold: for each EPTP, translations of
// one generation of the tables; under each VPID, those of one vCPU. No emulator
// shows a missing flush (Bochs flushes everything at every entry), so builds with
// the tag invariants check each entry against the model.
type oracle struct {
	ept  map[uint64]uint64
	vpid map[uint64]*VCPU
}

func (o *oracle) droppedEPT(kind, eptp uint64) {
	if kind == invAll || o.ept == nil {
		o.ept = map[uint64]uint64{}
	}
	delete(o.ept, eptp)
}

func (o *oracle) droppedVPID(kind, vpid uint64) {
	if kind == invAll || o.vpid == nil {
		o.vpid = map[uint64]*VCPU{}
	}
	delete(o.vpid, vpid)
}

// seen samples the tables' generation before an entry is prepared.
func (v *VCPU) seen() uint64 { return v.tables.Generation() }

// entered checks an entry that has just happened. seen is older than the
// preparation, so translations older than seen must not be usable.
func (v *VCPU) entered(seen uint64) {
	o := &v.on.oracle
	switch {
	case v.on.loaded != v:
		panic("vmx: entered without the VMCS")
	case v.on.live != v || v.liveSet:
		panic("vmx: entered with another vCPU's MSRs")
	case v.b.f.vpid && v.vpid == 0:
		panic("vmx: entered with the host's VPID")
	case int64(v.tablesGen-seen) < 0:
		panic("vmx: entered without noticing a new generation of tables")
	}
	if was, ok := o.ept[v.eptp]; ok && was != v.tablesGen {
		panic("vmx: entered with translations of an older generation")
	}
	if was := o.vpid[uint64(v.vpid)]; v.vpid != 0 && was != nil && was != v {
		panic("vmx: entered with a VPID that holds another vCPU's translations")
	}
	if o.ept != nil {
		o.ept[v.eptp] = v.tablesGen
	}
	if o.vpid != nil {
		o.vpid[uint64(v.vpid)] = v
	}
}
