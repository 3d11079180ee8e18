// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
)

// Bench loops: the least of benchBatches batches counts, so that an interrupt
// of the host in some of them does not.
const (
	benchBatches = 8
	benchCount   = 250
)

// row takes one kind of exit: op makes it, after setup has loaded registers. Both
// may use RAX, RBX, RCX, RDX, RSI, RDI and R8 to R11.
type row func(name string, setup, op func())

// Suffixes of the rows that are measured again.
const (
	AgainEnd  = "_end"  // at the end, after a write to DR7
	AgainCR3  = "_cr3"  // after a switch to other page tables
	AgainUser = "_user" // in ring 3
	AgainTurn = "_turn" // each exit under other page tables than the one before
)

// bench measures each kind of exit: first in a machine as it was booted, then again
// in the states in which real systems are. Ring 3 is the last, since there is no way
// back.
func (p *prog) bench() {
	again := func(suffix string) row {
		return func(name string, setup, op func()) { p.measure(name+suffix, setup, op) }
	}
	p.rows(p.measure)
	p.xAPIC(p.rowsXAPIC, p.measure)
	p.benchTouch()
	p.rowsState(p.measure)

	p.MovImm(RAX, 0x400) // as every Linux does while it boots
	p.MovToDR(7, RAX)
	p.Lea(RAX, p.tables2)
	p.MovToCR(3, RAX)
	p.rows(again(AgainCR3))
	p.Lea(RAX, p.tables)
	p.MovToCR(3, RAX)
	p.measure("cpuid"+AgainTurn, func() { p.turnCR3(); p.MovImm(RAX, 0); p.MovImm(RCX, 0) }, p.CPUID)
	p.rows(again(AgainEnd))
	p.xAPIC(p.rowsXAPIC, again(AgainEnd))
	p.xAPIC(p.rowsX2APIC, p.measure)
	p.xAPIC(func(row) { p.benchTimer() }, nil)

	p.enterUser()
	p.rowsUser(again(AgainUser))
	p.line("bench done")
	p.Jmp(p.shutdown)
}

// turnCR3 goes to the other page tables.
func (p *prog) turnCR3() {
	p.Lea(RSI, p.tables)
	p.Lea(RDI, p.tables2)
	p.Xor(RSI, RDI)
	p.MovFromCR(RAX, 3)
	p.Xor(RAX, RSI)
	p.MovToCR(3, RAX)
}

// rows gives the kinds of exits to r that can be had at any time in ring 0.
func (p *prog) rows(r row) {
	p.rowsUser(r)
	r("rdmsr_apicbase", func() { p.MovImm(RCX, 0x1b) }, p.RDMSR)
	r("rdmsr_unknown", func() { p.MovImm(RCX, 0xc0fe) }, p.RDMSR)
	p.rowHypercall(r)
}

// rowsUser are those that ring 3 can cause as well.
func (p *prog) rowsUser(r row) {
	r("cpuid", func() { p.MovImm(RAX, 0); p.MovImm(RCX, 0) }, p.CPUID)
	r("port_unclaimed_out", func() { p.MovImm(RDX, 0x80) }, func() { p.Out(1) })
	r("port_pit_in", func() { p.MovImm(RDX, 0x40) }, func() { p.In(1) })
	r("port_pic_in", func() { p.MovImm(RDX, 0x21) }, func() { p.In(1) })
	r("port_pmtimer_in", func() { p.MovImm(RDX, abi.PortPMTimer) }, func() { p.In(4) })
	r("port_dom0_in", func() { p.MovImm(RDX, abi.PortCOM1+7) }, func() { p.In(1) })
	r("port_dom0_out", func() { p.MovImm(RDX, abi.PortCOM1+7) }, func() { p.Out(1) })
	// Between the I/O APIC and the local APICs nobody answers: no PCI window either.
	r("mmio_none_read", func() { p.MovImm(RBX, abi.IOAPICBase+0x80000) }, func() { p.Load(RAX, At(RBX, 0), 4) })
}

