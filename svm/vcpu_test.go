// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/vcpu"
	"ringo/hv/vcpu/hosttest"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// hostMachine runs the part of the conformance suite that needs no guest.
type hostMachine struct{ m *machine }

func (h hostMachine) Backend() vcpu.Backend        { return h.m }
func (h hostMachine) CPU() int                     { return 0 }
func (h hostMachine) RAM() []byte                  { return nil }
func (h hostMachine) Runs() bool                   { return false }
func (h hostMachine) NewVCPU(vcputest.T) vcpu.VCPU { return h.m.vcpu(h.m.tables()) }

func TestConformance(t *testing.T) {
	for _, r := range []Registers{qemuMax, full} {
		vcputest.Conformance(t, hostMachine{newMachine(t, r, 1)})
	}
}

// A machine check while the guest runs must end its run, not shut the CPU down: MCE
// is set whatever the guest says, and it does not notice.
func TestMCE(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	v := m.vcpu(m.tables())
	for _, val := range []uint64{0, x86.CR4MCE, x86.CR4PAE, x86.CR4PAE | x86.CR4MCE} {
		v.Set(x86.CR4, val)
		b := v.vmcb
		if b.cr4 != val|x86.CR4MCE || v.Get(x86.CR4) != val || (b.crIntercepts&crRead4 == 0) != (val&x86.CR4MCE != 0) {
			t.Errorf("CR4 %#x: the CPU has %#x, the guest sees %#x, intercepts %#x", val, b.cr4, v.Get(x86.CR4), b.crIntercepts)
		}
	}
}

func TestNewVCPU(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	tab := m.tables()
	before := len(m.env.Owned)
	v := m.vcpu(tab)
	b := v.vmcb
	if b.efer != x86.EFERSVME {
		t.Errorf("EFER %#x: VMRUN wants SVME", b.efer)
	}
	if b.cr0 != x86.CR0ET || v.Get(x86.CR0) != vcpu.ResetCR0 || b.crIntercepts&crRead0 == 0 {
		t.Errorf("CR0 %#x, guest sees %#x, intercepts %#x", b.cr0, v.Get(x86.CR0), b.crIntercepts)
	}
	if b.misc2&iVMRUN == 0 || b.vintr != vIntrMasking || b.nested != 1 || b.nCR3 != uint64(tab.Root()) {
		t.Errorf("control area %+v", b)
	}
	if b.misc1&iPAUSE != 0 {
		t.Error("PAUSE is intercepted without a filter")
	}
	f := v.frame
	if got := binary.LittleEndian.Uint32(f.fpu[24:]); got != 0x1f80 || f.fpu[vcpu.FPULegacy] != 3 || v.Get(x86.XCR0) != 1 {
		t.Errorf("MXCSR %#x, XSTATE_BV %#x, XCR0 %#x", got, f.fpu[vcpu.FPULegacy], f.xcr0)
	}
	if n := frameHead + m.f.fpuSize; v.npages-2 != (n+4095)/4096 {
		t.Errorf("%d pages for %d bytes", v.npages-2, n)
	}
	v.Free()
	v.Free()
	if len(m.env.Owned) != before {
		t.Errorf("%d blocks leaked", len(m.env.Owned)-before)
	}
	m.env.Fail = true
	if _, err := m.NewVCPU(tab); err == nil {
		t.Error("no error without memory")
	}
}

func TestNewWithoutMemory(t *testing.T) {
	env := hosttest.NewEnv(t)
	env.Leave(iopmPages)
	if _, err := New(&env.Env, qemuMax); err == nil || len(env.Owned) != 0 {
		t.Errorf("%v, %d blocks leaked", err, len(env.Owned))
	}
}

