// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package insn

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/arch/x86/x86asm"
)

// Most of these instructions cannot run on a developer's machine. What can be
// checked there is what was assembled: the body of each function is found
// through the call in its ABI wrapper, decoded by an independent decoder, and
// must contain the instruction that the function is named after.
func TestEncodings(t *testing.T) {
	for _, tt := range []struct {
		fn   any
		want []string // in order
	}{
		{CPUID, []string{"CPUID"}},
		{RDMSR, []string{"RDMSR"}},
		{WRMSR, []string{"WRMSR"}},
		{RDTSC, []string{"RDTSC"}},
		{CR0, []string{"MOV RAX, CR0"}},
		{SetCR0, []string{"MOV CR0, RAX"}},
		{CR2, []string{"MOV RAX, CR2"}},
		{SetCR2, []string{"MOV CR2, RAX"}},
		{CR3, []string{"MOV RAX, CR3"}},
		{SetCR3, []string{"MOV CR3, RAX"}},
		{CR4, []string{"MOV RAX, CR4"}},
		{SetCR4, []string{"MOV CR4, RAX"}},
		{DR0123, []string{"MOV RAX, DR0", "MOV RAX, DR1", "MOV RAX, DR2", "MOV RAX, DR3"}},
		{SetDR0123, []string{"MOV DR0, RAX", "MOV DR1, RAX", "MOV DR2, RAX", "MOV DR3, RAX"}},
		{DR6, []string{"MOV RAX, DR6"}},
		{SetDR6, []string{"MOV DR6, RAX"}},
		{DR7, []string{"MOV RAX, DR7"}},
		{SetDR7, []string{"MOV DR7, RAX"}},
		{INVLPG, []string{"INVLPG"}},
		{CLFLUSH, []string{"MFENCE", "CLFLUSH", "MFENCE"}},
		{WBINVD, []string{"WBINVD"}},
		{IN8, []string{"IN AL, DX"}},
		{IN16, []string{"IN AX, DX"}},
		{IN32, []string{"IN EAX, DX"}},
		{OUT8, []string{"OUT DX, AL"}},
		{OUT16, []string{"OUT DX, AX"}},
		{OUT32, []string{"OUT DX, EAX"}},
		{PAUSE, []string{"PAUSE"}},
		{HLT, []string{"HLT"}},
		{STIHLT, []string{"STI", "HLT"}},
		{STI, []string{"STI"}},
		{CLI, []string{"CLI"}},
		{Flags, []string{"PUSHFQ"}},
		{MXCSR, []string{"STMXCSR"}},
		{SGDT, []string{"SGDT"}},
		{SIDT, []string{"SIDT"}},
	} {
		got := body(t, tt.fn)
		text := strings.Join(got, "\n")
		rest := text
		for _, w := range tt.want {
			i := strings.Index(rest, w)
			if i < 0 {
				t.Errorf("want %q in:\n%s", tt.want, text)
				break
			}
			rest = rest[i+len(w):]
		}
	}
}

// x86asm does not know these two: compare bytes (SDM Vol. 2).
func TestXCREncodings(t *testing.T) {
	for _, tt := range []struct {
		fn   any
		want string
	}{
		{XGETBV, "\x0f\x01\xd0"},
		{XSETBV, "\x0f\x01\xd1"},
	} {
		if b := code(t, tt.fn, 40); !strings.Contains(string(b), tt.want) {
			t.Errorf("% x not in % x", tt.want, b)
		}
	}
}

// entry returns the address of the assembly body behind the ABI wrapper of fn.
func entry(t *testing.T, fn any) uintptr {
	pc := reflect.ValueOf(fn).Pointer()
	for range 64 {
		in, err := x86asm.Decode(bytesAt(pc, 16), 64)
		if err != nil {
			t.Fatalf("wrapper: %v", err)
		}
		pc += uintptr(in.Len)
		if rel, ok := in.Args[0].(x86asm.Rel); ok && in.Op == x86asm.CALL {
			return pc + uintptr(int(rel))
		}
	}
	t.Fatal("no CALL in the wrapper")
	return 0
}

func code(t *testing.T, fn any, n int) []byte { return bytesAt(entry(t, fn), n) }

func body(t *testing.T, fn any) []string {
	var out []string
	for pc := entry(t, fn); ; {
		in, err := x86asm.Decode(bytesAt(pc, 16), 64)
		if err != nil {
			t.Fatalf("%v after %q", err, out)
		}
		if in.Op == x86asm.RET {
			return out
		}
		out = append(out, x86asm.IntelSyntax(in, 0, nil))
		out[len(out)-1] = strings.ToUpper(out[len(out)-1])
		pc += uintptr(in.Len)
	}
}

func bytesAt(pc uintptr, n int) []byte {
	p := *(*unsafe.Pointer)(unsafe.Pointer(&pc))
	return unsafe.Slice((*byte)(p), n)
}

// What runs in ring 3 is run.
func TestUnprivileged(t *testing.T) {
	if max, b, c, d := CPUID(0, 0); max == 0 || b == 0 || c == 0 || d == 0 {
		t.Errorf("CPUID 0: %#x %#x %#x %#x", max, b, c, d)
	}
	if a, b := RDTSC(), RDTSC(); b < a || a == 0 {
		t.Errorf("RDTSC %d then %d", a, b)
	}
	if f := Flags(); f&2 == 0 || f&(1<<10) != 0 {
		t.Errorf("Flags %#x", f)
	}
	if m := MXCSR(); m&^0x3f != 0x1f80 {
		t.Errorf("MXCSR %#x", m)
	}
	if _, _, c, _ := CPUID(1, 0); c&(1<<27) != 0 {
		if x := XGETBV(0); x&3 != 3 {
			t.Errorf("XCR0 %#x", x)
		}
	}
	PAUSE()
}
