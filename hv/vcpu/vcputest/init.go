// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// An INIT may come in any state. After it nothing of that state is left: no event
// reaches the guest, and nothing holds back those that come then (SDM Vol. 3,
// "Processor State After Reset"; APM Vol. 2, "Processor Initialization State").

func initCases() []Case {
	return []Case{
		{"INIT forgets an event that was accepted", false, testInitQueued},
		{"INIT forgets an accepted event, and the guest runs", true, testInitAccepted},
		{"INIT forgets an event that an exit interrupted", true, testInitReplayed},
		{"INIT forgets windows and shutdowns that nobody saw", true, testInitOwed},
		{"INIT ends the blocking of NMIs", true, testInitNMI},
		{"INIT ends the shadow of STI", true, testInitSTI},
		{"INIT ends the shadow of MOV SS", true, testInitMOVSS},
		{"INIT forgets a single step that waits", true, testInitStep},
		{"INIT wakes a guest that halts", true, testInitHalted},
		{"local APIC: INIT forgets what it holds", true, testInitAPIC},
	}
}

var nmiEvent = vcpu.Event{Type: vcpu.NMI, Vector: x86.VecNMI}

// unmapped is a load from beyond RAM: mov eax, [0x3ff00000]. It exits, until the
// address that starts at its fourth byte is another one.
var unmapped = []byte{0x8b, 0x04, 0x25, 0, 0, 0xf0, 0x3f}

// afterInit resets v and runs new code, which starts at offset at: nop, nop, nop,
// hlt. before is what happens between. The guest must get as many interrupts as
// want says, and no exception.
func afterInit(t T, m Machine, v vcpu.VCPU, at uint64, want uint32, before func()) {
	vcpu.Reset(v)
	boot(m, v, []byte{0x90, 0x90, 0x90, 0xf4}, 2, 0x30, 0x31)
	v.Set(x86.RIP, GuestCode+at)
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	before()
	var x vcpu.Exit
	if Expect(t, m, v, &x, vcpu.HLT, 3) && count(m) != want {
		t.Errorf("%d events after INIT, want %d", count(m), want)
	}
}

func nothing() {}

// accepts checks that v takes e at once.
func accepts(t T, v vcpu.VCPU, e vcpu.Event) func() {
	return func() {
		if !v.Inject(e) {
			t.Errorf("%+v is refused after INIT", e)
		}
	}
}

func testInitQueued(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	v.Inject(irq(0x30))
	v.Inject(irq(0x31))
	vcpu.Reset(v)
	if v.Inject(irq(0x30)) {
		t.Errorf("accepted with the IF of before")
	}
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	accepts(t, v, irq(0x31))()
}

func testInitAccepted(t T, m Machine) {
	for _, e := range []vcpu.Event{
		irq(0x30), nmiEvent,
		{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true},
		{Type: vcpu.SoftInterrupt, Vector: 0x31},
	} {
		v := m.NewVCPU(t)
		boot(m, v, []byte{0x90, 0xf4})
		v.Set(x86.RFLAGS, 2|x86.FlagIF)
		v.Inject(e)
		afterInit(t, m, v, 0, 0, nothing)
		// The same when an entry was already prepared, and refused.
		v.Inject(e)
		v.Kick()
		var x vcpu.Exit
		if v.Run(m.CPU(), &x); x.Reason != vcpu.Interrupted {
			t.Errorf("%+v, want Interrupted", x)
		}
		afterInit(t, m, v, 0, 1, accepts(t, v, irq(0x30)))
		v.Free()
	}
}

func testInitReplayed(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	boot(m, v, []byte{0x90, 0x90, 0xf4}, 0x30)
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	v.Set(x86.RSP, 0x3ff0_0ff0)
	v.Inject(irq(0x30))
	var x vcpu.Exit
	if Expect(t, m, v, &x, vcpu.Memory, 0) {
		afterInit(t, m, v, 0, 1, accepts(t, v, irq(0x31)))
	}
}

func testInitOwed(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	v.Set(x86.RFLAGS, 2)
	v.Inject(irq(0x30)) // refused: a window is owed
	afterInit(t, m, v, 0, 0, nothing)
	v.Inject(vcpu.Event{Type: vcpu.HardException, Vector: 32}) // no CPU takes it
	afterInit(t, m, v, 0, 0, nothing)
}

