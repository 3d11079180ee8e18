// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package run

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/boot/mce"
	"ringo/hv/abi"
	"ringo/hv/internal/event"
	"ringo/hv/internal/hcall"
	"ringo/hv/internal/part"
	"ringo/hv/internal/pcpu"
	"ringo/hv/internal/policy"
	"ringo/hv/internal/sched"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/frame"
	"ringo/mm/phys/phystest"
	"ringo/mm/pt"
)

// rig is a machine of recording memory with a scripted backend and one CPU.
type rig struct {
	t      *testing.T
	m      *part.Machine
	mem    *phystest.Memory
	b      *vcputest.Backend
	r      *Runner
	now    uint64
	pages  map[mm.HPA]*abi.IOReqPage
	shared abi.SharedInfo
	ended  string
	kicks  []int
	dom0   *part.Domain
	mc     mce.Report // of the next machine check
	lost   []uint64   // pages that have failed
	irqs   []uint8    // vectors that have interrupted
	raised uint32     // not zero: there may be some
}

// nextIRQ takes an interrupt of a device.
func (g *rig) nextIRQ() (vector uint8, ok bool) {
	if len(g.irqs) == 0 {
		g.raised = 0
		return 0, false
	}
	vector, g.irqs = g.irqs[0], g.irqs[1:]
	return vector, true
}

func (g *rig) lostPage() (page uint64, ok bool) {
	if len(g.lost) == 0 {
		return 0, false
	}
	page, g.lost = g.lost[0], g.lost[1:]
	return page, true
}

const ramBase, ramSize = 16 * mm.MiB, 48 * mm.MiB

func newRig(t *testing.T) *rig {
	g := &rig{t: t, mem: phystest.New(t), b: vcputest.NewBackend(), now: 1000, pages: map[mm.HPA]*abi.IOReqPage{}}
	g.mem.Declare(ramBase, ramSize)
	g.mem.Quiet(true)
	g.b.Format = *pt.NPT(true)
	ram := []mm.Range[mm.HPA]{{Start: ramBase, Size: ramSize}}
	size, err := frame.MetaBytes(ram)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := frame.New(g.mem, ram, make([]uint32, size/4))
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Add(ram[0]); err != nil {
		t.Fatal(err)
	}
	cpu := &pcpu.CPU{}
	g.m = &part.Machine{
		Backend: g.b, Frames: pool, Phys: g.mem, Sched: sched.New(sched.Config{CPUs: 1, Tick: 1e7}), TSCHz: 1e9,
		CPUs:      []*pcpu.CPU{cpu},
		HostCPUID: func(leaf, sub uint32) policy.Result { return policy.Result{} },
		TSC:       func() uint64 { return g.now },
		ThisCPU:   func() int { return 0 },
		Kick:      func(c int) { g.kicks = append(g.kicks, c) },
		Dom0Ended: func(r abi.Shutdown, why string) { g.ended = why },
		IOReqPage: func(a mm.HPA) *abi.IOReqPage {
			p := new(abi.IOReqPage)
			g.pages[a] = p
			return p
		},
	}
	g.m.Events = event.New(&g.shared, func(vector uint8) {
		if v := g.dom0.VCPUs[0]; v.APIC.SetIRR(vector, false) {
			v.Notify()
		}
	})
	g.dom0, _, err = g.m.CreateDom0(1, 8*mm.MiB)
	if err != nil {
		t.Fatal(err)
	}
	g.r = New(cpu, g.m, &hcall.Services{}, Host{
		Now: g.m.TSC, Wait: func(uint64) { g.now += 1000 }, Arm: func(uint64) {},
		MachineCheck: func() mce.Report { return g.mc }, LostPage: g.lostPage, NextIRQ: g.nextIRQ, Raised: &g.raised,
	})
	return g
}

// guest makes a domain of 4 MiB with a running vCPU whose exits are steps.
func (g *rig) guest(name string, steps ...vcputest.Step) (*part.Domain, *vcputest.VCPU) {
	g.t.Helper()
	a := &abi.CreateArgs{VCPUs: 1, MaxBytes: 4*mm.MiB + 2*mm.PageSize}
	copy(a.Name[:], name)
	d, st := g.m.Create(a)
	if st != abi.OK {
		g.t.Fatalf("create %s: %v", name, st)
	}
	for st = abi.Again; st == abi.Again; {
		st = d.Populate(0, 4*mm.MiB, abi.RAMWritable)
	}
	if st != abi.OK {
		g.t.Fatalf("populate: %v", st)
	}
	made := g.b.Made()
	v := made[len(made)-1]
	v.Steps = steps
	if st := d.VCPUs[0].SetContext(&abi.VCPUContext{RIP: 0x1000, RFLAGS: 2, Online: 1}); st != abi.OK {
		g.t.Fatalf("context: %v", st)
	}
	v.Calls = nil
	return d, v
}

