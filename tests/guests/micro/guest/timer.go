// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import . "ringo/tests/guests/micro/asm"

// settle is longer than a slice of the hypervisor's, in ticks of any emulator's TSC.
const settle = 10_000_000

// benchTimer measures from the time that the local APIC's timer was set for to the
// handler of its interrupt, while the guest computes alone: who has begun to run while
// others waited has the end of a slice ahead, for which a timer must be set anew as well,
// so the guest first computes until that is over. It is the median of benchRounds.
//
// Preconditions: x2APIC mode.
func (p *prog) benchTimer() {
	none := p.NewLabel()
	p.timerMode(none)
	p.TSC(R12)
	p.AddImm(R12, settle)
	wait := p.Here()
	p.TSC(R13)
	p.Cmp(R13, R12)
	p.Jcc(B, wait)
	p.MovImm(RBP, 0)
	again := p.Here()
	p.timerRound()
	p.Load(RAX, At(RBX, sharedArrived), 8)
	p.Sub(RAX, R13)
	p.sample()
	p.CmpImm(RBP, benchRounds)
	p.Jcc(NE, again)
	p.CLI()
	p.reportSample("timer_interrupt", benchRounds/2)
	p.reportSample("timer_interrupt_least", 0)
	p.reportSample("timer_interrupt_most", benchRounds-1)
	p.Place(none)
}

// sample adds RAX to the RBP samples, which are in order. RCX, RDX and RSI are lost.
func (p *prog) sample() {
	here, next := p.NewLabel(), p.NewLabel()
	p.Mov(RSI, RBP)
	p.Shl(RSI, 3)
	p.Lea(RDX, p.samples)
	p.Add(RSI, RDX)
	p.Place(next)
	p.Cmp(RSI, RDX)
	p.Jcc(E, here)
	p.Load(RCX, At(RSI, -8), 8)
	p.Cmp(RCX, RAX)
	p.Jcc(BE, here)
	p.Store(At(RSI, 0), RCX, 8)
	p.SubImm(RSI, 8)
	p.Jmp(next)
	p.Place(here)
	p.Store(At(RSI, 0), RAX, 8)
	p.AddImm(RBP, 1)
}

// reportSample prints the sample of a place in their order.
func (p *prog) reportSample(name string, i int32) {
	p.Lea(RSI, p.samples)
	p.Load(RAX, At(RSI, 8*i), 8)
	p.report(name, 1)
}

// timerMode has the timer fire at a time of the TSC, or jumps to none.
func (p *prog) timerMode(none Label) {
	p.feature(24, none)
	p.wrmsr(msrLVTTimer, 2<<17|vecMark)
	p.STI()
}

// timerRound sets the timer and waits for it. R13 is when it was to fire; RBX points at
// the shared words.
func (p *prog) timerRound() {
	const ticks = 100_000 // more than it takes to set it, in any emulator
	p.Lea(RBX, p.shared)
	p.MovImm(RAX, 0)
	p.Store(At(RBX, sharedArrived), RAX, 8)
	p.TSC(R13)
	p.AddImm(R13, ticks)
	p.Mov(RAX, R13)
	p.Mov(RDX, R13)
	p.Shr(RDX, 32)
	p.MovImm(RCX, msrTSCDeadline)
	p.WRMSR()
	wait := p.Here()
	p.Load(RAX, At(RBX, sharedArrived), 8)
	p.CmpImm(RAX, 0)
	p.Jcc(E, wait)
}
