// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"ringo/hv/abi"
	"ringo/hv/internal/event"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pci"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/sched"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys/phystest"
	"ringo/mm/pt"
)

// rig is dom0 and a guest on a machine of recording memory.
type rig struct {
	t     *testing.T
	m     *part.Machine
	c     *Context
	dom0  *part.Domain
	at    uint64 // dom0's RAM
	log   []byte
	power []abi.Power
}

func newRig(t *testing.T) *rig {
	mem := phystest.New(t)
	mem.Declare(16*mm.MiB, 48*mm.MiB)
	mem.Quiet(true)
	b := vcputest.NewBackend()
	b.Format = *pt.NPT(true)
	ram := []mm.Range[mm.HPA]{{Start: 16 * mm.MiB, Size: 48 * mm.MiB}}
	size, _ := frame.MetaBytes(ram)
	pool, err := frame.New(mem, ram, make([]uint32, size/4))
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Add(ram[0]); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t}
	r.m = &part.Machine{
		Backend: b, RAM: ram, Frames: pool, Phys: mem, Sched: sched.New(sched.Config{CPUs: 1, Tick: 1e7}), TSCHz: 1e9,
		CPUs:      []*pcpu.CPU{{}},
		HostCPUID: func(leaf, sub uint32) policy.Result { return policy.Result{} },
		TSC:       func() uint64 { return 1 }, ThisCPU: func() int { return 0 }, Kick: func(int) {},
		IOReqPage: func(mm.HPA) *abi.IOReqPage { return new(abi.IOReqPage) },
		Events:    event.New(new(abi.SharedInfo), func(uint8) {}),
		Dom0Ended: func(abi.Shutdown, string) {},
	}
	d, at, err := r.m.CreateDom0(2, 8*mm.MiB)
	if err != nil {
		t.Fatal(err)
	}
	r.dom0, r.at = d, uint64(at)
	r.c = New(r.m, &Services{
		Host:         func(h *abi.HostInfo) { h.NumCPUs = 7 },
		Power:        func(p abi.Power) { r.power = append(r.power, p) },
		Log:          func(b []byte, off uint64) (int, uint64, bool) { return copy(b, "log"), 5, off == 9 },
		ConsoleWrite: func(b []byte) int { r.log = append(r.log, b...); return len(b) },
		ConsoleRead:  func(b []byte) abi.ConsoleInput { return abi.NewConsoleInput(copy(b, "in"), 0, false) },
		DebugKey:     func(byte) {},
		PCI:          testDevices(),
		Trace:        func(cpu uint64, out []abi.TraceRecord) (int, bool) { return len(out), cpu == 0 },
	})
	return r
}

// testDevices is a machine with two functions, whose base address 2 lies in RAM.
func testDevices() *pci.Table {
	f := fakeConfig{}
	t := pci.NewTable(pci.NewSpace(nil, []pci.Window{{Last: 0, Register: f.register}}))
	t.Functions[0].BAR = [6]abi.PCIBAR{
		0: {Addr: 0xe0 << 32, Size: 16 << 10, Flags: abi.BARPresent | abi.BAR64},
		2: {Addr: 20 * mm.MiB, Size: 4096, Flags: abi.BARPresent},
	}
	t.Connect(pci.Host{
		Now: func() uint64 { return 0 }, Vector: func() uint8 { return 0 }, Target: func() uint32 { return 0 },
		Attach: func(abi.PCIAddr) abi.Status { return abi.OK }, Detach: func(abi.PCIAddr) bool { return true },
		Registers: func(uint64, uint64) ([]uint32, bool) { return nil, false },
	})
	return t
}

// fakeConfig is configuration space with functions 00:01.0 and 00:02.0, whose registers
// keep what is written.
type fakeConfig map[uint32]*uint32

