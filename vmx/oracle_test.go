// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

//go:build invariants

package vmx

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/mm"
	"ringo/mm/pt"
)

// The oracle must notice each way of forgetting a flush.
func TestOracle(t *testing.T) {
	for name, breakIt := range map[string]func(a, b *VCPU){
		"VPID of another vCPU": func(a, b *VCPU) { b.vpid = a.vpid },
		"VPID 0":               func(_, b *VCPU) { b.vpid = 0 },
		"generation not noted": func(_, b *VCPU) { b.tablesGen-- },
		"generation, no flush": func(_, b *VCPU) { b.tablesGen++ },
		"MSRs of another":      func(a, b *VCPU) { b.on.live = a },
		"VMCS of another":      func(a, b *VCPU) { b.on.loaded = a },
	} {
		m := newMachine(t, broadwell(t), 1)
		a, b := m.vcpu(m.tables()), m.vcpu(m.tables())
		if err := b.tables.Map(0x1000, 0x2000, mm.PageSize, pt.Read); err != nil {
			t.Fatal(err)
		}
		if _, err := b.tables.Unmap(0x1000, mm.PageSize); err != nil {
			t.Fatal(err)
		}
		var x vcpu.Exit
		run(a, 0, &x, cpuid)
		run(b, 0, &x, cpuid)
		b.entered(b.tables.Generation())
		breakIt(a, b)
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
