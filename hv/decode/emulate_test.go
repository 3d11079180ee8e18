// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringo/hv/x86"
)

// trace runs an instruction and prints its requests; reads get 0x8877665544332211
// cut to size, or what feed says.
func trace(t *testing.T, s *State, hex string, feed ...uint64) (lines []string) {
	t.Helper()
	i, err := Decode(unhex(hex), s.Mode)
	if err != nil {
		t.Fatal(hex, err)
	}
	var e Emulation
	if !e.Start(&i) {
		t.Fatal(hex, "does not start")
	}
	for range 50 {
		r, status := e.Next(s)
		switch status {
		case Done:
			return lines
		case Repeat:
			lines = append(lines, "repeat")
			continue
		case Locate:
			continue
		}
		line := [...]string{"read", "write", "in", "out"}[r.Kind] + fmt.Sprintf(" %d at ", r.Size)
		var o Operand
		if r.Kind == ReadMem || r.Kind == WriteMem {
			o = e.Operands()[r.Operand]
			line += fmt.Sprintf("%#x", o.Addr)
		} else {
			line += fmt.Sprintf("%#x", r.Port)
		}
		if r.Kind == WriteMem || r.Kind == WritePort {
			line += fmt.Sprintf(" = %#x", r.Value)
		} else {
			v := uint64(0x8877665544332211)
			if len(feed) > 0 {
				v, feed = feed[0], feed[1:]
			}
			e.Feed(v)
		}
		if o.Seg == x86.SS {
			line += " stack"
		}
		if r.Atomic {
			line += fmt.Sprintf(" atomic, was %#x", r.Old)
		}
		lines = append(lines, line)
	}
	return append(lines, "endless")
}

// special has what some tests of TestEmulate change before they start.
var special = map[string]func(s *State){
	"rep stosb in 16 bits wraps": func(s *State) { s.Regs.RDI, s.Base[x86.ES] = 0xffff, 0x100000 },
	"rep movsb, no count":        func(s *State) { s.Regs.RCX = 0 },
	"bts [rdi], ecx = -33":       func(s *State) { s.Regs.RCX = 0xffffffdf },
}