func (f fakeConfig) register(bus, device, function uint8, reg uint16) *uint32 {
	at := uint32(device)<<16 | uint32(function)<<12 | uint32(reg)
	if f[at] == nil {
		v := uint32(0)
		if bus != 0 || device != 1 && device != 2 || function != 0 {
			v = ^uint32(0)
		} else if reg == 0 {
			v = 0x1234_8086
		}
		f[at] = &v
	}
	return f[at]
}

// call issues a hypercall from vCPU 0 of d.
func (r *rig) call(d *part.Domain, n abi.Call, a ...uint64) (abi.Status, uint64) {
	r.t.Helper()
	g := d.VCPUs[0].HW.Regs()
	g.RAX = uint64(n)
	for i, p := range []*uint64{&g.RDI, &g.RSI, &g.RDX, &g.R8, &g.R9} {
		*p = 0
		if i < len(a) {
			*p = a[i]
		}
	}
	r.c.Do(d.VCPUs[0])
	return abi.Status(g.RAX), g.RDX
}

func (r *rig) create(name string) *part.Domain {
	r.t.Helper()
	b := make([]byte, sizeCreate)
	copy(b, name)
	binary.LittleEndian.PutUint32(b[80:], 1)
	binary.LittleEndian.PutUint64(b[96:], mm.MiB)
	if !r.dom0.Write(mm.GPA(r.at), b) {
		r.t.Fatal("dom0 has no memory")
	}
	st, id := r.call(r.dom0, abi.CallDomCreate, r.at)
	if st != abi.OK {
		r.t.Fatalf("create %s: %v", name, st)
	}
	return r.m.Find(id)
}

func TestEveryCallHasARow(t *testing.T) {
	for i := range calls {
		if calls[i].run == nil {
			t.Errorf("call %#x has no function", uint64(abi.CallBase)+uint64(i))
		}
	}
}

func TestOnlyDom0(t *testing.T) {
	r := newRig(t)
	g := r.create("guest")
	open := map[abi.Call]bool{abi.CallNop: true, abi.CallDomShutdown: true}
	for n := abi.CallBase; n < abi.CallEnd; n++ {
		st, _ := r.call(g, n, ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0))
		if !open[n] && st != abi.Denied {
			t.Errorf("call %#x from a guest: %v, want denied", uint64(n), st)
		}
	}
	if len(r.power) != 0 || len(r.log) != 0 {
		t.Error("a denied call had an effect")
	}
}

// dom0 can neither stop itself nor take its own memory apart.
func TestNotOnDom0(t *testing.T) {
	r := newRig(t)
	for _, n := range []abi.Call{
		abi.CallDomPopulate, abi.CallDomMap, abi.CallDomClaim, abi.CallDomPause,
		abi.CallDomDestroy, abi.CallDomRename, abi.CallDomIRQ, abi.CallDomMSI, abi.CallDomBell, abi.CallDomEnd, abi.CallDomTrigger,
	} {
		if st, _ := r.call(r.dom0, n, uint64(abi.Dom0), r.at, r.at); st != abi.Denied {
			t.Errorf("call %#x on dom0: %v, want denied", uint64(n), st)
		}
	}
}

func TestUnknownNumbers(t *testing.T) {
	r := newRig(t)
	for _, n := range []abi.Call{0, 5, 9, abi.CallBase - 1, abi.CallEnd, ^abi.Call(0)} {
		if st, _ := r.call(r.dom0, n); uint64(st) != ^uint64(999) {
			t.Errorf("call %#x: %d, want KVM's -1000", uint64(n), int64(st))
		}
	}
}