// Fields that the CPU may cache, with the clean bit that covers each (APM Vol.
// 2, Table "VMCB Clean Bits").
func cleanBit(off uintptr) uint32 {
	switch {
	case off < 0x40, off >= 0x50 && off < 0x58:
		return cleanIntercepts
	case off < 0x50:
		return cleanIOPM
	case off >= 0x58 && off < 0x5c:
		return cleanASID
	case off >= 0x60 && off < 0x68:
		return cleanTPR
	case off >= 0x90 && off < 0x98, off >= 0xb0 && off < 0xb8, off >= 0x668 && off < 0x670:
		return cleanNP
	case off >= 0x400 && off < 0x440, off == 0x4cb:
		return cleanSeg
	case off >= 0x460 && off < 0x470, off >= 0x480 && off < 0x490:
		return cleanDT
	case off >= 0x4d0 && off < 0x4d8, off >= 0x548 && off < 0x560:
		return cleanCR
	case off >= 0x560 && off < 0x570:
		return cleanDR
	case off >= 0x640 && off < 0x648:
		return cleanCR2
	}
	return 0
}

func bytesOf(b *vmcb) *[4096]byte { return (*[4096]byte)(unsafe.Pointer(b)) }

// Shadow compare: whatever a call changes in a cached part of the VMCB must
// have its clean bit cleared.
func TestCleanBits(t *testing.T) {
	m := newMachine(t, full, 1)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	check := func(name string, do func()) {
		t.Helper()
		v.vmcb.clean = cleanAll
		before := *bytesOf(v.vmcb)
		do()
		after := bytesOf(v.vmcb)
		for i := range uintptr(4096) {
			if bit := cleanBit(i); before[i] != after[i] && v.vmcb.clean&bit != 0 {
				t.Errorf("%s changed offset %#x and left clean bit %#x", name, i, bit)
				return
			}
		}
	}
	for r := range x86.NumRegs {
		check("Set", func() { v.Set(r, 0x1f) })
		check("Set", func() { v.Set(r, 0) })
	}
	for s := range x86.NumSegs {
		check("SetSegment", func() { v.SetSegment(s, x86.Segment{Selector: 0x33, Access: 0xc0f3, Limit: 7, Base: 8}) })
	}
	v.todo = 0
	v.dbg = debug{}
	check("first entry", func() { v.todo = todoEvents; v.Inject(vcpu.Event{Vector: 0x30}); v.prepare(0, &x) })
	check("NMI", func() {
		v.Inject(vcpu.Event{Type: vcpu.NMI, Vector: 2})
		v.prepare(0, &x)
	})
}

func TestCleanBitsAcrossCPUs(t *testing.T) {
	m := newMachine(t, full, 2)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	cpuid := fakeExit{code: exitCPUID}
	run(v, 0, &x, cpuid)
	if v.vmcb.clean != cleanAll {
		t.Errorf("after a run: %#x", v.vmcb.clean)
	}
	v.Leave()
	v.prepare(1, &x)
	if v.vmcb.clean != 0 {
		t.Errorf("on another CPU: %#x", v.vmcb.clean)
	}
	q := newMachine(t, qemuMax, 1)
	w := q.vcpu(q.tables())
	run(w, 0, &x, cpuid)
	if w.vmcb.clean != 0 {
		t.Errorf("CPU without clean bits: %#x", w.vmcb.clean)
	}
}

func TestScrub(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	c := m.cpus[0]
	c.cr3, c.gdtBase, c.idtBase = 0x1234000, 0xffff_8000_0000_1000, 0xffff_8000_0000_2000
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	invalid := fakeExit{code: exitInvalid}
	invalid.guest = func(b *vmcb) { b.rip, b.cr3 = 0x4444, 0x5000 }
	run(v, 0, &x, invalid)
	if x.Reason != vcpu.Invalid || x.RIP != 0x4444 || v.Get(x86.CR3) != 0x5000 {
		t.Errorf("guest state of a refused MOV CR3 is lost: %+v", x)
	}
	v.Set(x86.CR4, x86.CR4OSXSAVE)
	v.Set(x86.XCR0, 1)
	invalid.guest = func(b *vmcb) {
		b.rip, b.rsp, b.cr3 = 0x10_5555, 0xc000_1234, c.cr3
		b.gdtr.base, b.idtr.base, b.lstar = c.gdtBase, c.idtBase, 0x10_6666
	}
	run(v, 0, &x, invalid)
	if x.Reason != vcpu.Invalid || x.RIP != vcpu.ResetRIP || x.Raw[0] != exitInvalid {
		t.Errorf("%+v", x)
	}
	// What QEMU does to the control area on the way.
	invalid.guest = func(b *vmcb) { b.vintr, b.misc1 = 6, 0 }
	run(v, 0, &x, invalid)
	if b := v.vmcb; b.vintr != vIntrMasking|6 || b.misc1&baseMisc1 != baseMisc1 || b.crIntercepts&crRead0 == 0 || b.clean != 0 {
		t.Errorf("control area: V_INTR %#x, intercepts %#x %#x, clean %#x", b.vintr, b.misc1, b.crIntercepts, b.clean)
	}
	if v.frame.xcr0 != uint32(v.b.f.xcr0) {
		t.Errorf("enters with XCR0 %#x, the host's is %#x", v.frame.xcr0, v.b.f.xcr0)
	}
	for _, r := range []x86.Reg{x86.RSP, x86.CR3, x86.GDTRBase, x86.IDTRBase, x86.LSTAR} {
		if got := v.Get(r); got != 0 {
			t.Errorf("register %d still holds %#x", r, got)
		}
	}
}

