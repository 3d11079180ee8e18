// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build invariants

package svm

import (
	"ringo/hv/x86"
	"ringo/mm"
)

// oracle models what the TLB of one CPU may hold: under each identifier, the
// translations of at most one vCPU over one generation of one tree. No emulator
// shows a missing flush (both flush everything at every entry), so builds with
// the tag invariants check each entry against the model.
type oracle struct {
	tags []tagged // by identifier
}

type tagged struct {
	v    *VCPU
	root mm.HPA
	gen  uint64
}

// newOracle has all memory that it needs for that many identifiers: no entry may find
// that there is none.
func newOracle(asids uint32) oracle { return oracle{make([]tagged, min(asids, 65536))} }

// seen samples the tables' generation before an entry is prepared. It also
// checks that nothing has taken away what keeps the host in control.
func (v *VCPU) seen() uint64 {
	b := v.vmcb
	if b.vintr&vIntrMasking == 0 || b.nested != nestedPaging || b.misc1&baseMisc1 != baseMisc1 ||
		b.misc2&baseMisc2 != baseMisc2 || b.exceptions&baseExceptions != baseExceptions ||
		b.crIntercepts&baseCR != baseCR || b.iopm != uint64(v.b.iopm) || b.msrpm != uint64(v.b.msrpm) ||
		b.efer&x86.EFERSVME == 0 {
		panic("svm: the VMCB has lost an intercept")
	}
	return v.tables.Generation()
}

// entered checks an entry that has just happened. seen is older than the
// preparation, so translations older than seen must not be usable. An entry that
// was refused, by the CPU or by the entry code, has flushed nothing, and uses
// nothing.
func (v *VCPU) entered(seen uint64) {
	o, b := &v.on.oracle, v.vmcb
	refused := uint32(b.exitCode) == exitInvalid || b.exitCode == exitRefused
	switch {
	case refused:
	case b.tlbControl == tlbFlushAll:
		clear(o.tags)
	case b.tlbControl == tlbFlushASID:
		o.tags[b.asid] = tagged{}
	}
	if b.asid == 0 || b.asid >= v.b.f.asids || b.asid >= uint32(len(o.tags)) {
		panic("svm: entered with an impossible ASID")
	}
	if mm.HPA(b.nCR3) != v.tables.Root() {
		panic("svm: entered with another vCPU's tables")
	}
	if int64(v.tablesGen-seen) < 0 {
		panic("svm: entered without noticing a new generation of tables")
	}
	now := tagged{v, v.tables.Root(), v.tablesGen}
	if refused && o.tags[b.asid] != (tagged{}) {
		return
	}
	if was := o.tags[b.asid]; was != (tagged{}) && was != now {
		panic("svm: entered with an ASID that holds other translations")
	}
	o.tags[b.asid] = now
}