func TestOperands(t *testing.T) {
	r := newRig(t)
	for _, gpa := range []uint64{0, r.at - 8, r.at + 8*mm.MiB - 8, 1 << 45, ^uint64(0) - 100} {
		if st, _ := r.call(r.dom0, abi.CallConsoleWrite, gpa, 100); st != abi.BadAddress {
			t.Errorf("operand at %#x: %v", gpa, st)
		}
		if st, _ := r.call(r.dom0, abi.CallHost, gpa); st != abi.BadAddress {
			t.Errorf("result at %#x: %v", gpa, st)
		}
	}
	if st, _ := r.call(r.dom0, abi.CallConsoleWrite, r.at, bufSize+1); st != abi.BadArg {
		t.Errorf("too long: %v", st)
	}
	r.dom0.Write(mm.GPA(r.at), []byte("hello"))
	if st, n := r.call(r.dom0, abi.CallConsoleWrite, r.at, 5); st != abi.OK || n != 5 || string(r.log) != "hello" {
		t.Errorf("console: %v, %d, %q", st, n, r.log)
	}
	if st, _ := r.call(r.dom0, abi.CallDomInfo, 0, r.at); st != abi.OK {
		t.Errorf("info: %v", st)
	}
	if st, v := r.call(r.dom0, abi.CallLog, r.at, 16, 0); st != abi.BadArg || v != 5 {
		t.Errorf("lost log: %v, oldest %d", st, v)
	}
	for _, c := range []abi.Call{abi.CallDomPause, abi.CallDomDestroy, abi.CallIOReqDone} {
		if st, _ := r.call(r.dom0, c, 77); st != abi.NoDomain {
			t.Errorf("call %#x of no domain: %v", uint64(c), st)
		}
	}
	if st, _ := r.call(r.dom0, abi.CallDomSetVCPU, uint64(r.create("a").ID), 9, r.at); st != abi.NoVCPU {
		t.Errorf("no such vCPU: %v", st)
	}
}

// The short way of CallIOReqDone takes what Do would, and nothing else: dom0's call
// has two arguments, the rest of its registers say nothing.
func TestHeir(t *testing.T) {
	r := newRig(t)
	g := r.create("guest")
	id, done := uint64(g.ID), uint64(abi.CallIOReqDone)
	for _, c := range []struct {
		from           *part.Domain
		rax, dom, vcpu uint64
		want           *part.VCPU
	}{
		{r.dom0, done, id, 0, g.VCPUs[0]},
		{r.dom0, done, id, 1, nil},
		{r.dom0, done, 9, 0, nil},
		{r.dom0, done, ^uint64(0), 0, nil},
		{r.dom0, uint64(abi.CallEventSend), id, 0, nil},
		{g, done, id, 0, nil},
	} {
		for _, rest := range []uint64{0, 1, ^uint64(0)} {
			regs := &x86.Regs{RAX: c.rax, RDI: c.dom, RSI: c.vcpu, RDX: rest, R8: rest, R9: rest}
			if got := r.c.Heir(c.from, regs); got != c.want {
				t.Errorf("domain %d, call %#x (%d, %d), rest %#x: %v", c.from.ID, c.rax, c.dom, c.vcpu, rest, got)
			}
			// Do agrees, unless the caller has no hypercalls of dom0.
			*c.from.VCPUs[0].HW.Regs() = *regs
			if got := r.c.Do(c.from.VCPUs[0]); c.rax == done && got != c.want {
				t.Errorf("domain %d, call %#x (%d, %d), rest %#x: Do gives %v", c.from.ID, c.rax, c.dom, c.vcpu, rest, got)
			}
		}
	}
}

func TestStartVCPU(t *testing.T) {
	r := newRig(t)
	if st, _ := r.call(r.dom0, abi.CallVCPUStart, 1, 0x1234, 0x5678, 9); st != abi.OK {
		t.Fatalf("start: %v", st)
	}
	if rdi := r.dom0.VCPUs[1].HW.Regs().RDI; rdi != 9 {
		t.Errorf("argument %d", rdi)
	}
	if st, _ := r.call(r.dom0, abi.CallVCPUStart, 1, 1, 1, 1); st != abi.Busy {
		t.Errorf("second start: %v", st)
	}
	if rdi := r.dom0.VCPUs[1].HW.Regs().RDI; rdi != 9 {
		t.Error("a refused start changed the registers of a running vCPU")
	}
	if st, _ := r.call(r.dom0, abi.CallVCPUStart, 2); st != abi.NoVCPU {
		t.Errorf("no such vCPU: %v", st)
	}
}

