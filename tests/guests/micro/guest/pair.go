// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import . "ringo/tests/guests/micro/asm"

// Rounds of what is measured from one moment to another. Of two CPUs' the least counts.
const benchRounds = 64

// Words of prog.shared, which both CPUs of mode pair use.
const (
	sharedArrived = 0  // the TSC when vecMark last came
	sharedLeft    = 8  // the TSC when the second CPU was about to halt, 0 until then
	sharedReady   = 16 // 1 once it takes interrupts
)

// Registers of the local APIC in x2APIC mode.
const (
	msrAPICBase    = 0x1b
	msrTSCDeadline = 0x6e0
	msrEOI         = 0x80b
	msrSVR         = 0x80f
	msrICR         = 0x830
	msrLVTTimer    = 0x832
)

// wrmsr writes a constant.
func (p *prog) wrmsr(msr, val uint64) {
	p.MovImm(RCX, msr)
	p.MovImm(RAX, val&0xffff_ffff)
	p.MovImm(RDX, val>>32)
	p.WRMSR()
}

// feature jumps to none unless the bit of CPUID leaf 1's ECX is set.
func (p *prog) feature(bit uint8, none Label) {
	p.MovImm(RAX, 1)
	p.MovImm(RCX, 0)
	p.CPUID()
	p.Shr(RCX, bit)
	p.AndImm(RCX, 1)
	p.Jcc(E, none)
}

// x2APIC turns the local APIC to x2APIC mode, or jumps to none.
func (p *prog) x2APIC(none Label) {
	p.feature(21, none)
	p.MovImm(RCX, msrAPICBase)
	p.RDMSR()
	p.OrImm(RAX, 1<<11|1<<10)
	p.WRMSR()
	p.wrmsr(msrSVR, 0x1ff)
}

// least makes min the lesser of itself and r.
func (p *prog) least(min, r Reg) {
	more := p.NewLabel()
	p.Cmp(r, min)
	p.Jcc(AE, more)
	p.Mov(min, r)
	p.Place(more)
}

// pair measures what two CPUs of the guest do together, on one CPU of the host or on
// two.
func (p *prog) pair() {
	p.pairStart()
	p.MovImm(R14, ^uint64(0))
	p.MovImm(R15, ^uint64(0))
	p.MovImm(RBP, benchRounds)
	again := p.Here()
	p.pairRound()
	p.SubImm(RBP, 1)
	p.Jcc(NE, again)
	p.Mov(RAX, R14)
	p.report("ipi_other", 1)
	p.Mov(RAX, R15)
	p.report("vcpu_switch", 1)
	p.line("bench done")
	p.Jmp(p.shutdown)
}

// pairRound has the second CPU, which sleeps, take an interrupt and fall asleep again,
// while this one waits without sleeping. It takes to R14 the time from before the
// sending to the handler, and to R15 that from before the second CPU's HLT to when this
// one goes on: where they share a CPU of the host, that is one switch.
func (p *prog) pairRound() {
	p.Lea(RBX, p.shared)
	p.MovImm(RAX, 0)
	p.Store(At(RBX, sharedLeft), RAX, 8)
	p.TSC(R13)
	p.wrmsr(msrICR, 1<<32|1<<14|vecMark) // to the APIC ID 1, fixed
	wait := p.Here()
	p.TSC(R12)
	p.Load(RSI, At(RBX, sharedLeft), 8)
	p.CmpImm(RSI, 0)
	p.Jcc(E, wait)
	p.TSC(R12)
	p.Sub(R12, RSI)
	p.least(R15, R12)
	p.Load(RSI, At(RBX, sharedArrived), 8)
	p.Sub(RSI, R13)
	p.least(R14, RSI)
}

