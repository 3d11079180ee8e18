// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"encoding/binary"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// handlerAt is where cases put interrupt handlers, relative to GuestCode.
const handlerAt = 0x100

// counter is a handler: inc dword [GuestData]; iretq.
var counter = []byte{0xff, 0x04, 0x25, 0, 0x80, 0, 0, 0x48, 0xcf}

func boot(m Machine, v vcpu.VCPU, code []byte, vectors ...uint8) {
	Boot64(m, v, code)
	copy(m.RAM()[GuestCode+handlerAt:], counter)
	for _, n := range vectors {
		Handler(m, n, GuestCode+handlerAt)
	}
}

func count(m Machine) uint32 { return binary.LittleEndian.Uint32(m.RAM()[GuestData:]) }

func testWindow(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// cpuid; sti; nop; nop; hlt
	boot(m, v, []byte{0x0f, 0xa2, 0xfb, 0x90, 0x90, 0xf4}, 0x30)
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.CPUID, 0) {
		return
	}
	Skip(v, &x, 2)
	if v.Inject(irq(0x30)) {
		t.Errorf("accepted with IF clear")
	}
	Next(t, m, v, &x)
	if x.Reason != vcpu.Window || x.RIP < GuestCode+4 || x.RIP > GuestCode+5 || count(m) != 0 {
		t.Errorf("%+v after %d interrupts, want a window after the shadow of STI", x, count(m))
		return
	}
	if !v.Inject(irq(0x30)) {
		t.Errorf("refused in the window")
	}
	if Expect(t, m, v, &x, vcpu.HLT, 5) && count(m) != 1 {
		t.Errorf("%d interrupts, want 1", count(m))
	}
}

// A host interrupt or a fault may end the run between STI and HLT: an
// interrupt delivered there would be handled before the guest halts, and the
// guest would sleep on. The fault here is a second-level one on the fetch of
// the instruction after STI.
func testShadow(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// sti; mov eax, [0x3ff00000]; nop; hlt
	boot(m, v, []byte{0xfb, 0x8b, 0x04, 0x25, 0, 0, 0xf0, 0x3f, 0x90, 0xf4}, 0x30)
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.Memory, 1) {
		return
	}
	if v.Inject(irq(0x30)) {
		t.Errorf("accepted in the shadow of STI")
		return
	}
	// The load becomes one of mapped memory, so that it runs.
	copy(m.RAM()[GuestCode+4:], []byte{0, 0x80, 0, 0})
	Next(t, m, v, &x)
	if x.Reason != vcpu.Window || x.RIP < GuestCode+8 {
		t.Errorf("%+v, want a window after the load", x)
		return
	}
	if f := v.Get(x86.RFLAGS); f&x86.FlagTF != 0 {
		t.Errorf("the trap flag stays set: %#x", f)
	}
	if !v.Inject(irq(0x30)) {
		t.Errorf("refused in the window")
	}
	if Expect(t, m, v, &x, vcpu.HLT, 9) && count(m) != 1 {
		t.Errorf("%d interrupts, want 1", count(m))
	}
}

func testException(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	// cpuid; hlt, with a #GP handler that adds the error code
	boot(m, v, []byte{0x0f, 0xa2, 0xf4})
	Handler(m, x86.VecGP, GuestCode+0x200)
	// pop rax; mov [GuestData], eax; add qword [rsp], 2; iretq
	copy(m.RAM()[GuestCode+0x200:], []byte{0x58, 0x89, 0x04, 0x25, 0, 0x80, 0, 0, 0x48, 0x83, 0x04, 0x24, 2, 0x48, 0xcf})
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.CPUID, 0) {
		return
	}
	if !v.Inject(vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true, Err: 0x5a}) {
		t.Errorf("refused")
	}
	if Expect(t, m, v, &x, vcpu.HLT, 2) && count(m) != 0x5a {
		t.Errorf("error code %#x", count(m))
	}
}

// The stack lies in unmapped memory when the event is delivered; the handler
// of that exit repairs it. The interrupt must not be lost, nor come twice.
func testReplay(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	boot(m, v, []byte{0x90, 0x90, 0xf4}, 0x30)
	v.Set(x86.RFLAGS, 2|x86.FlagIF)
	v.Set(x86.RSP, 0x3ff0_0ff0)
	if !v.Inject(irq(0x30)) {
		t.Errorf("refused")
	}
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.Memory, 0) || !x.Mem.Write {
		return
	}
	if v.Inject(irq(0x31)) {
		t.Errorf("a second interrupt was accepted during the delivery of the first")
	}
	v.Set(x86.RSP, GuestStack)
	Next(t, m, v, &x)
	if x.Reason == vcpu.Window { // owed for 0x31
		Next(t, m, v, &x)
	}
	if x.Reason != vcpu.HLT || count(m) != 1 {
		t.Errorf("%d interrupts, want 1; %+v", count(m), x)
	}
}

func testNMI(t T, m Machine) {
	v := m.NewVCPU(t)
	defer v.Free()
	nmi := vcpu.Event{Type: vcpu.NMI, Vector: 2}
	boot(m, v, []byte{0x90, 0xf4, 0x90, 0xf4})
	Handler(m, 2, GuestCode+0x200)
	// cpuid; inc dword [GuestData]; iretq
	copy(m.RAM()[GuestCode+0x200:], append([]byte{0x0f, 0xa2}, counter...))
	if !v.Inject(nmi) {
		t.Errorf("refused")
	}
	var x vcpu.Exit
	if !Expect(t, m, v, &x, vcpu.CPUID, 0x200) {
		return
	}
	Skip(v, &x, 2)
	if v.Inject(nmi) {
		t.Errorf("accepted inside the handler")
		return
	}
	Next(t, m, v, &x)
	if x.Reason != vcpu.Window || count(m) != 1 || x.RIP >= GuestCode+0x200 {
		t.Errorf("%+v after %d NMIs, want a window after IRET", x, count(m))
		return
	}
	if f := v.Get(x86.RFLAGS); f&x86.FlagTF != 0 {
		t.Errorf("the trap flag stays set: %#x", f)
	}
	if !v.Inject(nmi) {
		t.Errorf("refused in the window")
	}
	if !Expect(t, m, v, &x, vcpu.CPUID, 0x200) {
		return
	}
	Skip(v, &x, 2)
	if Expect(t, m, v, &x, vcpu.HLT, 1) && count(m) != 2 {
		t.Errorf("%d NMIs, want 2", count(m))
	}
}