// run lets the CPU work until nothing is runnable.
func (g *rig) run() {
	for range 1000 {
		if !g.r.turn() {
			return
		}
		g.now += 10
	}
	g.t.Fatal("the CPU does not come to rest")
}

func exit(r vcpu.Reason, n uint8) vcputest.Step {
	return vcputest.Step{Exit: vcpu.Exit{Reason: r, Len: n}}
}

func info(d *part.Domain) (in abi.DomainInfo) {
	d.Info(&in)
	return in
}

func TestCPUIDAndHalt(t *testing.T) {
	g := newRig(t)
	step := exit(vcpu.CPUID, 2)
	step.Guest = func(v *vcputest.VCPU) { v.Registers.RAX = abi.CPUIDBase }
	d, v := g.guest("a", step, exit(vcpu.HLT, 1))
	d.Unpause()
	g.run()
	want := uint64(abi.Signature[0]) | uint64(abi.Signature[1])<<8 | uint64(abi.Signature[2])<<16 | uint64(abi.Signature[3])<<24
	if v.Registers.RBX != want {
		t.Errorf("RBX %#x, want the signature %#x", v.Registers.RBX, want)
	}
	if v.State[x86.RIP] != 0x1003 {
		t.Errorf("RIP %#x, want 0x1003", v.State[x86.RIP])
	}
	if s := info(d).State; s != abi.StateBlocked {
		t.Errorf("state %#x, want blocked", s)
	}
	if n := info(d).Exits; n != 2 {
		t.Errorf("%d exits counted, want 2", n)
	}
}

func TestCrashEndsOnlyTheGuest(t *testing.T) {
	for _, c := range []struct {
		reason vcpu.Reason
		why    string
		state  uint32
		end    abi.Shutdown
	}{
		// As on a PC: a reset.
		{vcpu.Shutdown, "triple fault", abi.StateShutdown, abi.ShutdownReboot},
		{vcpu.Unknown, "exit that the hypervisor does not know", abi.StateShutdown | abi.StateCrashed, abi.ShutdownCrash},
		{200, "exit that the hypervisor does not know", abi.StateShutdown | abi.StateCrashed, abi.ShutdownCrash},
	} {
		g := newRig(t)
		d, _ := g.guest("bad", exit(c.reason, 0))
		good, gv := g.guest("good", exit(vcpu.Cache, 2), exit(vcpu.HLT, 1))
		d.Unpause()
		good.Unpause()
		g.run()
		in := info(d)
		why := string(in.Why[:len(c.why)])
		if in.State != c.state || in.Shutdown != c.end || why != c.why {
			t.Errorf("state %#x, shutdown %d, why %q; want %#x, %d, %q", in.State, in.Shutdown, why, c.state, c.end, c.why)
		}
		if g.shared.Pending[0]&(1<<abi.PortDomainState) == 0 {
			t.Error("dom0 was not told")
		}
		if gv.State[x86.RIP] != 0x1003 || info(good).State != abi.StateBlocked {
			t.Error("the other guest did not go on")
		}
	}
}

func TestForward(t *testing.T) {
	g := newRig(t)
	in := vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.IO, Len: 1, IO: vcpu.IOExit{Port: 0x3fd, Size: 1, In: true}}}
	none := vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.IO, Len: 2, IO: vcpu.IOExit{Port: 0x1234, Size: 2, In: true}}}
	d, v := g.guest("a", in, none, exit(vcpu.HLT, 1))
	if st := d.Claim(abi.SpacePort, 0x3f8, 8, 0); st != abi.OK {
		t.Fatal(st)
	}
	if st := d.Claim(abi.SpacePort, 0x3ff, 1, 0); st != abi.Exists {
		t.Errorf("overlapping claim: %v", st)
	}
	v.Registers.RAX = 0x1122334455667788
	d.Unpause()
	g.run()
	q := &d.IOReq.Slot[0]
	if q.State != abi.IOReqReady || q.Addr != 0x3fd || q.Read != 1 || q.Size != 1 {
		t.Fatalf("slot %+v", *q)
	}
	if w := d.Port / 64; g.shared.Pending[w]>>(d.Port%64)&1 == 0 {
		t.Error("dom0 was not told")
	}
	g.run() // still blocked
	if v.Next != 1 || v.Registers.RAX != 0x1122334455667788 {
		t.Fatal("the guest went on without an answer")
	}
	q.Data = 0xffff_ff60 // more than a byte: dom0 is not believed
	q.State = abi.IOReqDone
	if g := d.VCPUs[0]; g.Answered() {
		g.WakeHere(0, d.Machine().Now())
	}
	g.run()
	if v.Registers.RAX != 0x112233445566ffff || v.State[x86.RIP] != 0x1004 {
		t.Errorf("RAX %#x RIP %#x", v.Registers.RAX, v.State[x86.RIP])
	}
}

