// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"slices"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// T is what the suite needs of a test harness. *testing.T has it; so has a
// program in an emulator.
type T interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// Machine is a backend under test and a little guest memory.
type Machine interface {
	Backend() vcpu.Backend
	// CPU is the CPU that the calling thread is bound to and that Enable was
	// called for.
	CPU() int
	// NewVCPU makes a vCPU whose guest physical memory [0, len(RAM())) is
	// RAM() with every permission; above it nothing is mapped. All vCPUs
	// share it.
	NewVCPU(t T) vcpu.VCPU
	RAM() []byte
	// Runs is false when guests do not really execute: the cases that need
	// it are skipped.
	Runs() bool
}

// Case is one statement of the contract.
type Case struct {
	Name string
	// Runs: the case needs a guest that executes.
	Runs bool
	Func func(t T, m Machine)
}

// Cases returns the suite.
func Cases() []Case {
	return slices.Concat(stateCases(), runCases(), initCases(), apicCases())
}

// Run checks the statement; errors name it. Precondition: m.Runs, if c.Runs.
func (c Case) Run(t T, m Machine) { c.Func(named{t, c.Name}, m) }

// Conformance runs every case that m can run and logs the number of those that
// it cannot.
func Conformance(t T, m Machine) {
	skipped := 0
	for _, c := range Cases() {
		if c.Runs && !m.Runs() {
			skipped++
			continue
		}
		c.Run(t, m)
	}
	if skipped > 0 {
		t.Logf("conformance: %d cases need a guest that executes: skipped", skipped)
	}
}

type named struct {
	T
	name string
}

func (n named) Errorf(format string, args ...any) { n.T.Errorf(n.name+": "+format, args...) }
func (n named) Fatalf(format string, args ...any) { n.T.Fatalf(n.name+": "+format, args...) }

func stateCases() []Case {
	return []Case{
		{"reset state", false, testReset},
		{"registers keep what Set gave them", false, testRegisters},
		{"EFER.LMA follows LME and PG", false, testLMA},
		{"segments keep what SetSegment gave them", false, testSegments},
		{"Inject refuses an interrupt while IF is clear", false, testInjectIF},
		{"Inject queues one event", false, testInjectOne},
		{"Advance moves RIP", false, testAdvance},
	}
}

func testReset(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	for r, want := range map[x86.Reg]uint64{
		x86.RIP: 0xfff0, x86.RFLAGS: 2, x86.CR0: 0x6000_0010, x86.CR2: 0, x86.CR3: 0, x86.CR4: 0,
		x86.CR8: 0, x86.DR6: 0xffff_0ff0, x86.DR7: 0x400, x86.EFER: 0, x86.XCR0: 1,
		x86.PAT: 0x0007_0406_0007_0406, x86.GDTRLimit: 0xffff, x86.IDTRLimit: 0xffff,
		x86.TSCOffset: 0,
	} {
		if got := v.Get(r); got != want {
			t.Errorf("register %d: %#x, want %#x", r, got, want)
		}
	}
	if got, want := *v.Regs(), (x86.Regs{RDX: vcpu.ResetRDX}); got != want {
		t.Errorf("registers %+v, want %+v", got, want)
	}
	for s := range x86.NumSegs {
		if got, want := v.Segment(s), vcpu.ResetSegment(s); got != want {
			t.Errorf("segment %d: %+v, want %+v", s, got, want)
		}
	}
}

