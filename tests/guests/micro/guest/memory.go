// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
)

// ownEnd is the end of the RAM that memory tests leave alone: boot structures,
// tables and this program.
const ownEnd = 4 << 20

// pattern makes values that depend on the address; odd, so never zero.
const pattern = 0x9e3779b97f4a7c15

// eachRAM emits a loop over all of the guest's RAM from ownEnd on in steps,
// with body running for each: RDI is the guest physical address, RSI where it
// is mapped. body keeps RBX, RBP and R12 to R15.
func (p *prog) eachRAM(step int32, body func()) {
	nextRange, again, done, start := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Lea(RBX, p.ram)
	p.Lea(RAX, p.ramCount)
	p.Load(RBP, At(RAX, 0), 8)
	p.Place(nextRange)
	p.CmpImm(RBP, 0)
	p.Jcc(E, done)
	p.SubImm(RBP, 1)
	p.Load(R12, At(RBX, 0), 8) // current address
	p.Load(R13, At(RBX, 8), 8) // end
	p.AddImm(RBX, 16)
	p.CmpImm(R12, ownEnd)
	p.Jcc(AE, start)
	p.MovImm(R12, ownEnd)
	p.Place(start)
	remap := p.Here()
	p.Mov(RDI, R12)
	p.Call(p.mapWindow)
	p.Place(again)
	p.Cmp(R12, R13)
	p.Jcc(AE, nextRange)
	p.Mov(RDI, R12)
	p.Mov(RSI, R12)
	p.AndImm(RSI, 1<<30-1)
	p.MovImm(RAX, window)
	p.Add(RSI, RAX)
	body()
	p.AddImm(R12, step)
	p.Mov(RAX, R12)
	p.AndImm(RAX, 1<<30-1)
	p.CmpImm(RAX, step) // a new GiB begins
	p.Jcc(AE, again)
	p.Jmp(remap)
	p.Place(done)
}

// value leaves in RAX the pattern of the address in RDI and the seed in R14.
func (p *prog) value() {
	p.MovImm(RAX, pattern)
	p.Xor(RAX, RDI)
	p.Add(RAX, R14)
}

// verify emits a pass over RAM that compares with value, counting differences
// in R15 and reporting the first few.
func (p *prog) verify(step int32, what string) {
	p.Xor(R15, R15)
	p.eachRAM(step, func() {
		same := p.NewLabel()
		p.value()
		p.Load(RDX, At(RSI, 0), 8)
		p.Cmp(RAX, RDX)
		p.Jcc(E, same)
		p.bad(what, RDX)
		p.Place(same)
	})
}

// bad counts a wrong value (in v) at RDI in R15 and prints the first eight.
func (p *prog) bad(what string, v Reg) {
	many := p.NewLabel()
	p.AddImm(R15, 1)
	p.CmpImm(R15, 8)
	p.Jcc(A, many)
	p.Push(v)
	p.Push(RDI)
	p.print("FAIL " + what + " at 0x")
	p.Pop(RAX)
	p.Call(p.puthex)
	p.print(" holds 0x")
	p.Pop(RAX)
	p.Call(p.puthex)
	p.line("")
	p.Place(many)
}

// memcheck verifies that memory arrives empty, then that it keeps patterns.
func (p *prog) memcheck() {
	const step = 64
	p.Xor(R15, R15)
	p.eachRAM(step, func() {
		zero := p.NewLabel()
		p.Load(RDX, At(RSI, 0), 8)
		p.CmpImm(RDX, 0)
		p.Jcc(E, zero)
		p.bad("memcheck: fresh memory", RDX)
		p.Place(zero)
	})
	p.line("memcheck zero, wrong words: ", R15)
	p.MovImm(R14, 0) // seed, and number of passes
	again := p.Here()
	p.AddImm(R14, 1)
	p.eachRAM(step, func() {
		p.value()
		p.Store(At(RSI, 0), RAX, 8)
	})
	p.verify(step, "memcheck: memory")
	p.print("memcheck pass ", R14)
	p.line(", wrong words: ", R15)
	p.Jmp(again)
}

// scribble fills its own RAM, then writes to every other place it can name, and
// must find its RAM unchanged and nothing that remembers outside of it.
func (p *prog) scribble() {
	p.MovImm(R14, 1)
	p.eachRAM(4096, func() {
		p.value()
		p.Store(At(RSI, 0), RAX, 8)
	})
	p.line("scribble own RAM written")
	p.outside()
	p.line("scribble places outside that hold what was written: ", R15)
	p.verify(4096, "scribble: own RAM")
	p.line("scribble done, wrong words: ", R15)
	p.Jmp(p.shutdown)
}

