// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

func runCases() []Case {
	return []Case{
		{"CPUID exits, and its answer reaches the guest", true, testCPUID},
		{"prefixed instructions are not cut short", true, testPrefix},
		{"what exits cost is counted", true, testMeter},
		{"port accesses", true, testPorts},
		{"MSR accesses", true, testMSR},
		{"HLT and WBINVD", true, testPlain},
		{"access to unmapped memory", true, testMemory},
		{"a triple fault is a shutdown", true, testTripleFault},
		{"an interrupt waits for its window", true, testWindow},
		{"an interrupt waits for the shadow of STI", true, testShadow},
		{"an injected exception reaches its handler", true, testException},
		{"an event interrupted by an exit is delivered after it", true, testReplay},
		{"NMIs are blocked until IRET", true, testNMI},
		{"control registers", true, testCR},
		{"control register bits", true, testCRBits},
		{"debug registers are per vCPU", true, testDR},
		{"Kick ends a run", true, testKick},
		{"real mode from the reset state", true, testRealMode},
	}
}

func testCPUID(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// mov eax, 0x40000000; cpuid; cmp ebx, 0x11223344; jne +1; hlt; ud2
	Boot64(m, v, []byte{0xb8, 0, 0, 0, 0x40, 0x0f, 0xa2, 0x81, 0xfb, 0x44, 0x33, 0x22, 0x11, 0x75, 1, 0xf4, 0x0f, 0x0b})
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.CPUID, 5) {
		return
	}
	if uint32(v.Regs().RAX) != 0x4000_0000 || x.CPL != 0 || x.Len != 0 && x.Len != 2 {
		t.Errorf("RAX %#x, %+v", v.Regs().RAX, x)
	}
	v.Regs().RBX = 0x1122_3344
	Skip(v, &x, Length(&x))
	Expect(t, m, v, &x, vcpu.HLT, 15)
}

func testMeter(t T, m Machine) {
	const rounds = 5
	v := m.NewVCPU(t)
	defer v.Free()
	// loop: cpuid; jmp loop
	Boot64(m, v, []byte{0x0f, 0xa2, 0xeb, 0xfc})
	var x vcpu.Exit
	for range rounds + 1 { // the last one counts at the next entry only
		if !Expect(t, m, v, &x, vcpu.CPUID, 0) {
			return
		}
		Skip(v, &x, 2)
	}
	own := v
	if w, ok := v.(interface{ Unwrap() vcpu.VCPU }); ok {
		own = w.Unwrap()
	}
	_, costs := own.(vcpu.Metered).Meter()
	c, sum := &costs[vcpu.CPUID], uint64(0)
	for _, n := range c.Hist {
		sum += uint64(n)
	}
	if c.Count != rounds || sum != rounds || c.Cycles == 0 || c.Quantile(1000) < c.Cycles/rounds {
		t.Errorf("%+v after %d rounds", c, rounds)
	}
	if first := &costs[vcpu.NumReasons]; first.Count != 1 {
		t.Errorf("%d first entries", first.Count)
	}
}

func testPrefix(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// loop: rep rep cpuid; cpuid; jmp loop
	Boot64(m, v, []byte{0xf3, 0xf3, 0x0f, 0xa2, 0x0f, 0xa2, 0xeb, 0xf8})
	var x vcpu.Exit
	for range 3 {
		for _, step := range []struct {
			at uint64
			n  uint8
		}{{0, 4}, {4, 2}} {
			if !Expect(t, m, v, &x, vcpu.CPUID, step.at) {
				return
			}
			if x.Len != 0 && x.Len != step.n {
				t.Errorf("length %d, want %d or 0", x.Len, step.n)
			}
			Skip(v, &x, step.n)
		}
	}
}