// Random calls of dom0 get an answer, and none breaks an invariant.
func TestRandomCalls(t *testing.T) {
	r := newRig(t)
	x := rand.New(rand.NewPCG(3, 4))
	arg := func() uint64 {
		switch x.IntN(4) {
		case 0:
			return x.Uint64N(4)
		case 1:
			return r.at + x.Uint64N(8*mm.MiB)&^7
		case 2:
			return x.Uint64N(1 << 20)
		}
		return x.Uint64()
	}
	for range 20000 {
		n := abi.CallBase + abi.Call(x.IntN(abi.NumCalls))
		st, _ := r.call(r.dom0, n, arg(), arg(), arg(), arg(), arg())
		if st >= abi.NumStatus {
			t.Fatalf("call %#x: status %d", uint64(n), st)
		}
	}
	if err := r.m.Frames.Check(); err != nil {
		t.Error(err)
	}
}

// A vCPU's CPUs are changed one by one, and only to CPUs that run vCPUs.
func TestAffinity(t *testing.T) {
	r := newRig(t)
	r.m.Sched = sched.New(sched.Config{CPUs: 4, First: 1, Tick: 1e7})
	a := abi.CreateArgs{VCPUs: 2, MaxBytes: mm.MiB}
	a.Name[0] = 'a'
	d, st := r.m.Create(&a)
	if st != abi.OK {
		t.Fatal(st)
	}
	do := func(vcpu, mask uint64, want abi.Status, cpus uint64) {
		t.Helper()
		if st, got := r.call(r.dom0, abi.CallDomAffinity, uint64(d.ID), vcpu, mask); st != want || got != cpus {
			t.Errorf("CPUs %#x of vCPU %d: %v, %#x", mask, vcpu, st, got)
		}
	}
	do(0, 0, abi.OK, 0b1110)
	do(1, 0b0100, abi.OK, 0b0100)
	do(1, 0, abi.OK, 0b0100)
	do(0, 0, abi.OK, 0b1110)
	do(1, 0b0101, abi.BadArg, 0b1110)  // hv's own
	do(1, 0b10010, abi.BadArg, 0b1110) // not there
	do(1, 0, abi.OK, 0b0100)
	do(2, 0, abi.NoVCPU, 0)
	do(1, ^uint64(0), abi.OK, 0b1110)
}

// Triggers reach the vCPU that is named, or the domain's buttons.
func TestTrigger(t *testing.T) {
	r := newRig(t)
	g := r.create("guest")
	id := uint64(g.ID)
	do := func(what abi.Trigger, vcpu uint64, want abi.Status, heard uint64) {
		t.Helper()
		if st, v := r.call(r.dom0, abi.CallDomTrigger, id, uint64(what), vcpu); st != want || st == abi.OK && v != heard {
			t.Errorf("trigger %d of vCPU %d: %v, %d", what, vcpu, st, v)
		}
	}
	do(abi.TriggerNMI, 0, abi.OK, 0)
	if !g.VCPUs[0].PendingNMI() {
		t.Error("no NMI")
	}
	do(abi.TriggerNMI, 99, abi.NoVCPU, 0)
	do(abi.TriggerPlug+1, 0, abi.BadArg, 0)
	do(abi.TriggerUnplug, 0, abi.BadArg, 0) // the boot processor
	do(abi.TriggerPlug, 0, abi.BadArg, 0)
	do(abi.TriggerPower, 0, abi.OK, 0)
	do(abi.TriggerSleep, 0, abi.OK, 0)
	dev, off, ok := g.Ports.Find(abi.PortPM1aEvt, 2)
	if !ok {
		t.Fatal("no PM1 event block")
	}
	if got := dev.Read(off, 2, 0); got&0x300 != 0x300 {
		t.Errorf("status %#x", got)
	}
	dev.Write(off+2, 2, 0x300, 0)
	do(abi.TriggerPower, 0, abi.OK, 1)
	do(abi.TriggerSleep, 0, abi.OK, 1)
	do(abi.TriggerInit, 0, abi.OK, 0)
	var info abi.DomainInfo
	g.Info(&info)
	if info.Shutdown != abi.ShutdownReboot {
		t.Errorf("INIT of the boot processor: %+v", info.Shutdown)
	}
}

