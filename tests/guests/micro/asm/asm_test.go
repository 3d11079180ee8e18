// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package asm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/arch/x86/x86asm"
)

// Each encoding is read back by an independent decoder.
func TestEncodings(t *testing.T) {
	m := Mem{RBX, 0x10}
	for _, c := range []struct {
		want string
		emit func(a *Asm)
	}{
		{"mov eax, 0x5", func(a *Asm) { a.MovImm(RAX, 5) }},
		{"mov r9d, -0x80000000", func(a *Asm) { a.MovImm(R9, 1<<31) }},
		{"mov rdi, 0x123456789abcdef0", func(a *Asm) { a.MovImm(RDI, 0x123456789abcdef0) }},
		{"mov r15, 0x123456789abcdef0", func(a *Asm) { a.MovImm(R15, 0x123456789abcdef0) }},
		{"mov rax, r8", func(a *Asm) { a.Mov(RAX, R8) }},
		{"mov r12, rsp", func(a *Asm) { a.Mov(R12, RSP) }},
		{"movzx eax, byte ptr [rbx+0x10]", func(a *Asm) { a.Load(RAX, m, 1) }},
		{"movzx r9d, word ptr [rbx+0x10]", func(a *Asm) { a.Load(R9, m, 2) }},
		{"mov ecx, dword ptr [rsp+0x8]", func(a *Asm) { a.Load(RCX, Mem{RSP, 8}, 4) }},
		{"mov r10, qword ptr [r12+0xfffffff8]", func(a *Asm) { a.Load(R10, Mem{R12, -8}, 8) }},
		{"mov byte ptr [rbx+0x10], cl", func(a *Asm) { a.Store(m, RCX, 1) }},
		{"mov byte ptr [rbx+0x10], sil", func(a *Asm) { a.Store(m, RSI, 1) }},
		{"mov byte ptr [rbx+0x10], r8b", func(a *Asm) { a.Store(m, R8, 1) }},
		{"mov word ptr [rbx+0x10], r8w", func(a *Asm) { a.Store(m, R8, 2) }},
		{"mov dword ptr [r13], eax", func(a *Asm) { a.Store(Mem{R13, 0}, RAX, 4) }},
		{"mov qword ptr [rbp], rax", func(a *Asm) { a.Store(Mem{RBP, 0}, RAX, 8) }},
		{"add rax, r9", func(a *Asm) { a.Add(RAX, R9) }},
		{"or r9, rax", func(a *Asm) { a.Or(R9, RAX) }},
		{"and rax, rcx", func(a *Asm) { a.And(RAX, RCX) }},
		{"sub rax, r13", func(a *Asm) { a.Sub(RAX, R13) }},
		{"xor rdx, rdx", func(a *Asm) { a.Xor(RDX, RDX) }},
		{"cmp rbx, rsi", func(a *Asm) { a.Cmp(RBX, RSI) }},
		{"add rsp, 0x8", func(a *Asm) { a.AddImm(RSP, 8) }},
		{"or rax, 0x600", func(a *Asm) { a.OrImm(RAX, 0x600) }},
		{"and r8, 0xff", func(a *Asm) { a.AndImm(R8, 0xff) }},
		{"sub r12, 0x1", func(a *Asm) { a.SubImm(R12, 1) }},
		{"xor rcx, -0x1", func(a *Asm) { a.XorImm(RCX, -1) }},
		{"cmp rdx, 0x20", func(a *Asm) { a.CmpImm(RDX, 0x20) }},
		{"shl rdx, 0x20", func(a *Asm) { a.Shl(RDX, 32) }},
		{"shr r11, 0x7", func(a *Asm) { a.Shr(R11, 7) }},
		{"shl rax, cl", func(a *Asm) { a.ShlCL(RAX) }},
		{"div r14", func(a *Asm) { a.Div(R14) }},
		{"add qword ptr [rsp+0x10], 0x2", func(a *Asm) { a.AddMem(Mem{RSP, 16}, 2) }},
		{"add qword ptr [r9+0x10], -0x1", func(a *Asm) { a.AddMem(Mem{R9, 16}, -1) }},
		{"push rax", func(a *Asm) { a.Push(RAX) }},
		{"push r15", func(a *Asm) { a.Push(R15) }},
		{"pop r8", func(a *Asm) { a.Pop(R8) }},
		{"push 0xd", func(a *Asm) { a.PushImm(13) }},
		{"ret", func(a *Asm) { a.Ret() }},
		{"in al, dx", func(a *Asm) { a.In(1) }},
		{"in ax, dx", func(a *Asm) { a.In(2) }},
		{"in eax, dx", func(a *Asm) { a.In(4) }},
		{"out dx, al", func(a *Asm) { a.Out(1) }},
		{"out dx, ax", func(a *Asm) { a.Out(2) }},
		{"out dx, eax", func(a *Asm) { a.Out(4) }},
		{"cpuid", (*Asm).CPUID}, {"rdmsr", (*Asm).RDMSR}, {"wrmsr", (*Asm).WRMSR},
		{"rdtsc", (*Asm).RDTSC}, {"lfence", (*Asm).LFENCE}, {"hlt", (*Asm).HLT},
		{"cli", (*Asm).CLI}, {"sti", (*Asm).STI}, {"pause", (*Asm).PAUSE}, {"int3", (*Asm).INT3},
		{"iretq", (*Asm).IRETQ}, {"fninit", (*Asm).FNINIT},
		{"lidt ptr [rbx+0x10]", func(a *Asm) { a.LIDT(m) }},
		{"lgdt ptr [rbx+0x10]", func(a *Asm) { a.LGDT(m) }},
		{"mov cr3, rax", func(a *Asm) { a.MovToCR(3, RAX) }},
		{"mov r9, cr4", func(a *Asm) { a.MovFromCR(R9, 4) }},
		{"mov dr3, rcx", func(a *Asm) { a.MovToDR(3, RCX) }},
		{"mov rdx, dr0", func(a *Asm) { a.MovFromDR(RDX, 0) }},
		{"movdqu xmm9, xmmword ptr [rbx+0x10]", func(a *Asm) { a.LoadX(9, m) }},
		{"movdqu xmmword ptr [r8+0x10], xmm1", func(a *Asm) { a.StoreX(Mem{R8, 16}, 1) }},
		{"ldmxcsr dword ptr [rbx+0x10]", func(a *Asm) { a.LDMXCSR(m) }},
		{"stmxcsr dword ptr [rbx+0x10]", func(a *Asm) { a.STMXCSR(m) }},
		{"fldcw word ptr [rbx+0x10]", func(a *Asm) { a.FLDCW(m) }},
		{"fnstcw word ptr [rbx+0x10]", func(a *Asm) { a.FNSTCW(m) }},
		{"jmp .+0x0", func(a *Asm) { l := a.NewLabel(); a.Jmp(l); a.Place(l) }},
		{"jz .-0x6", func(a *Asm) { a.Jcc(E, a.Here()) }},
		{"jnz .-0x6", func(a *Asm) { a.Jcc(NE, a.Here()) }},
		{"jb .-0x6", func(a *Asm) { a.Jcc(B, a.Here()) }},
		{"jnb .-0x6", func(a *Asm) { a.Jcc(AE, a.Here()) }},
		{"jbe .-0x6", func(a *Asm) { a.Jcc(BE, a.Here()) }},
		{"jnbe .-0x6", func(a *Asm) { a.Jcc(A, a.Here()) }},
		{"call .-0x5", func(a *Asm) { a.Call(a.Here()) }},
		{"lea r9, ptr [rip+0xfffffff9]", func(a *Asm) { a.Lea(R9, a.Here()) }},
		{"lea rsi, ptr [rip+0xfffffff9]", func(a *Asm) { a.Lea(RSI, a.Here()) }},
	} {
		a := New(0x100000)
		c.emit(a)
		b := a.Link()
		in, err := x86asm.Decode(b, 64)
		if err != nil || in.Len != len(b) || len(a.Insts()) != 1 {
			t.Errorf("%s: % x: %v, %d bytes decoded", c.want, b, err, in.Len)
			continue
		}
		if got := x86asm.IntelSyntax(in, 0, nil); got != c.want {
			t.Errorf("% x is %q, want %q", b, got, c.want)
		}
	}
}