func testPorts(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	Boot64(m, v, []byte{
		0x66, 0xba, 0xf8, 0x03, // 0: mov dx, 0x3f8
		0xb0, 0x41, // 4: mov al, 0x41
		0xee,             // 6: out dx, al
		0xed,             // 7: in eax, dx
		0x66, 0xe5, 0x60, // 8: in ax, 0x60
		0xbf, 0, 0x80, 0, 0, // 11: mov edi, GuestData
		0xb9, 2, 0, 0, 0, // 16: mov ecx, 2
		0xf3, 0x6c, // 21: rep insb
	})
	var x vcpu.Exit
	for _, step := range []struct {
		at   uint64
		n    uint8
		want vcpu.IOExit
	}{
		{6, 1, vcpu.IOExit{Port: 0x3f8, Size: 1}},
		{7, 1, vcpu.IOExit{Port: 0x3f8, Size: 4, In: true}},
		{8, 3, vcpu.IOExit{Port: 0x60, Size: 2, In: true}},
		{21, 2, vcpu.IOExit{Port: 0x3f8, Size: 1, In: true, String: true}},
	} {
		if !Expect(t, m, v, &x, vcpu.IO, step.at) {
			return
		}
		if x.IO != step.want || x.Len != 0 && x.Len != step.n {
			t.Errorf("got %+v, length %d; want %+v, length %d", x.IO, x.Len, step.want, step.n)
		}
		Skip(v, &x, step.n)
	}
}

func testMSR(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	Boot64(m, v, []byte{
		0xb9, 0x1b, 0, 0, 0, // 0: mov ecx, 0x1b
		0x0f, 0x32, // 5: rdmsr
		0x0f, 0x30, // 7: wrmsr
		0xb9, 0x82, 0, 0, 0xc0, // 9: mov ecx, LSTAR
		0xb8, 0x78, 0x56, 0x34, 0x12, // 14: mov eax, 0x12345678
		0x31, 0xd2, // 19: xor edx, edx
		0x0f, 0x30, // 21: wrmsr
		0xb9, 0x77, 2, 0, 0, // 23: mov ecx, PAT
		0x0f, 0x32, // 28: rdmsr
	})
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.RDMSR, 5) || v.Regs().RCX != 0x1b {
		return
	}
	v.Regs().RAX, v.Regs().RDX = 0xfee0_0900, 1
	Skip(v, &x, Length(&x))
	if !Expect(t, m, v, &x, vcpu.WRMSR, 7) || v.Regs().RAX != 0xfee0_0900 || v.Regs().RDX != 1 {
		t.Errorf("RDX:RAX %#x:%#x", v.Regs().RDX, v.Regs().RAX)
		return
	}
	Skip(v, &x, Length(&x))
	// LSTAR may exit or not; then the answer is Set.
	Next(t, m, v, &x)
	if x.Reason == vcpu.WRMSR && v.Regs().RCX == x86.MSRLSTAR {
		v.Set(x86.LSTAR, v.Regs().RAX)
		Skip(v, &x, Length(&x))
		Next(t, m, v, &x)
	}
	if got := v.Get(x86.LSTAR); got != 0x1234_5678 {
		t.Errorf("LSTAR %#x", got)
	}
	if x.Reason != vcpu.RDMSR || x.RIP != GuestCode+28 {
		t.Errorf("RDMSR of PAT: %+v", x)
	}
}

func testPlain(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// hlt; wbinvd; hlt
	Boot64(m, v, []byte{0xf4, 0x0f, 0x09, 0xf4})
	var x vcpu.Exit
	for _, step := range []struct {
		reason vcpu.Reason
		at     uint64
	}{{vcpu.HLT, 0}, {vcpu.Cache, 1}, {vcpu.HLT, 3}} {
		if !Expect(t, m, v, &x, step.reason, step.at) {
			return
		}
		Skip(v, &x, Length(&x))
	}
}

func testMemory(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// mov ebx, 0x3ff00000 (within the guest's tables, beyond RAM);
	// mov [rbx+8], eax; mov eax, [rbx]; jmp rbx
	Boot64(m, v, []byte{0xbb, 0, 0, 0xf0, 0x3f, 0x89, 0x43, 8, 0x8b, 0x03, 0xff, 0xe3})
	var x vcpu.Exit
	for _, step := range []struct {
		at   uint64
		n    uint8
		want vcpu.MemExit
	}{
		{5, 3, vcpu.MemExit{GPA: 0x3ff0_0008, Write: true}},
		{8, 2, vcpu.MemExit{GPA: 0x3ff0_0000}},
		{0x3ff0_0000 - GuestCode, 0, vcpu.MemExit{GPA: 0x3ff0_0000, Fetch: true}},
	} {
		if !Expect(t, m, v, &x, vcpu.Memory, step.at) {
			return
		}
		if x.Mem != step.want {
			t.Errorf("got %+v, want %+v", x.Mem, step.want)
		}
		Skip(v, &x, step.n)
	}
}

