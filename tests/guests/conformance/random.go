// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"math/rand/v2"

	"ringo/boot/kernel"
	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/vcpu/vcputest"
	"ringo/hv/x86"
	"ringo/tests/guests/kerneltest/args"
)

// snippets are what random code is made of, besides noise: whatever ends a run,
// and what changes how the CPU runs.
var snippets = []string{
	"\x0f\xa2", "\x0f\x32", "\x0f\x30", "\xec", "\xee", "\xe5\x60", "\x6c", "\x6e", "\xf3\x6c", // CPUID RDMSR WRMSR IN OUT INS OUTS
	"\xf4", "\x0f\x08", "\x0f\x09", "\xf3\x90", "\x0f\x31", "\x0f\x01\xf9", "\x0f\x33", // HLT INVD WBINVD PAUSE RDTSC RDTSCP RDPMC
	"\x0f\x20\xc0", "\x0f\x22\xc0", "\x0f\x22\xd8", "\x0f\x20\xe0", "\x0f\x22\xe0", "\x44\x0f\x22\xc0", // MOV CRn
	"\x0f\x06", "\x0f\x01\xf0", "\x0f\x01\xe0", // CLTS LMSW SMSW
	"\x0f\x21\xc0", "\x0f\x23\xc0", "\x0f\x23\xf8", "\x0f\x21\xf0", // MOV DRn
	"\x0f\x01\xd8", "\x0f\x01\xd9", "\x0f\x01\xda", "\x0f\x01\xdb", "\x0f\x01\xdc", "\x0f\x01\xdd", "\x0f\x01\xdf", // VMRUN ... INVLPGA
	"\x0f\x01\xd0", "\x0f\x01\xd1", "\x0f\x01\xc8", "\x0f\x01\xc9", "\x0f\x01\x38", // XGETBV XSETBV MONITOR MWAIT INVLPG
	"\xfa", "\xfb", "\xfb\xf4", "\x9c", "\x9d", "\xcf", "\x48\xcf", "\xcb", // CLI STI PUSHF POPF IRET RETF
	"\xcc", "\xcd\x30", "\xcd\x80", "\xf1", "\x0f\x0b", "\x0f\x05", "\x0f\x07", "\x0f\xaa", // INT3 INT ICEBP UD2 SYSCALL SYSRET RSM
	"\x8e\xd0", "\x8e\xd8", "\x0f\x00\xd0", "\x0f\x01\x10", "\x0f\x01\x18", // MOV SS, DS; LLDT LGDT LIDT (QEMU takes LTR of 0, and aborts)
	"\x0f\xae\x10", "\x0f\xae\x08", "\x0f\xae\x28", "\xd9\x28", "\xdb\xe3", // LDMXCSR FXRSTOR XRSTOR FLDCW FNINIT
	"\x89\x00", "\x8b\x00", "\xff\xe0", "\xab", "\xa4", "\x50", "\x58", "\xeb\xfe", // memory, JMP, stack, a loop
}

// prefixes go before some of them.
const prefixes = "\x66\x67\xf2\xf3\xf0\x2e\x36\x64\x65\x48\x41\x4f"

// random enters guests with random registers, segments, events and code.
func random(h *harness) {
	entries := args.Get("entries", 10_000)
	rng := rand.New(rand.NewPCG(7, 9))
	g := h.private()
	var x vcpu.Exit
	var seen [vcpu.NumReasons]int
	for i := range entries {
		if i%50 == 0 || x.Reason == vcpu.Shutdown || x.Reason == vcpu.Invalid {
			randomGuest(g, rng)
		}
		n := max(0, rng.IntN(6)-3)
		if rng.IntN(8) == 0 {
			n += 6 // hardly a CPU takes this
		}
		for range n {
			scramble(g.v, rng)
		}
		if rng.IntN(4) == 0 {
			g.v.Inject(vcpu.Event{Type: vcpu.EventType(rng.IntN(5)), Vector: uint8(rng.IntN(32)), HasErr: rng.IntN(2) == 0})
		}
		kernel.Arm(insn.RDTSC() + kernel.TSCHz()/20000)
		g.v.Run(0, &x)
		if x.Reason >= vcpu.NumReasons || x.Len > 15 {
			h.Fatalf("%+v", x)
		}
		seen[x.Reason]++
		answer(g, &x, rng)
		if i%16 == 0 {
			useVectors()
			h.checkHost()
		}
	}
	kinds := 0
	for _, n := range seen {
		if n > 0 {
			kinds++
		}
	}
	if kinds < 15 {
		h.Errorf("only %d kinds of exits", kinds)
	}
	h.Logf("random: %d kinds of exits: %v", kinds, seen)
	g.free()
}