func TestTSCAuxIsNotWrittenNeedlessly(t *testing.T) {
	m := newMachine(t, qemuMax, 1) // WRMSR would kill the test
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	v.Set(x86.TSCAux, 0)
	if n := run(v, 0, &x, fakeExit{code: exitCPUID}); n != 1 || v.todo != 0 {
		t.Errorf("%d entries, todo %#x", n, v.todo)
	}
}

func TestLengths(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	v := m.vcpu(m.tables())
	var x vcpu.Exit
	cpuid := func(rip, cr3 uint64, cpl uint8, long bool) fakeExit {
		return fakeExit{code: exitCPUID, guest: func(b *vmcb) {
			b.rip, b.cr3, b.cpl, b.cs.attrib = rip, cr3, cpl, 0
			b.efer = x86.EFERSVME
			if long {
				b.efer |= x86.EFERLMA
				b.cs.attrib = attribL | uint16(cpl)<<5
			}
		}}
	}
	step := func(e fakeExit, want, advance uint8) {
		t.Helper()
		run(v, 0, &x, e)
		if x.Len != want {
			t.Errorf("length %d, want %d", x.Len, want)
		}
		if advance != 0 {
			v.Advance(advance)
		}
	}
	step(cpuid(0x1000, 1, 0, true), 0, 3)
	step(cpuid(0x1000, 1, 0, true), 3, 3)
	step(cpuid(0x1000, 2, 0, true), 0, 0) // another address space
	step(cpuid(0x1000, 1, 3, true), 0, 2) // user code is never remembered
	step(cpuid(0x1000, 1, 3, true), 0, 2)
	step(cpuid(0x1000, 1, 0, true), 3, 3)
	step(cpuid(0x1000, 1, 0, false), 0, 2) // nor is 32-bit code
	conforming := cpuid(0x1000, 1, 0, true)
	conforming.guest = func(b *vmcb) { cpuid(0x1000, 1, 0, true).guest(b); b.cs.attrib |= attribConforms }
	step(conforming, 0, 2) // its DPL says nothing about the privilege level
	step(conforming, 0, 2)
	step(fakeExit{code: exitMSR, guest: cpuid(0x1000, 1, 0, true).guest}, 0, 0)
	step(cpuid(0x5000, 1, 0, true), 0, 0)
	v.Inject(vcpu.Event{Type: vcpu.HardException, Vector: 6})
	step(fakeExit{code: exitHLT, guest: cpuid(0x6000, 1, 0, true).guest}, 0, 1)
	step(cpuid(0x5000, 1, 0, true), 0, 2)
	step(cpuid(0x5000, 1, 0, true), 2, 2)
	if err := v.tables.Map(0, 0x10000, mm.PageSize, pt.Read); err != nil {
		t.Fatal(err)
	}
	if _, err := v.tables.Unmap(0, mm.PageSize); err != nil {
		t.Fatal(err)
	}
	step(cpuid(0x5000, 1, 0, true), 0, 2) // other memory may be there now
}