func testTripleFault(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	Boot64(m, v, []byte{0x0f, 0x0b})
	v.Set(x86.IDTRLimit, 0)
	var x vcpu.Exit
	Next(t, m, v, &x)
	if x.Reason != vcpu.Shutdown {
		t.Errorf("exit %+v", x)
	}
}

func testCR(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// mov cr0, rbx; mov rcx, cr0; mov cr4, rdx; mov rax, cr3; hlt
	Boot64(m, v, []byte{0x0f, 0x22, 0xc3, 0x0f, 0x20, 0xc1, 0x0f, 0x22, 0xe2, 0x0f, 0x20, 0xd8, 0xf4})
	v.Regs().RBX = 0xc001_0033
	v.Regs().RDX = x86.CR4PAE | x86.CR4PSE // some CPUs check the value first
	var x vcpu.Exit
	if !expectCR(t, m, v, &x, vcpu.CRWrite, 0, 0, 3) {
		return
	}
	v.Set(x86.CR0, v.Regs().RBX)
	Skip(v, &x, Length(&x))
	// CD is not the real one: reads must show it. Some CPUs do that without an
	// exit.
	Next(t, m, v, &x)
	if x.Reason == vcpu.CRRead {
		v.Regs().RCX = v.Get(x86.CR0)
		Skip(v, &x, Length(&x))
		Next(t, m, v, &x)
	}
	if got := v.Regs().RCX; got != v.Regs().RBX {
		t.Errorf("CR0 reads %#x, want %#x", got, v.Regs().RBX)
	}
	if !isCR(t, &x, vcpu.CRWrite, 6, 4, 2) {
		return
	}
	Skip(v, &x, Length(&x))
	if Expect(t, m, v, &x, vcpu.HLT, 12) && v.Regs().RAX != guestPML4 {
		t.Errorf("CR3 %#x", v.Regs().RAX)
	}
}

// testCRBits: what a guest writes to bits that a CPU may leave to it is what it and
// the hypervisor read.
func testCRBits(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// mov cr0, rbx; mov cr4, rdx; mov rcx, cr0; mov rax, cr4; hlt
	Boot64(m, v, []byte{0x0f, 0x22, 0xc3, 0x0f, 0x22, 0xe2, 0x0f, 0x20, 0xc1, 0x0f, 0x20, 0xe0, 0xf4})
	const cr0, cr4 = 0x8001_0033 | x86.CR0TS | x86.CR0AM, x86.CR4PAE | x86.CR4PGE | x86.CR4DE
	const table, base = 0x7_7000, 0x9_9000
	v.Set(x86.GDTRBase, table)
	gs := v.Segment(x86.GS)
	gs.Base = base
	v.SetSegment(x86.GS, gs)
	g := v.Regs()
	g.RBX, g.RDX = cr0, cr4
	var x vcpu.Exit
	for Next(t, m, v, &x); x.Reason == vcpu.CRWrite || x.Reason == vcpu.CRRead; Next(t, m, v, &x) {
		switch x.RIP - GuestCode {
		case 0:
			v.Set(x86.CR0, g.RBX)
		case 3:
			v.Set(x86.CR4, g.RDX)
		case 6:
			g.RCX = v.Get(x86.CR0)
		case 9:
			g.RAX = v.Get(x86.CR4)
		}
		Skip(v, &x, Length(&x))
	}
	check := func(when string) {
		var s vcpu.Snapshot
		v.Snapshot(&s)
		if a, b := v.Get(x86.CR0), v.Get(x86.CR4); a != cr0 || b != cr4 || s.CR0 != cr0 || s.CR4 != cr4 {
			t.Errorf("%s: CR0 %#x, %#x, want %#x; CR4 %#x, %#x, want %#x", when, a, s.CR0, uint64(cr0), b, s.CR4, uint64(cr4))
		}
	}
	if x.Reason != vcpu.HLT || g.RCX != cr0 || g.RAX != cr4 {
		t.Errorf("%+v, the guest reads %#x and %#x", x, g.RCX, g.RAX)
	}
	check("after the exit")
	v.Leave()
	check("off the CPU")
	// Its CPU has turned to another one, which stays there.
	b := m.NewVCPU(t)
	defer b.Free()
	Boot64(m, b, []byte{0xf4, 0x90, 0xf4})
	Expect(t, m, b, &x, vcpu.HLT, 0)
	if got, seg := v.Get(x86.GDTRBase), v.Segment(x86.GS); got != table || seg != gs {
		t.Errorf("off the CPU: GDTR %#x, GS %+v, want %#x and %+v", got, seg, uint64(table), gs)
	}
	Skip(b, &x, 1)
	Expect(t, m, b, &x, vcpu.HLT, 2)
}