// rowsState are writes to control and debug registers.
func (p *prog) rowsState(r row) {
	r("cr0_ts_toggle", func() { p.MovFromCR(RAX, 0) }, func() { p.XorImm(RAX, 1<<3); p.MovToCR(0, RAX) })
	r("cr4_pge_toggle", func() { p.MovFromCR(RAX, 4) }, func() { p.XorImm(RAX, 1<<7); p.MovToCR(4, RAX) })
	r("cr8_write", func() { p.MovImm(RAX, 0) }, func() { p.Raw(0x44, 0x0f, 0x22, 0xc0) }) // MOV CR8, RAX
	r("dr7_write", func() { p.MovImm(RAX, 0x400) }, func() { p.MovToDR(7, RAX) })
}

// xAPIC emits rows for the local APIC, skipped where there is none.
func (p *prog) xAPIC(rows func(row), r row) {
	none := p.NewLabel()
	p.MovImm(RAX, 1)
	p.MovImm(RCX, 0)
	p.CPUID()
	p.AndImm(RDX, 1<<9)
	p.Jcc(E, none)
	rows(r)
	p.Place(none)
}

// rowsXAPIC are those of the local APIC's page.
func (p *prog) rowsXAPIC(r row) {
	p.MovImm(RBX, abi.LAPICBase)
	p.MovImm(RAX, 0x1ff) // enable, spurious vector 0xff
	p.Store(At(RBX, 0xf0), RAX, 4)
	apic := func() { p.MovImm(RBX, abi.LAPICBase); p.MovImm(RAX, 0) }
	r("xapic_tpr_write", apic, func() { p.Store(At(RBX, 0x80), RAX, 4) })
	r("xapic_eoi_write", apic, func() { p.Store(At(RBX, 0xb0), RAX, 4) })
	r("xapic_id_read", apic, func() { p.Load(RAX, At(RBX, 0x20), 4) })
}

// enterUser goes to ring 3, with leave to use all ports.
func (p *prog) enterUser() {
	there := p.NewLabel()
	p.Mov(RBX, RSP)
	p.PushImm(selUserData | 3)
	p.Push(RBX)
	p.PushImm(3<<12 | 2) // IOPL 3
	p.PushImm(selUserCode | 3)
	p.Lea(RAX, there)
	p.Push(RAX)
	p.IRETQ()
	p.Place(there)
}

// endless repeats one kind of exit for good, for profiles: that which
// "figure=NAME" on the command line says. It runs in the window, at addresses that
// neither the hypervisor nor dom0 has code at.
func (p *prog) endless() {
	none, there := p.NewLabel(), p.NewLabel()
	p.option("figure=", R15, none)
	p.MovImm(RDI, 0)
	p.Call(p.mapWindow)
	p.Lea(RAX, there)
	p.MovImm(RCX, window)
	p.Add(RAX, RCX)
	p.Raw(0xff, 0xe0) // JMP RAX
	p.Place(there)
	p.rows(p.repeat)
	p.xAPIC(p.rowsXAPIC, p.repeat)
	p.rowsState(p.repeat)
	p.xAPIC(p.rowsX2APIC, p.repeat)
	p.repeatAfter("timer_interrupt", func() { p.timerMode(none) }, p.timerRound)
	p.repeatAfter("ipi_other", p.pairStart, p.pairRound)
	p.enterUser()
	p.rowsUser(func(name string, setup, op func()) { p.repeat(name+AgainUser, setup, op) })
	p.Place(none)
	p.line("loop: no such figure")
	p.Jmp(p.shutdown)
}

// repeat is the loop of one kind of exit, if it is the one that R15 points at.
func (p *prog) repeat(name string, setup, op func()) {
	p.repeatAfter(name, func() {}, func() { setup(); op() })
}

// repeatAfter is repeat of op, after start.
func (p *prog) repeatAfter(name string, start, op func()) {
	found, other, again := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.match(name, R15, found)
	p.Jmp(other)
	p.Place(found)
	p.Load(RAX, At(R15, int32(len(name))), 1)
	p.CmpImm(RAX, ' ')
	p.Jcc(A, other)
	start()
	p.Lea(R14, again)
	p.line("loop "+name+" at ", R14)
	p.Place(again)
	p.Raw(0x66, 0x87, 0xdb) // XCHG BX, BX: Bochs' debugger stops here
	op()
	p.Jmp(again)
	p.Place(other)
}

