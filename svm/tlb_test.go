// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"math/rand/v2"
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// tlb models one CPU's TLB: per identifier the one thing that may be cached.
// It is the same rule as the oracle's, written down independently, and it also
// runs in builds without the tag.
type tlb map[uint32]entryOf

type entryOf struct {
	v   *VCPU
	gen uint64
}

func (m tlb) enter(t *testing.T, v *VCPU) {
	t.Helper()
	switch v.vmcb.tlbControl {
	case tlbFlushAll:
		clear(m)
	case tlbFlushASID:
		delete(m, v.vmcb.asid)
	case tlbNothing:
	default:
		t.Errorf("TLB control %d", v.vmcb.tlbControl)
	}
	now := entryOf{v, v.tables.Generation()}
	if was, ok := m[v.vmcb.asid]; ok && was != now {
		t.Errorf("ASID %d is reused without a flush: %+v, now %+v", v.vmcb.asid, was, now)
	}
	if v.vmcb.asid == 0 || v.vmcb.asid >= v.b.f.asids {
		t.Errorf("ASID %d", v.vmcb.asid)
	}
	m[v.vmcb.asid] = now
}

// churn lets vCPUs run, migrate, be kicked before the entry, and lose
// translations, at random.
func churn(t *testing.T, r Registers, nv, cpus, steps int) {
	m := newMachine(t, r, cpus)
	var vs []*VCPU
	for i := range nv {
		tab := m.tables()
		vs = append(vs, m.vcpu(tab))
		if i%3 == 0 {
			vs = append(vs, m.vcpu(tab)) // two vCPUs of one guest
		}
	}
	tlbs := make([]tlb, cpus)
	for i := range tlbs {
		tlbs[i] = tlb{}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var x vcpu.Exit
	for range steps {
		v, c := vs[rng.IntN(len(vs))], rng.IntN(cpus)
		switch rng.IntN(8) {
		case 0:
			if err := v.tables.Map(0x1000, 0x2000, mm.PageSize, pt.Read); err == nil {
				if _, err := v.tables.Unmap(0x1000, mm.PageSize); err != nil {
					t.Fatal(err)
				}
			}
		case 1:
			v.Set(x86.CR3, v.Get(x86.CR3))
		case 2: // kicked
			if v.at != c && v.at >= 0 {
				v.Leave()
			}
			if v.at != c || v.todo != 0 || v.tables.Generation() != v.tablesGen {
				v.prepare(c, &x)
			}
			continue
		case 3: // refused: a CPU may check before it flushes
			run(v, c, &x, fakeExit{code: exitInvalid})
			continue
		}
		run(v, c, &x, fakeExit{code: exitCPUID, guest: func(*vmcb) { tlbs[c].enter(t, v) }})
	}
}

func TestTLB(t *testing.T) {
	for _, r := range []Registers{qemuMax, full} {
		churn(t, r, 20, 3, 5000)
		for _, asids := range []uint32{2, 3, 4} {
			r.ExtAB = asids
			churn(t, r, 20, 3, 5000)
		}
	}
}

// The entry that is to flush the whole TLB for a new generation of identifiers is
// refused: the next one flushes, whoever makes it.
func TestRefusedEntryFlushesNothing(t *testing.T) {
	for _, again := range []bool{false, true} {
		m := newMachine(t, full, 1)
		c := m.cpus[0]
		a, b := m.vcpu(m.tables()), m.vcpu(m.tables())
		var x vcpu.Exit
		run(b, 0, &x, fakeExit{code: exitHLT})
		c.asids.next = c.asids.limit // as after many others
		run(a, 0, &x, fakeExit{code: exitInvalid})
		next := b
		if again {
			next = a
		}
		asked := uint32(tlbNothing)
		run(next, 0, &x, fakeExit{code: exitHLT, guest: func(v *vmcb) { asked = v.tlbControl }})
		if asked != tlbFlushAll || c.flushAll {
			t.Errorf("the same vCPU again: %v; the entry asks for %d, flushAll %v", again, asked, c.flushAll)
		}
		// And what was the vCPU's own: translations of a CR3 that it loaded.
		b.Set(x86.CR3, 0x5000)
		run(b, 0, &x, fakeExit{code: exitInvalid})
		run(b, 0, &x, fakeExit{code: exitHLT, guest: func(v *vmcb) { asked = v.tlbControl }})
		if asked == tlbNothing {
			t.Error("a flush of one vCPU is lost by a refused entry")
		}
	}
}

func TestFlushIsAskedForOnce(t *testing.T) {
	m := newMachine(t, full, 1)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	var asked []uint32
	e := fakeExit{code: exitCPUID, guest: func(b *vmcb) { asked = append(asked, b.tlbControl) }}
	for i := range 5 {
		if i == 3 {
			v.Set(x86.CR3, v.Get(x86.CR3))
		}
		run(v, 0, &x, e)
	}
	want := []uint32{tlbFlushAll, tlbNothing, tlbNothing, tlbFlushASID, tlbNothing}
	for i := range want {
		if asked[i] != want[i] {
			t.Errorf("entries ask for %v, want %v", asked, want)
			break
		}
	}
}