// The vCPU whose access was answered goes before dom0, unless dom0 has an
// interrupt to take. A timer of dom0 that is due meanwhile is not forgotten.
func TestHandOver(t *testing.T) {
	const pending, timer = 0x50, 0x60
	interrupt := func(v *part.VCPU, _ uint64) { v.APIC.SetIRR(pending, false); v.Notify() }
	arm := func(v *part.VCPU, now uint64) {
		v.APIC.Write(0x3e0, 4, 0xb, now) // count by 1
		v.APIC.Write(0x320, 4, timer, now)
		v.APIC.Write(0x380, 4, 500, now)
	}
	for _, c := range []struct {
		name string
		do   func(v *part.VCPU, now uint64) // by dom0, before it says that it has answered
		want []string
	}{
		{"nothing", func(*part.VCPU, uint64) {}, []string{"dom0", "guest", "dom0 again"}},
		{"interrupt", interrupt, []string{"dom0", "dom0 again 0x50", "guest"}},
		{"timer", arm, []string{"dom0", "guest", "dom0 again 0x60"}},
	} {
		g := newRig(t)
		var order []string
		in := vcputest.Step{Exit: vcpu.Exit{Reason: vcpu.IO, Len: 1, IO: vcpu.IOExit{Port: 0x3fd, Size: 1, In: true}}}
		in.Guest = func(*vcputest.VCPU) { g.now += 1e6 } // by its account, dom0 goes first
		next := exit(vcpu.HLT, 1)
		next.Guest = func(*vcputest.VCPU) {
			order = append(order, "guest")
			g.now += 1e6
		}
		d, v := g.guest("a", in, next)
		if st := d.Claim(abi.SpacePort, 0x3f8, 8, 0); st != abi.OK {
			t.Fatal(st)
		}
		d.Unpause()
		g.run()

		dom0 := g.dom0.VCPUs[0]
		done := exit(vcpu.Hypercall, 3)
		done.Guest = func(v *vcputest.VCPU) {
			order = append(order, "dom0")
			d.IOReq.Slot[0].Data = 0x60
			r := &v.Registers
			r.RAX, r.RDI, r.RSI = uint64(abi.CallIOReqDone), uint64(d.ID), 0
			c.do(dom0, g.now)
		}
		rest := exit(vcpu.HLT, 1)
		rest.Guest = func(v *vcputest.VCPU) {
			what := "dom0 again"
			if n := len(v.Calls); n > 0 && v.Calls[n-1].Op == vcputest.OpDeliver {
				what = fmt.Sprintf("%s %#x", what, v.Calls[n-1].Event.Vector)
			}
			order = append(order, what)
		}
		dom0.APIC.Write(0xf0, 4, 0x1ff, g.now)
		dom0.HW.(*vcputest.VCPU).Steps = []vcputest.Step{done, rest}
		dom0.SetContext(&abi.VCPUContext{RIP: 0x1000, RFLAGS: 2 | x86.FlagIF, Online: 1})
		g.dom0.Unpause()
		g.run()
		if diff := cmp.Diff(c.want, order); diff != "" || v.Registers.RAX&0xff != 0x60 {
			t.Errorf("%s: RAX %#x %s", c.name, v.Registers.RAX, diff)
		}
	}
}

func TestDestroyReturnsEveryByte(t *testing.T) {
	g := newRig(t)
	free := g.m.Frames.FreeBytes()
	for range 3 {
		d, _ := g.guest("a", exit(vcpu.HLT, 1))
		var l abi.ExtentList
		st := abi.Again
		for st == abi.Again {
			st = d.MapInto(&l)
		}
		if st != abi.OK || l.Count == 0 {
			t.Fatalf("map: %v, %d extents", st, l.Count)
		}
		hpa := mm.HPA(l.E[0].HPA)
		if !g.dom0.Write(mm.GPA(hpa), []byte("secret")) {
			t.Fatal("dom0 cannot write what it mapped")
		}
		d.Unpause()
		g.run()
		for n := 0; ; n++ {
			st := d.Destroy()
			if st == abi.OK {
				break
			}
			if st != abi.Again || n > 1000 {
				t.Fatalf("destroy: %v after %d calls", st, n)
			}
		}
		if g.m.Find(uint64(d.ID)) != nil {
			t.Error("the domain is still there")
		}
		if got := g.m.Frames.FreeBytes(); got != free {
			t.Fatalf("%d bytes free, %d before", got, free)
		}
		if g.dom0.Write(mm.GPA(hpa), []byte("x")) {
			t.Error("dom0 can still write the freed memory")
		}
		var b [6]byte
		g.mem.Read(hpa, b[:])
		if string(b[:]) == "secret" {
			t.Error("freed memory was not scrubbed")
		}
	}
}