func testInitNMI(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	boot(m, v, []byte{0x90, 0xf4})
	Handler(m, x86.VecNMI, GuestCode+0x200)
	copy(m.RAM()[GuestCode+0x200:], []byte{0x0f, 0xa2}) // cpuid
	v.Inject(nmiEvent)
	var x vcpu.Exit
	if Expect(t, m, v, &x, vcpu.CPUID, 0x200) {
		v.Inject(nmiEvent) // refused
		afterInit(t, m, v, 0, 1, accepts(t, v, nmiEvent))
	}
}

func testInitSTI(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	boot(m, v, append([]byte{0xfb}, unmapped...))
	var x vcpu.Exit
	if Expect(t, m, v, &x, vcpu.Memory, 1) {
		afterInit(t, m, v, 1, 1, accepts(t, v, irq(0x30)))
	}
}

// intoMOVSS runs v to the instruction behind mov ss, ecx.
func intoMOVSS(t T, m Machine, v vcpu.VCPU, flags uint64, x *vcpu.Exit) {
	boot(m, v, append([]byte{0x8e, 0xd1}, unmapped...))
	v.Regs().RCX = GuestDataSeg
	v.Set(x86.RFLAGS, 2|flags)
	Next(t, m, v, x)
}

func testInitMOVSS(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	var x vcpu.Exit
	intoMOVSS(t, m, v, x86.FlagIF, &x)
	if x.Reason != vcpu.Memory {
		t.Errorf("%+v, want Memory", x)
		return
	}
	afterInit(t, m, v, 2, 1, accepts(t, v, irq(0x30)))
	intoMOVSS(t, m, v, 0, &x)
	afterInit(t, m, v, 2, 1, accepts(t, v, nmiEvent))
}

// The trap of a single step waits behind MOV SS, in an entry that is prepared and
// refused. The guest does not run with TF: Bochs 2.7 does not come out of that on
// AMD-V.
func testInitStep(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	var x vcpu.Exit
	intoMOVSS(t, m, v, 0, &x)
	if x.Reason != vcpu.Memory {
		t.Errorf("%+v, want Memory", x)
		return
	}
	v.Set(x86.RFLAGS, 2|x86.FlagTF)
	v.Kick()
	if v.Run(m.CPU(), &x); x.Reason != vcpu.Interrupted {
		t.Errorf("%+v, want Interrupted", x)
	}
	afterInit(t, m, v, 2, 0, nothing)
}

func testInitHalted(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	boot(m, v, []byte{0xfb, 0xf4})
	var x vcpu.Exit
	if Expect(t, m, v, &x, vcpu.HLT, 1) {
		afterInit(t, m, v, 0, 0, nothing)
	}
}

// testInitAPIC leaves an interrupt in service, one that waits for it, and one that
// waits for a lower priority; none of it may reach the guest after INIT, or hold
// back an interrupt of then.
func testInitAPIC(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	a := bootAPIC(m, v, []apicOp{self(0xa2), window, self(0x95), cr8(11), post(0xb5), level(0xa7)})
	if !a.run(t, m) {
		return
	}
	vcpu.Reset(v)
	a.l.Init()
	code := append(apicOp{opWrite, x2(0x0f), 0x1ff}.emit(), window.emit()...)
	code = append(append(code, cr8(9).emit()...), post(0x85).emit()...)
	code = append(code, 0xfb)
	code = append(append(code, cr8(7).emit()...), 0x90, 0xfa, 0xf4)
	Boot64(m, v, code)
	apicHandlers(m, v)
	if !a.run(t, m) {
		return
	}
	if got := m.RAM()[apicLog : apicLog+2]; got[0] != 0x85 || got[1] != 0 {
		t.Errorf("delivered after INIT: %x, want 85 only", got)
	}
	a.sync()
	for _, reg := range []uint32{x86.APICISR, x86.APICIRR} {
		for i := range uint32(8) {
			want := uint64(0)
			if reg == x86.APICISR && i == 0x85>>5 {
				want = 1 << (0x85 & 31)
			}
			if got, _ := a.l.ReadMSR(x2(reg+i), 0); got != want {
				t.Errorf("register %#x is %#x after INIT, want %#x", reg+i, got, want)
			}
		}
	}
}
