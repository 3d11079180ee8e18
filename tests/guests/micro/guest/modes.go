// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"ringo/hv/abi"
	. "ringo/tests/guests/micro/asm"
)

// Modes are the behaviours, in the order of the help text.
var Modes = []Mode{
	{"bench", `prints "bench NAME TICKS" per kind of exit, in ticks of the TSC, and ends`, (*prog).bench},
	{"pair", `as bench, what takes two CPUs of the guest`, (*prog).pair},
	{"first", `prints "bench first TICKS", the TSC at the beginning, and sleeps`, (*prog).first},
	{"loop", "repeats one kind of exit for good: that of figure=NAME, a name of bench", (*prog).endless},
	{"hello", "ends at once", func(p *prog) { p.Jmp(p.shutdown) }},
	{"triple", "triple fault", (*prog).triple},
	{"crash", "ends as one that has crashed, with a mark in R12", (*prog).crash},
	{"spin", "cli; jmp .", func(p *prog) { p.CLI(); p.Jmp(p.Here()) }},
	{"poll", "computes for two million instructions, then reads a port that dom0 serves, for good", (*prog).poll},
	{"hlt", "sti; hlt for good: no interrupt ever comes", (*prog).hlt},
	{"scribble", "writes to all guest physical addresses, then checks its RAM, and ends", (*prog).scribble},
	{"flood", "random ports and MSRs for good", (*prog).flood},
	{"hyperflood", "random hypercalls for good", (*prog).hyperflood},
	{"memcheck", "RAM is zero at first; then writes and verifies patterns for good", (*prog).memcheck},
	{"regs", "verifies for good that exits keep all registers", (*prog).regs},
	{"insn", "touches devices with many forms of instructions, verifies the results, and ends", (*prog).insns},
	{"gap", "prints the longest time, in ticks of the TSC, that it did not run, for good", (*prog).gap},
	{"echo", "echoes the console", (*prog).echo},
	{"debug", "writes to the debug ports and COM2, and ends with code 42 by port 0xf4, else as usual", (*prog).debug},
	{"boot", "prints what the loader told it: the boot protocol, the command line, modules; then echoes", (*prog).boot},
}

// dispatch emits the choice of the mode by the command line, then all modes.
func (p *prog) dispatch() {
	none := p.NewLabel()
	p.option("mode=", RBX, none)
	for _, m := range Modes {
		found, other := p.NewLabel(), p.NewLabel()
		p.match(m.Name, RBX, found)
		p.Jmp(other)
		p.Place(found)
		p.Load(RAX, At(RBX, int32(len(m.Name))), 1)
		p.CmpImm(RAX, ' ') // end of the word: a space, or the NUL
		p.Jcc(A, other)
		p.line("micro: " + m.Name)
		m.emit(p)
		p.Place(other)
	}
	p.Place(none)
	help := "micro: no mode=NAME on the command line. Modes:"
	for _, m := range Modes {
		help += " " + m.Name
	}
	p.line(help)
	p.Jmp(p.shutdown)
}

// option leaves in r what follows the first key on the command line; without one it
// jumps to none.
func (p *prog) option(key string, r Reg, none Label) {
	next, here := p.NewLabel(), p.NewLabel()
	p.Lea(RAX, p.cmdline)
	p.Load(r, At(RAX, 0), 8)
	p.CmpImm(r, 0)
	p.Jcc(E, none)
	p.Place(next)
	p.Load(RAX, At(r, 0), 1)
	p.CmpImm(RAX, 0)
	p.Jcc(E, none)
	p.match(key, r, here)
	p.AddImm(r, 1)
	p.Jmp(next)
	p.Place(here)
	p.AddImm(r, int32(len(key)))
}

// match jumps to found when the string at r begins with s.
func (p *prog) match(s string, r Reg, found Label) {
	differs := p.NewLabel()
	for i, c := range []byte(s) {
		p.Load(RAX, At(r, int32(i)), 1)
		p.CmpImm(RAX, int32(c))
		p.Jcc(NE, differs)
	}
	p.Jmp(found)
	p.Place(differs)
}