// outside writes and reads back every 2 MiB below 16 GiB, and every power of
// two above plus a few steps, up to the CPU's physical address width, except in
// its own RAM and below ownEnd. R15 counts the places that kept the value.
func (p *prog) outside() {
	next, step, done, skip, ranges, far, wide := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.MovImm(RAX, 0x80000008)
	p.MovImm(RCX, 0)
	p.CPUID()
	p.Mov(RCX, RAX)
	p.AndImm(RCX, 0xff)
	p.MovImm(R13, 1)
	p.ShlCL(R13) // first address that cannot be mapped
	p.Xor(R15, R15)
	p.MovImm(R12, ownEnd)
	p.Place(next)
	p.Cmp(R12, R13)
	p.Jcc(AE, done)
	// Is it RAM?
	p.Lea(RBX, p.ram)
	p.MovImm(RCX, maxRAM)
	p.Place(ranges)
	p.Load(RAX, At(RBX, 0), 8)
	p.Load(RDX, At(RBX, 8), 8)
	p.AddImm(RBX, 16)
	p.Cmp(R12, RAX)
	p.Jcc(B, skip)
	p.Cmp(R12, RDX)
	p.Jcc(B, step)
	p.Place(skip)
	p.SubImm(RCX, 1)
	p.Jcc(NE, ranges)

	p.Mov(RDI, R12)
	p.Call(p.mapWindow)
	p.Mov(RSI, R12)
	p.AndImm(RSI, 1<<30-1)
	p.MovImm(RAX, window)
	p.Add(RSI, RAX)
	p.Mov(RDI, R12)
	p.value()
	p.Store(At(RSI, 8), RAX, 8)
	p.Load(RDX, At(RSI, 8), 8)
	p.Cmp(RAX, RDX)
	p.Jcc(NE, step)
	p.bad("scribble: foreign memory", RDX)

	p.Place(step)
	p.MovImm(RAX, 16<<30)
	p.Cmp(R12, RAX)
	p.Jcc(AE, far)
	p.AddImm(R12, 2<<20)
	p.Jmp(next)
	p.Place(far) // in steps of an eighth of the address
	p.Mov(RAX, R12)
	p.Shr(RAX, 24)
	p.Shl(RAX, 21)
	p.CmpImm(RAX, 2<<20)
	p.Jcc(AE, wide)
	p.MovImm(RAX, 2<<20)
	p.Place(wide)
	p.Add(R12, RAX)
	p.Jmp(next)
	p.Place(done)
}

// random leaves the next number of a xorshift generator in R12.
func (p *prog) random() {
	for _, s := range []struct {
		left bool
		n    uint8
	}{{true, 13}, {false, 7}, {true, 17}} {
		p.Mov(RAX, R12)
		if s.left {
			p.Shl(RAX, s.n)
		} else {
			p.Shr(RAX, s.n)
		}
		p.Xor(R12, RAX)
	}
}

// seed starts the generator from the time.
func (p *prog) seed() {
	p.TSC(R12)
	p.OrImm(R12, 1)
}

// every prints s and the count in R13 each 2^bits rounds.
func (p *prog) every(bits uint8, s string) {
	quiet := p.NewLabel()
	p.AddImm(R13, 1)
	p.Mov(RAX, R13)
	p.AndImm(RAX, 1<<bits-1)
	p.Jcc(NE, quiet)
	p.line(s, R13)
	p.Place(quiet)
}

// flood reads and writes random ports in all sizes, and random MSRs. It spares
// what would end it or its console: COM1, the PM1 block and the reset register,
// and the x2APIC's ICR.
func (p *prog) flood() {
	p.seed()
	p.Xor(R13, R13)
	again := p.Here()
	next, msr := p.NewLabel(), p.NewLabel()
	p.random()
	p.Mov(RAX, R12)
	p.Shr(RAX, 60)
	p.CmpImm(RAX, 8)
	p.Jcc(AE, msr)
	p.floodPort(next)
	p.Jmp(next)
	p.Place(msr)
	p.floodMSR(next)
	p.Place(next)
	p.every(14, "flood ")
	p.Jmp(again)
}

func (p *prog) floodPort(next Label) {
	for _, spare := range []struct{ mask, port int32 }{
		{0xfff8, abi.PortCOM1}, {0xfff0, abi.PortPM1aEvt}, {0xfff8, abi.PortReset &^ 7},
		{0xffff, 0x92}, {0xffff, 0x64},
	} {
		p.Mov(RAX, R12)
		p.AndImm(RAX, spare.mask)
		p.CmpImm(RAX, spare.port)
		p.Jcc(E, next)
	}
	for i, size := range []int{1, 2, 4} {
		other, in := p.NewLabel(), p.NewLabel()
		p.Mov(RAX, R12)
		p.Shr(RAX, 32)
		p.AndImm(RAX, 3)
		p.CmpImm(RAX, int32(i))
		p.Jcc(NE, other)
		p.Mov(RDX, R12)
		p.AndImm(RDX, 0xffff)
		p.Mov(RAX, R12)
		p.AndImm(RAX, 1<<20)
		p.Jcc(E, in)
		p.Mov(RAX, R12)
		p.Shr(RAX, 24)
		p.Out(size)
		p.Jmp(next)
		p.Place(in)
		p.In(size)
		p.Jmp(next)
		p.Place(other)
	}
}

func (p *prog) floodMSR(next Label) {
	high, low, write, chosen := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Mov(RCX, R12)
	p.MovImm(RAX, 0xffffffff)
	p.And(RCX, RAX)
	p.Mov(RAX, R12)
	p.Shr(RAX, 56)
	p.AndImm(RAX, 3)
	p.CmpImm(RAX, 1)
	p.Jcc(E, high)
	p.Jcc(A, low)
	p.Jmp(chosen) // any number
	p.Place(high) // 0xc0000000 to 0xc0001fff
	p.AndImm(RCX, 0x1fff)
	p.MovImm(RAX, 0xc0000000)
	p.Or(RCX, RAX)
	p.Jmp(chosen)
	p.Place(low) // 0 to 0x1fff
	p.AndImm(RCX, 0x1fff)
	p.Place(chosen)
	p.CmpImm(RCX, 0x830)
	p.Jcc(E, next)
	p.Mov(RAX, R12)
	p.Shr(RAX, 40)
	p.AndImm(RAX, 1)
	p.Jcc(E, write)
	p.RDMSR()
	p.Jmp(next)
	p.Place(write)
	p.Mov(RBX, RCX)
	p.random()
	p.Mov(RCX, RBX)
	p.Mov(RAX, R12)
	p.Mov(RDX, R12)
	p.Shr(RDX, 48)
	p.WRMSR()
}