// expectCR runs v to an access of a control register.
func expectCR(t T, m Machine, v vcpu.VCPU, x *vcpu.Exit, reason vcpu.Reason, at uint64, cr, gpr uint8) bool {
	Next(t, m, v, x)
	return isCR(t, x, reason, at, cr, gpr)
}

func isCR(t T, x *vcpu.Exit, reason vcpu.Reason, at uint64, cr, gpr uint8) bool {
	if x.Reason != reason || x.RIP != GuestCode+at || x.CR.Known && (x.CR.CR != cr || x.CR.GPR != gpr) {
		t.Errorf("%+v, want reason %d at %#x, CR%d, register %d", *x, reason, GuestCode+at, cr, gpr)
		return false
	}
	return true
}

// drGuest: mov dr0, rbx; mov rcx, dr0; hlt
var drGuest = []byte{0x0f, 0x23, 0xc3, 0x0f, 0x21, 0xc1, 0xf4}

func testDR(t T, m Machine) {
	a, b := m.NewVCPU(t), m.NewVCPU(t)
	defer a.Free()
	defer b.Free()
	var x vcpu.Exit
	run := func(v vcpu.VCPU, code []byte, rbx uint64) uint64 {
		Boot64(m, v, code)
		v.Regs().RBX = rbx
		Next(t, m, v, &x)
		for ; x.Reason == vcpu.DRAccess || x.Reason == vcpu.DRWrite; Next(t, m, v, &x) {
			if x.Reason == vcpu.DRWrite {
				v.Set(x86.DR0+x86.Reg(x.CR.CR), v.Regs().RBX)
				Skip(v, &x, 3)
			}
		}
		if x.Reason != vcpu.HLT {
			t.Errorf("%+v, want HLT", x)
		}
		return v.Regs().RCX
	}
	if got := run(a, drGuest, 0x1111_2222); got != 0x1111_2222 || a.Get(x86.DR0) != got {
		t.Errorf("DR0 %#x, read by Get %#x", got, a.Get(x86.DR0))
	}
	if got := run(b, drGuest[3:], 0); got != 0 {
		t.Errorf("DR0 of one vCPU is %#x in another", got)
	}
	if got := run(a, drGuest[3:], 0); got != 0x1111_2222 {
		t.Errorf("DR0 %#x after another vCPU ran", got)
	}
}

func testKick(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	Boot64(m, v, []byte{0x90, 0xf4})
	v.Kick()
	var x vcpu.Exit
	v.Run(m.CPU(), &x)
	if x.Reason != vcpu.Interrupted || x.RIP != GuestCode {
		t.Errorf("%+v, want Interrupted before the first instruction", x)
	}
	Expect(t, m, v, &x, vcpu.HLT, 1)
}

func testRealMode(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// mov ax, 0x1234; out 0x80, ax; mov bx, cs; hlt
	copy(m.RAM()[0x6000:], []byte{0xb8, 0x34, 0x12, 0xe7, 0x80, 0x8c, 0xcb, 0xf4})
	v.SetSegment(x86.CS, x86.Segment{Selector: 0x600, Base: 0x6000, Limit: 0xffff, Access: 0x9b})
	v.Set(x86.RIP, 0)
	var x vcpu.Exit
	Next(t, m, v, &x)
	want := vcpu.IOExit{Port: 0x80, Size: 2}
	if x.Reason != vcpu.IO || x.IO != want || uint16(v.Regs().RAX) != 0x1234 || x.RIP != 3 {
		t.Errorf("%+v, RAX %#x", x, v.Regs().RAX)
		return
	}
	Skip(v, &x, 2)
	Next(t, m, v, &x)
	if x.Reason != vcpu.HLT || x.RIP != 7 || uint16(v.Regs().RBX) != 0x600 {
		t.Errorf("%+v, BX %#x", x, v.Regs().RBX)
	}
}