func TestAdvanceWraps(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	v := m.vcpu(m.tables())
	v.Set(x86.RIP, 0xffff_fffe)
	v.Advance(4)
	if got := v.Get(x86.RIP); got != 2 {
		t.Errorf("32-bit code: RIP %#x", got)
	}
}

func TestNoAllocation(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	v := m.vcpu(m.tables())
	v.Set(x86.RFLAGS, 0x202)
	var x vcpu.Exit
	c := m.cpus[0]
	if n := testing.AllocsPerRun(1000, func() {
		v.Set(x86.CR3, v.Get(x86.CR3))
		v.Inject(vcpu.Event{Vector: 0x30})
		v.Inject(vcpu.Event{Type: vcpu.NMI, Vector: 2})
		v.prepare(c.index, &x)
		for _, code := range [...]uint64{exitCPUID, exitIOIO, exitNPF, exitVINTR, exitIRET} {
			v.vmcb.exitCode = code
			v.finish(&x)
			v.Set(x86.RIP, v.Get(x86.RIP)+8)
			v.SetSegment(x86.CS, v.Segment(x86.CS))
			v.Advance(2)
		}
		v.Kick()
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

func TestASIDs(t *testing.T) {
	a := newASIDs(4)
	type got struct {
		asid  uint32
		flush bool
		gen   uint64
	}
	var all []got
	for range 7 {
		asid, flush := a.take()
		all = append(all, got{asid, flush, a.gen})
	}
	want := []got{{1, true, 1}, {2, false, 1}, {3, false, 1}, {1, true, 2}, {2, false, 2}, {3, false, 2}, {1, true, 3}}
	if d := cmp.Diff(want, all, cmp.AllowUnexported(got{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// XCR0 is the guest's whatever CR4.OSXSAVE says, but the CPU gets it only when
// it matters.
func TestXCR0(t *testing.T) {
	m := newMachine(t, qemuMax, 1)
	v := m.vcpu(m.tables())
	check := func(guest, cpu uint32) {
		t.Helper()
		if got := v.Get(x86.XCR0); got != uint64(guest) || v.frame.xcr0 != cpu {
			t.Errorf("the guest sees %#x, the CPU %#x; want %#x, %#x", got, v.frame.xcr0, guest, cpu)
		}
	}
	check(1, 7)
	v.Set(x86.XCR0, 3)
	check(3, 7)
	v.Set(x86.CR4, x86.CR4OSXSAVE)
	check(3, 3)
	v.frame.xcr0 = 1 // XSETBV without an exit
	check(1, 1)
	v.Set(x86.XCR0, 5)
	check(1, 1)
	v.Set(x86.CR4, x86.CR4OSXSAVE|x86.CR4PAE)
	v.Set(x86.XCR0, 0xff)
	check(7, 7)
	v.Set(x86.XCR0, 3)
	v.Set(x86.CR4, 0)
	check(3, 7)
}

// Debug registers are in the CPU only while a guest uses them. Where the CPU
// mishandles DR7, guests never write them themselves.
func TestDebugAccess(t *testing.T) {
	write := fakeExit{code: exitDRWrite0 + 7}
	read := fakeExit{code: exitDRRead0 + 6}
	var x vcpu.Exit
	v := newMachine(t, full, 1).vcpu(newMachine(t, full, 0).tables())
	run(v, 0, &x, write)
	if x.Reason != vcpu.DRAccess || !v.dbg.touched || v.todo&todoDebug == 0 {
		t.Errorf("%+v: the next entry does not load them", x)
	}
	r := qemuMax
	r.Hyper = tcg
	m := newMachine(t, r, 1)
	v = m.vcpu(m.tables())
	run(v, 0, &x, write)
	if x.Reason != vcpu.DRWrite || x.CR.CR != 7 || v.dbg.touched || v.vmcb.drIntercepts != drAll {
		t.Errorf("%+v, intercepts %#x", x, v.vmcb.drIntercepts)
	}
	run(v, 0, &x, read)
	if x.Reason != vcpu.DRAccess || !v.dbg.touched {
		t.Errorf("%+v", x)
	}
}