// randomGuest puts new code into g. Exceptions arrive at a HLT.
func randomGuest(g *guest, rng *rand.Rand) {
	vcpu.Reset(g.v)
	vcputest.Boot64(g, g.v, nil)
	g.v.Set(x86.EFER, x86.EFERLME|x86.EFERSCE)
	const size, handler = 4096, 4096
	code := g.RAM()[vcputest.GuestCode:]
	for i := 0; i < size; {
		if rng.IntN(4) == 0 {
			code[i] = prefixes[rng.IntN(len(prefixes))]
			i++
		}
		if rng.IntN(8) == 0 {
			code[i] = byte(rng.Uint32())
			i++
		}
		i += copy(code[i:], snippets[rng.IntN(len(snippets))])
	}
	for i := range 64 {
		code[handler+i] = 0xf4
	}
	for vector := range 256 {
		vcputest.Handler(g, uint8(vector), vcputest.GuestCode+handler)
	}
	if rng.IntN(2) == 0 {
		g.v.Set(x86.CR4, g.v.Get(x86.CR4)|x86.CR4OSXSAVE)
		g.v.Set(x86.XCR0, g.Backend().Caps().XCR0Mask)
	}
	g.v.Set(x86.RIP, vcputest.GuestCode+rng.Uint64N(size))
	for n := range uint8(16) {
		*g.v.Regs().GPR(n) = []uint64{0, 1, 3, 7, vcputest.GuestData, x86.MSREFER, x86.MSRPAT, rng.Uint64() >> rng.IntN(64)}[rng.IntN(8)]
	}
}

// answer reacts to an exit as a careless hypervisor would: sometimes it lets
// the guest have its way, sometimes it moves on.
func answer(g *guest, x *vcpu.Exit, rng *rand.Rand) {
	r := g.v.Regs()
	switch x.Reason {
	case vcpu.Interrupted, vcpu.Tick, vcpu.Window, vcpu.DRAccess:
		if rng.IntN(4) != 0 {
			return
		}
		g.v.Set(x86.RIP, vcputest.GuestCode+rng.Uint64N(4096))
	case vcpu.HLT:
		g.v.Set(x86.RSP, vcputest.GuestStack)
		g.v.Set(x86.RIP, vcputest.GuestCode+rng.Uint64N(4096))
	case vcpu.Exception:
		if !g.v.Inject(x.Event) {
			vcputest.Skip(g.v, x, 1)
		}
	case vcpu.CRWrite:
		if x.CR.CR == 0 && rng.IntN(2) == 0 {
			g.v.Set(x86.CR0, g.v.Get(x86.CR0)^(1<<rng.IntN(5)))
		}
		vcputest.Skip(g.v, x, 3)
	case vcpu.DRWrite:
		g.v.Set(drs[x.CR.CR&7], r.RAX)
		vcputest.Skip(g.v, x, 3)
	case vcpu.XSETBV:
		g.v.Set(x86.XCR0, r.RAX&0xffff_ffff)
		vcputest.Skip(g.v, x, 3)
	default:
		n := vcputest.Length(x)
		if n == 0 || rng.IntN(8) == 0 {
			g.v.Inject(vcpu.Event{Type: vcpu.HardException, Vector: x86.VecGP, HasErr: true})
			return
		}
		vcputest.Skip(g.v, x, n)
	}
}

// scramble changes one thing of v, mostly to something that a CPU might take.
func scramble(v vcpu.VCPU, rng *rand.Rand) {
	val := rng.Uint64() >> rng.IntN(64)
	switch rng.IntN(6) {
	case 0, 1:
		*v.Regs().GPR(uint8(rng.IntN(16))) = val
	case 2:
		s := x86.Seg(rng.IntN(int(x86.NumSegs)))
		seg := v.Segment(s)
		// A TR that is no task state segment makes QEMU itself give up.
		if s != x86.TR && rng.IntN(2) == 0 {
			seg.Access = rng.Uint32() & 0xf0ff
		} else {
			seg.Base = val
		}
		v.SetSegment(s, seg)
	case 3, 4:
		v.Set(x86.RIP, vcputest.GuestCode+rng.Uint64N(4096))
	case 5:
		r := x86.Reg(rng.IntN(int(x86.NumRegs)))
		switch r {
		case x86.CR0, x86.CR4, x86.EFER, x86.RFLAGS, x86.DR7:
			val = v.Get(r) ^ 1<<rng.IntN(23)
		}
		v.Set(r, val)
	}
}
