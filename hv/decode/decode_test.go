// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import (
	"testing"

	"ringo/hv/x86"
)

var (
	m16 = Mode{16, 16}
	m32 = Mode{32, 32}
	m64 = Mode{64, 64}
)

func TestDecode(t *testing.T) {
	const none = RegNone
	for _, test := range []struct {
		asm  string
		mode Mode
		hex  string
		want Insn
	}{
		{"mov eax, [rdi+0x10]", m64, "8b4710", Insn{Op: Mov, Size: 4, MemSize: 4, Dst: Reg, Src: Mem, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none, Disp: 16}},
		{"mov [rbx+r12*4-8], r9b", m64, "46884ca3f8", Insn{Op: Mov, Size: 1, MemSize: 1, Dst: Mem, Src: Reg, Reg: 9, Seg: x86.DS, AddrSize: 8, Base: 3, Index: 12, Scale: 2, Disp: -8}},
		{"mov ch, [rbp]", m64, "8a6d00", Insn{Op: Mov, Size: 1, MemSize: 1, Dst: Reg, Src: Mem, Reg: 1, High: true, Seg: x86.SS, AddrSize: 8, Base: 5, Index: none}},
		{"mov bpl, [r13]", m64, "418a6d00", Insn{Op: Mov, Size: 1, MemSize: 1, Dst: Reg, Src: Mem, Reg: 5, Seg: x86.DS, AddrSize: 8, Base: 13, Index: none}},
		{"mov dword [rip-4], 0x80000001", m64, "c705fcffffff01000080", Insn{Op: Mov, Size: 4, MemSize: 4, Dst: Mem, Src: Imm, Imm: 0xffffffff80000001, Seg: x86.DS, AddrSize: 8, Base: RegRIP, Index: none, Disp: -4}},
		{"mov rax, [0xfee00020] (moffs64)", m64, "48a12000e0fe00000000", Insn{Op: Mov, Size: 8, MemSize: 8, Dst: Reg, Src: Mem, Seg: x86.DS, AddrSize: 8, Base: none, Index: none, Disp: 0xfee00020}},
		{"mov gs:[0xfee00020], ax", m32, "6566a32000e0fe", Insn{Op: Mov, Size: 2, MemSize: 2, Dst: Mem, Src: Reg, Seg: x86.GS, AddrSize: 4, Base: none, Index: none, Disp: -0x11fffe0}},
		{"mov es:[bp+si+0x7f], eax", m16, "266689427f", Insn{Op: Mov, Size: 4, MemSize: 4, Dst: Mem, Src: Reg, Seg: x86.ES, AddrSize: 2, Base: 5, Index: 6, Disp: 127}},
		{"mov [0x1234], al", m16, "88063412", Insn{Op: Mov, Size: 1, MemSize: 1, Dst: Mem, Src: Reg, Seg: x86.DS, AddrSize: 2, Base: none, Index: none, Disp: 0x1234}},
		{"mov [esp+eax], bx", m16, "67891c04", Insn{Op: Mov, Size: 2, MemSize: 2, Dst: Mem, Src: Reg, Reg: 3, Seg: x86.SS, AddrSize: 4, Base: 4, Index: 0}},
		{"cs: mov eax, fs ignored, [rax]", m64, "642e8b00", Insn{Op: Mov, Size: 4, MemSize: 4, Dst: Reg, Src: Mem, Seg: x86.FS, AddrSize: 8, Base: 0, Index: none}},
		{"rex before 66 does not count", m64, "48668b00", Insn{Op: Mov, Size: 2, MemSize: 2, Dst: Reg, Src: Mem, Seg: x86.DS, AddrSize: 8, Base: 0, Index: none}},
		{"movzx r8d, byte [rdi]", m64, "440fb607", Insn{Op: Movzx, Size: 4, MemSize: 1, Dst: Reg, Src: Mem, Reg: 8, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
		{"movsxd rcx, [rdi]", m64, "48630f", Insn{Op: Movsx, Size: 8, MemSize: 4, Dst: Reg, Src: Mem, Reg: 1, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
		{"lock or dword [edi], -2", m64, "67f0830ffe", Insn{Op: Or, Size: 4, MemSize: 4, Dst: Mem, Src: Imm, Imm: 0xfffffffffffffffe, Lock: true, Seg: x86.DS, AddrSize: 4, Base: 7, Index: none}},
		{"bts word [rdi], 0x1f", m64, "660fba2f1f", Insn{Op: Bts, Size: 2, MemSize: 2, Dst: Mem, Src: Imm, Imm: 15, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
		{"movnti [rdi], rax", m64, "480fc307", Insn{Op: Mov, Size: 8, MemSize: 8, Dst: Mem, Src: Reg, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
		{"movbe ax, [rdi]", m64, "660f38f007", Insn{Op: Movbe, Size: 2, MemSize: 2, Dst: Reg, Src: Mem, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
		{"push qword [rdi]", m64, "ff37", Insn{Op: Push, Size: 8, MemSize: 8, Src: Mem, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
		{"rep stosd", m32, "f3ab", Insn{Op: Stos, Size: 4, MemSize: 4, Rep: RepE, Seg: x86.DS, AddrSize: 4, Base: none, Index: none}},
		{"rep movs es, fs:[esi] 67", m64, "6467f348a5", Insn{Op: Movs, Size: 8, MemSize: 8, Rep: RepE, Seg: x86.FS, AddrSize: 4, Base: none, Index: none}},
		{"repne scasb", m64, "f2ae", Insn{Op: Scas, Size: 1, MemSize: 1, Rep: RepNE, Seg: x86.DS, AddrSize: 8, Base: none, Index: none}},
		{"insw", m64, "66486d", Insn{Op: Ins, Size: 4, MemSize: 4, PortDX: true, Seg: x86.DS, AddrSize: 8, Base: none, Index: none}},
		{"clwb [rdi]", m64, "660fae37", Insn{Op: Flush, Size: 1, Seg: x86.DS, AddrSize: 8, Base: 7, Index: none}},
	} {
		b := append(unhex(test.hex), 0x90, 0x90)
		got, err := Decode(b, test.mode)
		test.want.Len, test.want.code = uint8(len(b)-2), test.mode.Code
		if got != test.want || err != nil {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", test.asm, err, got, test.want)
		}
	}
}

func TestExiting(t *testing.T) {
	for _, test := range []struct {
		asm  string
		mode Mode
		hex  string
		want Insn // Op, Size, Reg, CR, Imm, Port, PortDX, Src, Rep
	}{
		{"cpuid", m64, "0fa2", Insn{Op: CPUID}},
		{"cpuid with prefixes", m64, "2e66f3480fa2", Insn{Op: CPUID, Rep: RepE}},
		{"rdmsr", m32, "0f32", Insn{Op: RDMSR}},
		{"wrmsr", m16, "0f30", Insn{Op: WRMSR}},
		{"hlt", m64, "f4", Insn{Op: HLT}},
		{"vmmcall", m64, "0f01d9", Insn{Op: VMMCALL}},
		{"vmcall", m64, "0f01c1", Insn{Op: VMCALL}},
		{"rdtsc", m64, "0f31", Insn{Op: RDTSC}},
		{"rdtscp", m64, "0f01f9", Insn{Op: RDTSCP}},
		{"rdpmc", m64, "0f33", Insn{Op: RDPMC}},
		{"mov cr0, rdi", m64, "0f22c7", Insn{Op: MovToCR, Size: 8, Reg: 7}},
		{"mov r10, cr8", m64, "450f20c2", Insn{Op: MovFromCR, Size: 8, Reg: 10, CR: 8}},
		{"mov cr4, eax", m32, "0f22e0", Insn{Op: MovToCR, Size: 4, CR: 4}},
		{"mov cr4, eax, mod 0", m32, "0f2220", Insn{Op: MovToCR, Size: 4, CR: 4}},
		{"mov cr3, rsp, mod 1 without displacement", m64, "0f225c", Insn{Op: MovToCR, Size: 8, CR: 3, Reg: 4}},
		{"mov dr7, rdx", m64, "0f23fa", Insn{Op: MovToDR, Size: 8, CR: 7, Reg: 2}},
		{"mov eax, dr6", m16, "0f21f0", Insn{Op: MovFromDR, Size: 4, CR: 6}},
		{"clts", m64, "0f06", Insn{Op: CLTS}},
		{"lmsw ax", m16, "0f01f0", Insn{Op: LMSW, Size: 2, Src: Reg}},
		{"lmsw r9w", m64, "410f01f1", Insn{Op: LMSW, Size: 2, Src: Reg, Reg: 9}},
		{"lmsw [0x1234]", m16, "0f01363412", Insn{Op: LMSW, Size: 2, Src: Mem}},
		{"smsw ax", m16, "0f01e0", Insn{Op: SMSW, Size: 2}},
		{"smsw r9d", m64, "410f01e1", Insn{Op: SMSW, Size: 4, Reg: 9}},
		{"smsw rbx", m64, "480f01e3", Insn{Op: SMSW, Size: 8, Reg: 3}},
		{"smsw [0x1234]", m16, "0f01263412", Insn{Op: SMSW, Size: 2}},
		{"invlpg [rdi+rsi]", m64, "0f013c37", Insn{Op: INVLPG, Size: 1}},
		{"invd", m64, "0f08", Insn{Op: INVD}},
		{"wbinvd", m64, "0f09", Insn{Op: WBINVD}},
		{"wbnoinvd", m64, "f30f09", Insn{Op: WBINVD, Rep: RepE}},
		{"xsetbv", m64, "0f01d1", Insn{Op: XSETBV}},
		{"pause", m64, "f390", Insn{Op: PAUSE, Rep: RepE}},
		{"monitor", m64, "0f01c8", Insn{Op: MONITOR}},
		{"mwait", m64, "0f01c9", Insn{Op: MWAIT}},
		{"in al, 0x71", m64, "e471", Insn{Op: In, Size: 1, Port: 0x71}},
		{"in eax, 0xfe", m32, "e5fe", Insn{Op: In, Size: 4, Port: 0xfe}},
		{"out dx, ax", m32, "66ef", Insn{Op: Out, Size: 2, PortDX: true}},
		{"out dx, ax in 16 bits", m16, "ef", Insn{Op: Out, Size: 2, PortDX: true}},
		{"out dx, eax, rex.w", m64, "48ef", Insn{Op: Out, Size: 4, PortDX: true}},
		{"rep outsb", m64, "f36e", Insn{Op: Outs, Size: 1, PortDX: true, Rep: RepE}},
		{"iretq", m64, "48cf", Insn{Op: IRET}},
		{"int 0x80", m32, "cd80", Insn{Op: INT, Imm: 0x80}},
		{"int3", m32, "cc", Insn{Op: INT3}},
		{"int1", m32, "f1", Insn{Op: INT1}},
		{"vmrun", m64, "0f01d8", Insn{Op: Nested}},
		{"rsm", m32, "0faa", Insn{Op: RSM}},
	} {
		b := append(unhex(test.hex), 0x90)
		got, ok := Exiting(b, test.mode)
		if n, err := length(b, test.mode); !ok || int(got.Len) != len(b)-1 || n != got.Len || err != nil {
			t.Errorf("%s: %v %+v, length %d %v", test.asm, ok, got, n, err)
			continue
		}
		short := Insn{Op: got.Op, Reg: got.Reg, CR: got.CR, Imm: got.Imm, Port: got.Port, PortDX: got.PortDX, Src: got.Src, Rep: got.Rep}
		if test.want.Size != 0 {
			short.Size = got.Size
		}
		if short != test.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", test.asm, short, test.want)
		}
	}
	for _, s := range []string{"90", "8b07", "0f22c8", "0f20e8", "440f20c8", "0f", "f30f38f007", "4190", "f34190"} {
		if i, ok := Exiting(unhex(s), m64); ok {
			t.Errorf("%s: %+v", s, i)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		what string
		mode Mode
		hex  string
		n    uint8
		want error
	}{
		{"nothing", m64, "", 0, ErrShort},
		{"prefixes only", m64, "66f34848", 0, ErrShort},
		{"no ModRM", m64, "8b", 0, ErrShort},
		{"no SIB", m64, "8b04", 0, ErrShort},
		{"half a displacement", m64, "8b8011223344"[:8], 0, ErrShort},
		{"half an immediate", m64, "c70711", 0, ErrShort},
		{"15 prefixes", m64, "666666666666666666666666666666", 0, ErrTooLong},
		{"16 bytes", m64, "2e2e2e2e2e2e2e2e2ec7841122334455667788", 0, ErrTooLong},
		{"register form", m64, "89c8", 2, ErrUnsupported},
		{"mul [rdi]", m64, "f727", 2, ErrUnsupported},
		{"call [rdi]", m64, "ff17", 2, ErrUnsupported},
		{"cmpxchg8b", m64, "f00fc70f", 4, ErrUnsupported},
		{"movups", m64, "0f1007", 3, ErrUnsupported},
		{"movdqa [rdi+8], xmm1", m64, "660f7f4f08", 5, ErrUnsupported},
		{"crc32", m64, "f20f38f007", 5, ErrUnsupported},
		{"vmovups (VEX)", m64, "c5f81007", 0, ErrUnsupported},
		{"VEX outside of 64-bit mode", m32, "c5f81007", 0, ErrUnsupported},
		{"lds", m32, "c507", 2, ErrUnsupported},
		{"EVEX", m64, "62f17c481007", 0, ErrUnsupported},
		{"XOP", m64, "8fe97812c0", 0, ErrUnsupported},
		{"movabs", m64, "48b81122334455667788", 10, ErrUnsupported},
		{"enter", m64, "c8112233", 4, ErrUnsupported},
		{"far call", m32, "9a112233445566", 7, ErrUnsupported},
		{"far call in 64 bits", m64, "9a112233445566", 0, ErrUndefined},
		{"push es in 64 bits", m64, "06", 0, ErrUndefined},
		{"82 in 64 bits", m64, "820701", 0, ErrUndefined},
		{"lock mov", m64, "f08907", 0, ErrUndefined},
		{"lock cmp", m64, "f03907", 0, ErrUndefined},
		{"lock add r, m", m64, "f00307", 0, ErrUndefined},
		{"lock bt", m64, "f00fa307", 0, ErrUndefined},
		{"lock cpuid", m64, "f00fa2", 0, ErrUndefined},
		{"66 movnti", m64, "660fc307", 0, ErrUndefined},
		{"movnti register", m64, "0fc3c0", 0, ErrUndefined},
		{"mov cr1", m64, "0f22c8", 0, ErrUndefined},
		{"mov dr8", m64, "440f23c0", 0, ErrUndefined},
	} {
		i, err := Decode(unhex(test.hex), test.mode)
		if err != test.want || i.Len != test.n {
			t.Errorf("%s: %v, length %d", test.what, err, i.Len)
		}
	}
}

func TestModeOf(t *testing.T) {
	for _, test := range []struct {
		cs, ss uint32
		long   bool
		want   Mode
	}{
		{x86.SegL, x86.SegDB, true, Mode{64, 64}},
		{x86.SegDB, x86.SegDB, true, Mode{32, 32}},
		{x86.SegL | x86.SegDB, x86.SegDB, false, Mode{32, 32}},
		{x86.SegDB, 0, false, Mode{32, 16}},
		{0, x86.SegDB, false, Mode{16, 32}},
		{0, 0, false, Mode{16, 16}},
	} {
		got := ModeOf(x86.Segment{Access: test.cs}, x86.Segment{Access: test.ss}, test.long)
		if got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestAllocs(t *testing.T) {
	b := unhex("f0830ffe00")
	s := State{Regs: new(x86.Regs), Mode: m64}
	var e Emulation
	if n := testing.AllocsPerRun(100, func() {
		i, err := Decode(b, m64)
		if err != nil || !e.Start(&i) {
			t.Fatal(err)
		}
		for {
			r, status := e.Next(&s)
			if status == Done {
				break
			}
			if status == Access && r.Kind == ReadMem {
				e.Feed(1)
			}
		}
		Exiting(b, m64)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	code := unhex("8b4710")
	b.ReportAllocs()
	for b.Loop() {
		Decode(code, m64)
	}
}

func BenchmarkLoad(b *testing.B) {
	code := unhex("8b4710")
	s := State{Regs: new(x86.Regs), Mode: m64}
	var e Emulation
	b.ReportAllocs()
	for b.Loop() {
		i, _ := Decode(code, m64)
		e.Start(&i)
		e.Next(&s)
		e.Next(&s)
		e.Feed(1)
		e.Next(&s)
	}
}

// length returns the length in bytes of the first instruction in b, emulated or
// not.
func length(b []byte, m Mode) (uint8, error) {
	i, err := Decode(b, m)
	if err == ErrUnsupported && i.Len != 0 {
		err = nil
	}
	return i.Len, err
}
