// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"testing"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// The short way of exits at registers says what the long one does.
func TestRegisterExits(t *testing.T) {
	quirk := qemuMax
	quirk.Hyper = tcg
	for _, r := range []Registers{qemuMax, quirk, full} {
		for code := range uint64(exitExcp0) {
			for _, info := range []uint64{0, 7, 1<<63 | 3} {
				m := newMachine(t, r, 1)
				short, long := m.vcpu(m.tables()), m.vcpu(m.tables())
				var x, want vcpu.Exit
				run(short, 0, &x, fakeExit{code: exitHLT})
				run(long, 0, &want, fakeExit{code: exitHLT})
				long.todo |= todoEvents // there is none: it only has to look
				e := fakeExit{code: code, info1: info, guest: func(b *vmcb) { b.cpl, b.rip, b.nextRIP = 3, 0x1000, 0x1003 }}
				run(short, 0, &x, e)
				run(long, 0, &want, e)
				if x.Reason != want.Reason || x.Len != want.Len || x.CPL != want.CPL || x.RIP != want.RIP || x.Ahead ||
					x.CR.Known != want.CR.Known || x.CR.GPR != want.CR.GPR || x.Reason != vcpu.DRAccess && x.CR.CR != want.CR.CR {
					t.Errorf("code %#x, info %#x: %+v, want %+v", code, info, x, want)
				}
				if short.dbg.touched != long.dbg.touched || short.todo != long.todo || short.vmcb.clean != long.vmcb.clean {
					t.Errorf("code %#x: todo %#x, want %#x", code, short.todo, long.todo)
				}
			}
		}
	}
}

// A change of control registers drops translations if it has a bit that they may
// depend on, and else does not cost an identifier.
func TestFlushByRegisters(t *testing.T) {
	const cr0, cr4 = x86.CR0PE | x86.CR0PG | x86.CR0ET, x86.CR4PAE | x86.CR4PGE | x86.CR4MCE
	for _, c := range []struct {
		reg       x86.Reg
		old, bits uint64
		flush     bool
	}{
		{x86.CR0, cr0, x86.CR0TS, false},
		{x86.CR0, cr0, x86.CR0MP | x86.CR0EM | x86.CR0NE | x86.CR0AM, false},
		{x86.CR0, cr0, x86.CR0WP, true},
		{x86.CR0, cr0, x86.CR0WP | x86.CR0TS, true},
		{x86.CR0, cr0, x86.CR0PG, true},
		{x86.CR4, cr4, x86.CR4PGE, true},
		{x86.CR4, cr4, x86.CR4PSE, true},
		{x86.CR4, cr4, x86.CR4SMEP, true},
		{x86.CR4, cr4, x86.CR4SMAP, true},
		{x86.CR4, cr4, x86.CR4LA57, true},
		{x86.CR4, cr4, x86.CR4PCIDE, true},
		{x86.CR4, cr4, x86.CR4PKE, true},
		{x86.CR4, cr4, x86.CR4OSFXSR | x86.CR4TSD | x86.CR4DE, false},
	} {
		m := newMachine(t, full, 1)
		v := m.vcpu(m.tables())
		var x vcpu.Exit
		v.Set(c.reg, c.old)
		for range 3 {
			v.Set(c.reg, c.old)
			run(v, 0, &x, fakeExit{code: exitHLT})
		}
		for _, val := range []uint64{c.old ^ c.bits, c.old} {
			if v.Set(c.reg, val); (v.todo&todoFlush != 0) != c.flush {
				t.Errorf("register %d to %#x: todo %#x, flush should be %v", c.reg, val, v.todo, c.flush)
			}
			v.todo &^= todoFlush
		}
	}
}

// DR7 without an enabled breakpoint needs nothing of the next entry; with one the
// registers are loaded.
func TestDR7(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	run(v, 0, &x, fakeExit{code: exitHLT})
	if v.Set(x86.DR7, 0x400); v.todo != 0 {
		t.Errorf("todo %#x", v.todo)
	}
	if v.Set(x86.DR7, 0x402); v.todo&todoDebug == 0 {
		t.Errorf("todo %#x: a breakpoint is not loaded", v.todo)
	}
}