func testRegisters(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	values := map[x86.Reg][]uint64{
		x86.RFLAGS: {2, 0x202, 0x246}, x86.CR0: {0x6000_0010, 0x11, 0x8001_0033, 0x2000_0011},
		x86.CR4: {0, x86.CR4PAE, x86.CR4PAE | x86.CR4PGE}, x86.CR8: {0, 15, 3},
		x86.DR6: {0xffff_0ff0, 0xffff_4ff1}, x86.DR7: {0x400, 0x401, 0xd0602},
		x86.XCR0: {1}, x86.EFER: {0, x86.EFERSCE, x86.EFERSCE | x86.EFERNXE},
		x86.PAT: {0x0007_0406_0007_0406, 0x0606_0606_0606_0606}, x86.SysenterCS: {0x10},
		x86.SFMASK: {0x4_7700}, x86.TSCAux: {0, 7}, x86.GDTRLimit: {0, 0x7f}, x86.IDTRLimit: {0xfff},
		x86.STAR: {0x0023_0010_0000_0000}, x86.TPRThreshold: {0},
		x86.SpecCtrl: {0}, x86.BranchBarrier: {0},
	}
	address := []uint64{0, 0x1000, 0x7fff_ffff_f000, 0xffff_8000_0000_1000}
	for r := range x86.NumRegs {
		list, ok := values[r]
		if !ok {
			list = address
		}
		for _, val := range list {
			v.Set(r, val)
			if got := v.Get(r); got != val {
				t.Errorf("register %d: %#x, want %#x", r, got, val)
			}
			checkSnapshot(t, v)
		}
	}
}

func testLMA(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	for i, step := range []struct {
		r    x86.Reg
		val  uint64
		want bool
	}{
		{x86.EFER, x86.EFERLMA, false}, // not for the guest to set
		{x86.EFER, x86.EFERLME, false},
		{x86.CR0, x86.CR0PE | x86.CR0ET | x86.CR0PG, true},
		{x86.CR0, x86.CR0PE | x86.CR0ET, false},
		{x86.CR0, x86.CR0PE | x86.CR0ET | x86.CR0PG, true},
		{x86.EFER, 0, false},
		{x86.EFER, x86.EFERLME, true},
	} {
		v.Set(step.r, step.val)
		if got := v.Get(x86.EFER)&x86.EFERLMA != 0; got != step.want {
			t.Errorf("step %d: LMA %v", i, got)
		}
	}
}

func testSegments(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	for s := range x86.NumSegs {
		for _, seg := range []x86.Segment{
			{Selector: 0x10, Access: 0xc093, Limit: 0xffff_ffff},
			{Selector: 0x23, Access: 0xc0f3, Limit: 0xffff_ffff, Base: 0x7fff_0000_1000},
			{Selector: 8, Access: 0xa09b, Limit: 0xffff_ffff},
			{Access: x86.SegUnusable},
		} {
			v.SetSegment(s, seg)
			if got := v.Segment(s); got != seg {
				t.Errorf("segment %d: %+v, want %+v", s, got, seg)
			}
			checkSnapshot(t, v)
		}
	}
}

// checkSnapshot compares a snapshot with what it is a snapshot of.
func checkSnapshot(t T, v vcpu.VCPU) {
	var got vcpu.Snapshot
	v.Snapshot(&got)
	cs := v.Segment(x86.CS)
	want := vcpu.Snapshot{
		RIP: v.Get(x86.RIP), RSP: v.Get(x86.RSP), RFLAGS: v.Get(x86.RFLAGS),
		CR0: v.Get(x86.CR0), CR3: v.Get(x86.CR3), CR4: v.Get(x86.CR4), EFER: v.Get(x86.EFER),
		CSBase: cs.Base, CSAccess: cs.Access,
	}
	if got != want {
		t.Errorf("snapshot %+v, want %+v", got, want)
	}
}

func irq(vector uint8) vcpu.Event {
	return vcpu.Event{Type: vcpu.ExternalInterrupt, Vector: vector}
}

func testInjectIF(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	v.Set(x86.RFLAGS, 2)
	if v.Inject(irq(0x30)) {
		t.Errorf("accepted with IF clear")
	}
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	if !v.Inject(irq(0x30)) {
		t.Errorf("refused with IF set")
	}
}

func testInjectOne(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	ud := vcpu.Event{Type: vcpu.HardException, Vector: x86.VecUD}
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	if !v.Inject(ud) {
		t.Errorf("exception refused")
	}
	if v.Inject(ud) {
		t.Errorf("second exception accepted")
	}
	if v.Inject(irq(0x30)) {
		t.Errorf("interrupt accepted on top of an exception")
	}
}

func testAdvance(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	v.Set(x86.RIP, 0x1000)
	v.Advance(3)
	if got := v.Get(x86.RIP); got != 0x1003 {
		t.Errorf("RIP %#x", got)
	}
}