func TestEmulate(t *testing.T) {
	for _, test := range []struct {
		asm  string
		mode Mode
		hex  string
		feed []uint64
		want []string
		then func(s *State) // makes the expected state of the initial one
	}{
		{"push [rdi]", m64, "ff37", nil, []string{"read 8 at 0xd000", "write 8 at 0x5ff8 = 0x8877665544332211 stack"},
			func(s *State) { s.RSP = 0x5ff8 }},
		{"push word [rdi]", m64, "66ff37", nil, []string{"read 2 at 0xd000", "write 2 at 0x5ffe = 0x2211 stack"},
			func(s *State) { s.RSP = 0x5ffe }},
		{"pop [rsp+8]", m64, "8f442408", nil, []string{"read 8 at 0x6000 stack", "write 8 at 0x6010 = 0x8877665544332211 stack"},
			func(s *State) { s.RSP = 0x6008 }},
		{"pop [di], stack base 0x100000", m16, "8f05", nil, []string{"read 2 at 0x106000 stack", "write 2 at 0x20d000 = 0x2211"},
			func(s *State) { s.RSP = 0x6002 }},
		{"movbe eax, [rdi]", m64, "0f38f007", nil, []string{"read 4 at 0xd000"},
			func(s *State) { s.Regs.RAX = 0x11223344 }},
		{"movbe [rdi], ax", m64, "660f38f107", nil, []string{"write 2 at 0xd000 = 0xcdab"}, nil},
		{"xchg [rdi], rbx", m64, "48871f", nil, []string{"read 8 at 0xd000", "write 8 at 0xd000 = 0x3 atomic, was 0x8877665544332211"},
			func(s *State) { s.Regs.RBX = 0x8877665544332211 }},
		{"lock inc byte [rdi]", m64, "f0fe07", nil, []string{"read 1 at 0xd000", "write 1 at 0xd000 = 0x12 atomic, was 0x11"},
			func(s *State) { s.RFLAGS = x86.FlagReserved | x86.FlagCF | x86.FlagPF }},
		{"inc is not atomic", m64, "fe07", nil, []string{"read 1 at 0xd000", "write 1 at 0xd000 = 0x12"},
			func(s *State) { s.RFLAGS = x86.FlagReserved | x86.FlagCF | x86.FlagPF }},
		{"insb", m64, "6c", nil, []string{"in 1 at 0x3f8", "write 1 at 0xd000 = 0x11"},
			func(s *State) { s.Regs.RDI++ }},
		{"rep outsw, fs", m32, "64f3666f", nil, []string{"read 2 at 0x505000", "out 2 at 0x3f8 = 0x2211", "repeat",
			"read 2 at 0x505002", "out 2 at 0x3f8 = 0x2211"}, func(s *State) { s.Regs.RSI += 4; s.Regs.RCX = 0 }},
		{"rep stosb in 16 bits wraps", m16, "f3aa", nil, []string{"write 1 at 0x10ffff = 0xcd", "repeat", "write 1 at 0x100000 = 0xcd"},
			func(s *State) { s.Regs.RDI, s.Regs.RCX = 1, 0 }},
		{"rep movsb, no count", m64, "f3a4", nil, nil, nil},
		{"repe cmpsb ends on difference", m64, "f3a6", []uint64{5, 6}, []string{"read 1 at 0x5000", "read 1 at 0xd000"},
			func(s *State) {
				s.Regs.RSI++
				s.Regs.RDI++
				s.Regs.RCX--
				s.RFLAGS = x86.FlagReserved | x86.FlagCF | x86.FlagSF | x86.FlagAF | x86.FlagPF
			}},
		{"repne scasb finds", m64, "f2ae", []uint64{1, 0xcd}, []string{"read 1 at 0xd000", "repeat", "read 1 at 0xd001"},
			func(s *State) { s.Regs.RDI += 2; s.Regs.RCX = 0; s.RFLAGS = x86.FlagReserved | x86.FlagZF | x86.FlagPF }},
		{"mov eax, gs:[rdi], 64 bits", m64, "658b07", nil, []string{"read 4 at 0x60d000"},
			func(s *State) { s.Regs.RAX = 0x44332211 }},
		{"mov ax, ds:[edi]", m32, "668b07", nil, []string{"read 2 at 0x20d000"},
			func(s *State) { s.Regs.RAX = s.Regs.RAX&^0xffff | 0x2211 }},
		{"mov al, [rip+5]", m64, "8a0505000000", nil, []string{"read 1 at 0x100b"},
			func(s *State) { s.Regs.RAX = s.Regs.RAX&^0xff | 0x11 }},
		{"bts [rdi], ecx = -33", m64, "0fab0f", nil, []string{"read 4 at 0xcff8", "write 4 at 0xcff8 = 0xc4332211"},
			func(s *State) { s.RFLAGS = x86.FlagReserved }},
		{"clflush", m64, "0fae3f", nil, nil, nil},
		{"smsw rbx", m64, "480f01e3", nil, nil, func(s *State) { s.Regs.RBX = s.CR0 }},
		{"smsw ebx", m64, "0f01e3", nil, nil, func(s *State) { s.Regs.RBX = s.CR0 & 0xffff_ffff }},
		{"smsw bx", m32, "660f01e3", nil, nil, func(s *State) { s.Regs.RBX = s.CR0 & 0xffff }},
		{"smsw [rdi]", m64, "480f0127", nil, []string{"write 2 at 0xd000 = 0x11"}, nil},
		{"lmsw [rdi]", m64, "0f0137", []uint64{0xfff8}, []string{"read 2 at 0xd000"}, func(s *State) { s.CR0 |= x86.CR0TS }},
		{"lmsw ax keeps PE", m64, "0f01f0", nil, nil, func(s *State) { s.CR0 |= x86.CR0TS | x86.CR0EM }},
	} {
		t.Run(test.asm, func(t *testing.T) {
			initial := func() State {
				return State{
					Regs: &x86.Regs{RAX: 0x1234567890abcd, RBX: 3, RCX: 2, RDX: 0x3f8, RSI: 0x5000, RDI: 0xd000},
					RSP:  0x6000, RIP: 0x1000, RFLAGS: x86.FlagReserved | x86.FlagCF, Mode: test.mode,
					Base: [6]uint64{0, 0, 0x100000, 0x200000, 0x500000, 0x600000},
					CR0:  0x8001_0011,
				}
			}
			s, want := initial(), initial()
			for _, s := range []*State{&s, &want} {
				if prepare := special[test.asm]; prepare != nil {
					prepare(s)
				}
			}
			if test.then != nil {
				test.then(&want)
			}
			want.RIP += uint64(len(test.hex) / 2)
			got := trace(t, &s, test.hex, test.feed...)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
			opt := cmp.AllowUnexported(x86.Regs{})
			if d := cmp.Diff(want, s, opt); d != "" {
				t.Error(d)
			}
		})
	}
}

// A dropped emulation leaves no trace.
func TestDropped(t *testing.T) {
	for _, hex := range []string{"8f442408", "a5", "f00fb10f", "ff37", "0fc107"} {
		s := State{Regs: &x86.Regs{RAX: 1, RDI: 0x100, RSI: 0x200}, RSP: 0x6000, Mode: m64, RFLAGS: 2}
		regs, before := *s.Regs, s
		i, _ := Decode(unhex(hex), m64)
		var e Emulation
		e.Start(&i)
		for n := range 3 {
			if _, status := e.Next(&s); status != Access && n > 0 || status != Locate && n == 0 {
				t.Fatalf("%s: step %d is missing", hex, n)
			}
			e.Feed(7)
		}
		if *s.Regs != regs || s != before {
			t.Errorf("%s: %+v, was %+v", hex, s, before)
		}
	}
}

// Instructions that only exit do not start.
func TestStartExiting(t *testing.T) {
	for _, hex := range []string{"0fa2", "0f22c0", "0f06", "e471", "0f013f"} {
		i, err := Decode(unhex(hex), m64)
		var e Emulation
		if err != nil || e.Start(&i) {
			t.Errorf("%s: %v %+v", hex, err, i)
		}
	}
}