func TestPauseUnpause(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a", exit(vcpu.Cache, 2), exit(vcpu.HLT, 1))
	d.Unpause()
	if st := d.Pause(); st != abi.OK {
		t.Fatalf("pause: %v", st)
	}
	g.run()
	if v.State[x86.RIP] != 0x1000 || info(d).State != abi.StatePaused {
		t.Errorf("a paused guest ran: RIP %#x state %#x", v.State[x86.RIP], info(d).State)
	}
	d.Unpause()
	g.run()
	if v.State[x86.RIP] != 0x1003 {
		t.Errorf("RIP %#x after unpause", v.State[x86.RIP])
	}
}

// No handler that answers a guest's exit by itself allocates.
func TestHandlersDoNotAllocate(t *testing.T) {
	g := newRig(t)
	d, v := g.guest("a")
	p := d.VCPUs[0]
	d.Unpause()
	e, _, _ := g.m.Sched.Pick(0, g.now)
	if e == nil || !p.Begin(g.r.cpu, g.now) {
		t.Fatal("not runnable")
	}
	g.r.until = ^uint64(0)
	for reason := range vcpu.NumReasons {
		if reason == vcpu.Shutdown || reason == vcpu.Unknown || reason == vcpu.TSC || reason == vcpu.TaskSwitch ||
			reason == vcpu.Invalid || reason == vcpu.Lost || reason == vcpu.Memory || reason == vcpu.CRRead || reason == vcpu.CRWrite || reason == vcpu.DRWrite {
			continue // they end the guest, or need its code
		}
		x := &p.Exit
		n := testing.AllocsPerRun(100, func() {
			*x = vcpu.Exit{Reason: reason, Len: 2, IO: vcpu.IOExit{Port: 0x80, Size: 1}}
			v.Registers.RAX, v.Registers.RCX = uint64(abi.CallNop), x86.MSRAPICBase
			if handlers[reason](g.r, p, x) == rare {
				rarely(g.r, p, x)
			}
			v.Calls = v.Calls[:0]
			p.SetWait(part.WaitNothing)
		})
		if n != 0 {
			t.Errorf("handler of %v allocates %v times", reason, n)
		}
	}
	x := &vcpu.Exit{Reason: vcpu.CPUID}
	if n := testing.AllocsPerRun(100, func() {
		p.SetAttention()
		g.r.attend(p, g.now)
		g.r.cpu.Record(p.Tag, x.Reason, x)
		v.Calls = v.Calls[:0]
	}); n != 0 {
		t.Errorf("the loop allocates %v times", n)
	}
}

// dom0 faults on memory of others, and on nothing else.
func TestTrespass(t *testing.T) {
	g := newRig(t)
	g.m.RAM = []mm.Range[mm.HPA]{{Start: ramBase, Size: ramSize}}
	d, _ := g.guest("a")
	v := g.dom0.VCPUs[0]
	hw := v.HW.(*vcputest.VCPU)
	x := &v.Exit
	for _, gpa := range []mm.GPA{ramBase + ramSize - 8, ramBase + 30*mm.MiB} {
		for _, write := range []bool{false, true} {
			hw.Calls, hw.HasPending = nil, false
			*x = vcpu.Exit{Reason: vcpu.Memory, Mem: vcpu.MemExit{GPA: gpa, Write: write}}
			if a := memory(g.r, v, x); a != resume {
				t.Errorf("action %d", a)
			}
			want := vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true}
			if !hw.HasPending || hw.Pending != want {
				t.Errorf("GPA %#x: pending %v, %+v", gpa, hw.HasPending, hw.Pending)
			}
		}
	}
	for _, c := range []struct {
		d   *part.Domain
		gpa mm.GPA
	}{{g.dom0, ramBase - 8}, {g.dom0, ramBase + ramSize}, {g.dom0, mm.GPA(abi.LAPICBase)}, {d, ramBase + 30*mm.MiB}} {
		if c.d.Foreign(c.gpa) {
			t.Errorf("domain %d: %#x is memory of others", c.d.ID, c.gpa)
		}
	}
}