// The decoder does not know these (APM Vol. 3, "VMMCALL"; SDM Vol. 3, "VMCALL").
func TestHypercallEncodings(t *testing.T) {
	a := New(0)
	a.VMMCALL()
	a.VMCALL()
	if d := cmp.Diff([]byte{0x0f, 0x01, 0xd9, 0x0f, 0x01, 0xc1}, a.Link()); d != "" {
		t.Error(d)
	}
}

func TestLabels(t *testing.T) {
	a := New(0x100000)
	end := a.NewLabel()
	a.Data(1)
	a.Align(8)
	a.Quad(end)
	a.Mode(32)
	a.RawAbs([]byte{0xb8}, end)       // MOV EAX, imm32
	a.RawAbs([]byte{0xea}, end, 8, 0) // JMP far
	a.Place(end)
	want := []byte{1, 0, 0, 0, 0, 0, 0, 0, 0x1c, 0, 0x10, 0, 0, 0, 0, 0,
		0xb8, 0x1c, 0, 0x10, 0, 0xea, 0x1c, 0, 0x10, 0, 8, 0}
	if d := cmp.Diff(want, a.Link()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if d := cmp.Diff([]Inst{{16, 5, 32}, {21, 7, 32}}, a.Insts()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	defer func() {
		if recover() == nil {
			t.Error("a label was placed twice")
		}
	}()
	a.Place(end)
}