// measure emits a measurement of op, which is preceded by setup, less that of
// setup alone, and the line that reports it.
func (p *prog) measure(name string, setup, op func()) {
	positive := p.NewLabel()
	p.Least(R14, benchBatches, benchCount, func() { setup(); op() })
	p.Least(R15, benchBatches, benchCount, setup)
	p.Mov(RAX, R14)
	p.Sub(RAX, R15)
	p.Cmp(R14, R15)
	p.Jcc(AE, positive)
	p.MovImm(RAX, 0)
	p.Place(positive)
	p.report(name, benchCount)
}

// report prints RAX divided by n, rounded.
func (p *prog) report(name string, n int32) {
	p.AddImm(RAX, n/2)
	p.MovImm(RDX, 0)
	p.MovImm(RCX, uint64(n))
	p.Div(RCX)
	p.Mov(R14, RAX)
	p.line("bench "+name+" ", R14)
}

// rowHypercall is the null hypercall, with the vendor's instruction, if this is
// Ringo.
func (p *prog) rowHypercall(r row) {
	intel, done, other := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.MovImm(RAX, abi.CPUIDBase)
	p.CPUID()
	p.MovImm(RCX, 'R'|'i'<<8|'n'<<16|'g'<<24)
	p.Cmp(RBX, RCX)
	p.Jcc(NE, other)
	p.cmpVendorIntel()
	p.Jcc(E, intel)
	call := func() { p.MovImm(RAX, uint64(abi.CallNop)) }
	r("hypercall", call, p.VMMCALL)
	p.Jmp(done)
	p.Place(intel)
	r("hypercall", call, p.VMCALL)
	p.Jmp(done)
	p.Place(other)
	p.line("skip hypercall: not under Ringo")
	p.Place(done)
}

// cmpVendorIntel sets the flags to equal on an Intel processor.
func (p *prog) cmpVendorIntel() {
	p.MovImm(RAX, 0)
	p.MovImm(RCX, 0)
	p.CPUID()
	p.MovImm(RCX, 'G'|'e'<<8|'n'<<16|'u'<<24)
	p.Cmp(RBX, RCX)
}

// benchTouch compares the first writes to fresh pages with the second.
func (p *prog) benchTouch() {
	const first, pages = 8 << 20, 256
	pass := func(dst Reg) {
		p.MovImm(RBX, first)
		p.MovImm(R12, pages)
		p.TSC(R13)
		again := p.Here()
		p.Store(At(RBX, 0), RBX, 8)
		p.AddImm(RBX, 4096)
		p.SubImm(R12, 1)
		p.Jcc(NE, again)
		p.TSC(dst)
		p.Sub(dst, R13)
	}
	positive := p.NewLabel()
	pass(R14)
	pass(R15)
	p.Mov(RAX, R14)
	p.Sub(RAX, R15)
	p.Cmp(R14, R15)
	p.Jcc(AE, positive)
	p.MovImm(RAX, 0)
	p.Place(positive)
	p.report("first_touch_page", pages)
}

// rowsX2APIC are those of x2APIC mode: among them an interrupt that the processor
// sends itself, with its delivery and EOI.
func (p *prog) rowsX2APIC(r row) {
	none, done, counts := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.x2APIC(none)
	r("x2apic_tpr_write", func() { p.MovImm(RCX, 0x808); p.MovImm(RAX, 0); p.MovImm(RDX, 0) }, p.WRMSR)
	p.feature(24, counts)
	p.wrmsr(msrLVTTimer, 2<<17|vecMark) // at a time of the TSC, which never comes
	r("tsc_deadline_write", func() { p.MovImm(RCX, msrTSCDeadline); p.MovImm(RAX, 0); p.MovImm(RDX, 1<<20) }, p.WRMSR)
	p.wrmsr(msrTSCDeadline, 0)
	p.Place(counts)
	p.STI()
	r("x2apic_self_ipi", func() {}, func() {
		p.Lea(RDI, p.ticks)
		p.Load(RSI, At(RDI, 0), 8)
		p.MovImm(RCX, 0x83f) // self IPI
		p.MovImm(RAX, vecIPI)
		p.MovImm(RDX, 0)
		p.WRMSR()
		wait := p.Here()
		p.Load(RAX, At(RDI, 0), 8)
		p.Cmp(RAX, RSI)
		p.Jcc(E, wait)
	})
	p.CLI()
	p.Jmp(done)
	p.Place(none)
	p.line("skip x2apic: not in CPUID")
	p.Place(done)
}