// A function's registers are dom0's as long as the function is.
func TestPCIFunctionOfDom0(t *testing.T) {
	r := newRig(t)
	const addr = 8
	regs := uint64(0xe0) << 32
	do := func(want abi.Status, n abi.Call, a ...uint64) {
		t.Helper()
		st, _ := r.call(r.dom0, n, a...)
		for range 100 {
			if st != abi.Again {
				break
			}
			st, _ = r.call(r.dom0, n, a...)
		}
		if st != want {
			t.Errorf("call %#x %#x: %v, want %v", uint64(n), a, st, want)
		}
	}
	mapped := func() bool {
		at, _, attr, ok := r.dom0.Tables.Lookup(pt.Addr(regs))
		return ok && uint64(at) == regs && attr&(pt.RW|pt.Uncached|pt.Exec) == pt.RW|pt.Uncached
	}
	for range 2 {
		do(abi.Denied, abi.CallPCIMap, addr, 0)
		do(abi.OK, abi.CallPCIAssign, addr)
		do(abi.Exists, abi.CallPCIAssign, addr)
		do(abi.BadArg, abi.CallPCIMap, addr, 1)
		do(abi.Denied, abi.CallPCIMap, addr, 2) // RAM
		do(abi.OK, abi.CallPCIMap, addr, 0)
		do(abi.OK, abi.CallPCIMap, addr, 0)
		do(abi.OK, abi.CallPCIWrite, addr, 4, 2, 6)
		do(abi.BadArg, abi.CallPCIWrite, addr, 4, 2, 1<<32)
		do(abi.NoDevice, abi.CallIRQBind, addr, uint64(abi.IRQMSI), 0, abi.PortDevice)
		do(abi.BadArg, abi.CallIRQMask, 0, 1)
		do(abi.BadArg, abi.CallIRQUnbind, 0)
		if !mapped() {
			t.Error("registers are not mapped")
		}
		if r.dom0.Read(mm.GPA(regs), make([]byte, 4)) {
			t.Error("registers are an operand")
		}
		do(abi.OK, abi.CallPCIRelease, addr)
		if mapped() {
			t.Error("registers are still mapped")
		}
	}
	for _, n := range []abi.Call{abi.CallPCIAssign, abi.CallPCIMap, abi.CallPCIRelease, abi.CallIRQBind} {
		do(abi.NoDevice, n, 1<<32|addr)
		do(abi.NoDevice, n, 16<<8)
	}
}

// Functions are listed by index, and what is not there has no registers.
func TestPCI(t *testing.T) {
	r := newRig(t)
	for i, want := range []uint64{8, 0x10} {
		if st, n := r.call(r.dom0, abi.CallPCIFunction, uint64(i), r.at); st != abi.OK || n != 2 {
			t.Errorf("function %d: %v, %d", i, st, n)
		}
		var b [8]byte
		r.dom0.Read(mm.GPA(r.at), b[:])
		if got := binary.LittleEndian.Uint64(b[:]); got != want {
			t.Errorf("function %d is %#x", i, got)
		}
	}
	for _, i := range []uint64{2, 1 << 63, ^uint64(0)} {
		if st, n := r.call(r.dom0, abi.CallPCIFunction, i, r.at); st != abi.NoDevice || n != 2 {
			t.Errorf("function %d: %v, %d", i, st, n)
		}
	}
	for _, a := range []uint64{0, 1 << 32, 1<<32 | 8} {
		if st, _ := r.call(r.dom0, abi.CallPCIRead, a, 0, 4); st != abi.NoDevice {
			t.Errorf("register of %#x: %v", a, st)
		}
	}
}