// pairStart starts the second CPU.
func (p *prog) pairStart() {
	const page = 8 // of the code that it begins with
	none, from, end, ready := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.x2APIC(none)
	p.Lea(RSI, from)
	p.Lea(RCX, end)
	p.Sub(RCX, RSI)
	p.MovImm(RDI, page<<12)
	p.Raw(0xf3, 0xa4)                      // REP MOVSB
	p.wrmsr(msrICR, 1<<32|1<<14|5<<8)      // INIT
	p.wrmsr(msrICR, 1<<32|1<<14|6<<8|page) // STARTUP
	p.Lea(RBX, p.shared)
	p.MovImm(RCX, 1<<30)
	wait := p.Here()
	p.PAUSE()
	p.Load(RAX, At(RBX, sharedReady), 8)
	p.CmpImm(RAX, 0)
	p.Jcc(NE, ready)
	p.SubImm(RCX, 1)
	p.Jcc(NE, wait)
	p.Place(none)
	p.line("FAIL pair: there is no second CPU with an x2APIC")
	p.Jmp(p.shutdown)
	p.second(from, end)
	p.Place(ready)
}

// second is the second CPU: from real mode to 64-bit mode in one step (APM Vol. 2,
// "Processor Initialization and Long Mode Activation"), then it sleeps and takes
// interrupts for good.
func (p *prog) second(from, end Label) {
	far := p.NewLabel()
	p.Mode(16)
	p.Place(from) // CS is the page
	p.Raw(0xeb, 10)
	p.Data(47, 0) // at 2: the limit and address of the GDT
	p.Quad(p.gdt)
	p.Raw(0xfa)                                   // CLI
	p.Raw(0x66, 0x2e, 0x0f, 0x01, 0x16, 2, 0)     // LGDT CS:2
	p.RawAbs([]byte{0x66, 0xb8}, p.tables)        // MOV EAX, tables
	p.Raw(0x0f, 0x22, 0xd8)                       // MOV CR3, EAX
	p.Raw(0x66, 0xb8, 0x20, 0, 0, 0)              // MOV EAX, PAE
	p.Raw(0x0f, 0x22, 0xe0)                       // MOV CR4, EAX
	p.Raw(0x66, 0xb9, 0x80, 0, 0, 0xc0)           // MOV ECX, IA32_EFER
	p.Raw(0x0f, 0x32)                             // RDMSR
	p.Raw(0x66, 0x0d, 0, 1, 0, 0)                 // OR EAX, LME
	p.Raw(0x0f, 0x30)                             // WRMSR
	p.Raw(0x66, 0xb8, 0x11, 0, 0, 0x80)           // MOV EAX, PG|ET|PE
	p.Raw(0x0f, 0x22, 0xc0)                       // MOV CR0, EAX
	p.RawAbs([]byte{0x66, 0xea}, far, selCode, 0) // JMP selCode:far
	p.Place(end)
	p.Mode(64)
	p.Place(far)
	p.dataSegments()
	p.Lea(RSP, p.stack)
	p.SubImm(RSP, 8192)
	p.Lea(RAX, p.idtr)
	p.LIDT(At(RAX, 0))
	never := p.NewLabel()
	p.x2APIC(never)
	p.Lea(RBX, p.shared)
	p.MovImm(RAX, 1)
	p.Store(At(RBX, sharedReady), RAX, 8)
	sleep := p.Here()
	p.STI()
	p.HLT()
	p.CLI()
	p.TSC(RAX)
	p.Store(At(RBX, sharedLeft), RAX, 8)
	p.Jmp(sleep)
	p.Place(never)
	p.CLI()
	p.HLT()
	p.Jmp(never)
}

// mark is the handler of vecMark: it notes when it began.
func (p *prog) mark() {
	p.gates[vecMark] = p.Here()
	p.Push(RAX)
	p.Push(RCX)
	p.Push(RDX)
	p.TSC(RAX)
	p.Lea(RCX, p.shared)
	p.Store(At(RCX, sharedArrived), RAX, 8)
	p.wrmsr(msrEOI, 0)
	p.Pop(RDX)
	p.Pop(RCX)
	p.Pop(RAX)
	p.IRETQ()
}