// triple faults by an interrupt with an empty IDT.
func (p *prog) triple() {
	p.Lea(RAX, p.buffer) // all zero: limit 0
	p.LIDT(At(RAX, 0))
	p.INT3()
}

// debug tries the ports of emulators for what is being developed.
func (p *prog) debug() {
	for _, w := range []struct {
		port uint64
		c    byte
	}{{0xe9, 'a'}, {0x402, 'b'}, {0x2f8, 'c'}} {
		p.MovImm(RDX, w.port)
		p.MovImm(RAX, uint64(w.c))
		p.Out(1)
		p.MovImm(RAX, 0)
		p.In(1) // 0xe9 of debug ports
		if w.port != 0x2f8 {
			ok := p.NewLabel()
			p.CmpImm(RAX, 0xe9)
			p.Jcc(E, ok)
			p.line("FAIL: no debug port")
			p.Place(ok)
		}
	}
	p.MovImm(RDX, 0xf4)
	p.MovImm(RAX, 42)
	p.Out(1)
	p.Jmp(p.shutdown)
}

// poll has dom0 work for it, seldom.
func (p *prog) poll() {
	again := p.Here()
	p.MovImm(RCX, 1_000_000)
	count := p.Here()
	p.SubImm(RCX, 1)
	p.Jcc(NE, count)
	p.MovImm(RDX, 0x71)
	p.In(1)
	p.Jmp(again)
}

// CrashMark is what R12 holds in mode crash.
const CrashMark = 0x1122334455667788

// crash says by the hypervisor's own call that it has crashed.
func (p *prog) crash() {
	intel := p.NewLabel()
	p.MovImm(R12, CrashMark)
	p.cmpVendorIntel()
	p.Jcc(E, intel)
	for _, call := range []func(){p.VMMCALL, p.VMCALL} {
		p.MovImm(RDI, uint64(abi.ShutdownCrash))
		p.MovImm(RAX, uint64(abi.CallDomShutdown))
		call()
		p.Jmp(p.Here())
		p.Place(intel)
		intel = p.NewLabel()
	}
	p.Place(intel)
}

func (p *prog) hlt() {
	p.STI()
	again := p.Here()
	p.HLT()
	p.line("micro: woken")
	p.Jmp(again)
}

// echo sends back what comes in on COM1.
func (p *prog) echo() {
	again := p.Here()
	p.PAUSE()
	p.MovImm(RDX, 0x3fd)
	p.MovImm(RAX, 0)
	p.In(1)
	p.AndImm(RAX, 1) // data ready
	p.Jcc(E, again)
	p.MovImm(RDX, 0x3f8)
	p.MovImm(RAX, 0)
	p.In(1)
	p.Call(p.putc)
	p.Jmp(again)
}

// gap looks for jumps of the TSC between two reads; a report after each 2^22
// reads says the longest of them.
func (p *prog) gap() {
	report, again, keep := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Xor(R14, R14) // reports
	p.Place(report)
	p.MovImm(R12, 1<<22)
	p.Xor(R15, R15) // longest
	p.TSC(R13)
	p.Place(again)
	p.TSC(RBX)
	p.Mov(RAX, RBX)
	p.Sub(RAX, R13)
	p.Mov(R13, RBX)
	p.Cmp(RAX, R15)
	p.Jcc(BE, keep)
	p.Mov(R15, RAX)
	p.Place(keep)
	p.SubImm(R12, 1)
	p.Jcc(NE, again)
	p.AddImm(R14, 1)
	p.print("gap ", R14)
	p.line(" longest ", R15)
	p.Jmp(report)
}

// first says when it began, by a TSC that was zero when the guest was started.
func (p *prog) first() {
	p.Lea(R14, p.began)
	p.Load(R14, At(R14, 0), 8)
	p.line("bench first ", R14)
	p.hlt()
}
