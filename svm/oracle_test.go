// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build invariants

package svm

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/pt"
)

// An entry that is refused has flushed nothing.
func TestOracleRefusedEntry(t *testing.T) {
	for _, code := range []uint64{exitInvalid, exitRefused} {
		oracleRefused(t, code)
	}
}

func oracleRefused(t *testing.T, code uint64) {
	m := newMachine(t, qemuMax, 1)
	a, b := m.vcpu(m.tables()), m.vcpu(m.tables())
	var x vcpu.Exit
	run(a, 0, &x, fakeExit{code: exitCPUID})
	b.prepare(0, &x)
	b.vmcb.asid, b.vmcb.tlbControl, b.vmcb.exitCode = a.vmcb.asid, tlbFlushAll, code
	b.entered(b.tables.Generation())
	defer func() {
		if recover() == nil {
			t.Error("the oracle believes in the flush of a refused entry")
		}
	}()
	b.vmcb.tlbControl, b.vmcb.exitCode = tlbNothing, exitCPUID
	b.entered(b.tables.Generation())
}

// The oracle must notice each way of forgetting a flush.
func TestOracle(t *testing.T) {
	for name, breakIt := range map[string]func(m *machine, a, b *VCPU){
		"ASID of another vCPU": func(_ *machine, a, b *VCPU) { b.vmcb.asid = a.vmcb.asid },
		"ASID 0":               func(_ *machine, _, b *VCPU) { b.vmcb.asid = 0 },
		"ASID too large":       func(_ *machine, _, b *VCPU) { b.vmcb.asid = 16 },
		"tables of another":    func(_ *machine, a, b *VCPU) { b.vmcb.nCR3 = a.vmcb.nCR3 },
		"generation not noted": func(_ *machine, _, b *VCPU) { b.tablesGen-- },
		"generation, no flush": func(_ *machine, _, b *VCPU) { b.tablesGen++ },
	} {
		m := newMachine(t, qemuMax, 1)
		a, b := m.vcpu(m.tables()), m.vcpu(m.tables())
		if err := b.tables.Map(0x1000, 0x2000, mm.PageSize, pt.Read); err != nil {
			t.Fatal(err)
		}
		if _, err := b.tables.Unmap(0x1000, mm.PageSize); err != nil {
			t.Fatal(err)
		}
		var x vcpu.Exit
		run(a, 0, &x, fakeExit{code: exitCPUID})
		run(b, 0, &x, fakeExit{code: exitCPUID})
		breakIt(m, a, b)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: not noticed", name)
				}
			}()
			b.entered(b.tables.Generation())
		}()
	}
}
