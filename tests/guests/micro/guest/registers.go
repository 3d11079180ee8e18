// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
)

// hyperflood calls around Ringo's numbers, and others, with random arguments.
// Only the null call may succeed. CallDomShutdown is spared: it would, too, and
// end the guest.
func (p *prog) hyperflood() {
	near, chosen, intel, called, next := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	amd := p.NewLabel()
	p.seed()
	p.Xor(R13, R13)
	p.MovImm(R15, 0)
	p.cmpVendorIntel()
	p.Jcc(NE, amd)
	p.MovImm(R15, 1)
	p.Place(amd)
	again := p.Here()
	p.random()
	p.Mov(R14, R12)
	p.Mov(RAX, R12)
	p.Shr(RAX, 61)
	p.Jcc(NE, near) // one of eight is any number
	p.Jmp(chosen)
	p.Place(near)
	p.AndImm(R14, 63)
	p.AddImm(R14, int32(abi.CallBase)-8)
	p.CmpImm(R14, int32(abi.CallDomShutdown))
	p.Jcc(E, next)
	p.Place(chosen)
	p.CmpImm(R15, 1)
	p.Jcc(E, intel)
	p.arguments()
	p.VMMCALL()
	p.Jmp(called)
	p.Place(intel)
	p.arguments()
	p.VMCALL()
	p.Place(called)
	p.CmpImm(RAX, int32(abi.OK))
	p.Jcc(NE, next)
	p.CmpImm(R14, int32(abi.CallNop))
	p.Jcc(BE, next) // the null call, or a number below that is KVM's
	p.CmpImm(R14, int32(abi.CallEnd))
	p.Jcc(AE, next)
	p.line("FAIL hyperflood: allowed call ", R14)
	p.Place(next)
	p.every(14, "hyperflood ")
	p.Jmp(again)
}

// arguments fills the argument registers: full-size numbers and small ones.
func (p *prog) arguments() {
	for i, r := range []Reg{RDI, RSI, RDX, R8, R9} {
		p.random()
		p.Mov(r, R12)
		p.Shr(r, uint8(9*i))
	}
	p.Mov(RAX, R14)
}

// regFile is the registers that regs fills with random values: not RAX and
// RDX, which the accesses use, and not RBX, RSP, which it needs itself.
var regFile = []Reg{RCX, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15}

// Offsets in prog.buffer, which regs and its check share.
const (
	bufGPR   = 0   // expected
	bufX     = 128 // expected XMM registers
	bufGotX  = 384
	bufMXCSR = 640
	bufFCW   = 648
	bufDR    = 656
	bufRound = 688
	bufSeed  = 696
	bufGotM  = 704
	bufGotF  = 712
	bufBad   = 720
)

// regs fills registers with random values, makes exits of several kinds, and
// compares: general-purpose, XMM, MXCSR (with exceptions unmasked), x87 control
// word, DR0 to DR3.
func (p *prog) regs() {
	p.seed()
	p.Lea(RBX, p.buffer)
	p.Store(At(RBX, bufSeed), R12, 8)
	p.FNINIT()
	again := p.Here()
	p.fillRegs()
	for range 4 {
		p.MovImm(RDX, abi.PortCOM1+7) // dom0: other code runs meanwhile
		p.In(1)
		p.MovImm(RDX, 0x80)
		p.Out(1)
	}
	p.checkRegs()
	p.Lea(RBX, p.buffer)
	p.Load(R13, At(RBX, bufRound), 8)
	p.every(10, "regs ok ")
	p.Lea(RBX, p.buffer)
	p.Store(At(RBX, bufRound), R13, 8)
	p.Jmp(again)
}

// fillRegs sets all registers, and the buffer to what is expected.
func (p *prog) fillRegs() {
	p.Lea(RBX, p.buffer)
	p.Load(R12, At(RBX, bufSeed), 8)
	for off := int32(bufGPR); off < bufGotX; off += 8 {
		p.random()
		p.Store(At(RBX, off), R12, 8)
	}
	p.Mov(RAX, R12) // any exceptions, rounding; FTZ; no DAZ
	p.AndImm(RAX, 0xff80)
	p.Store(At(RBX, bufMXCSR), RAX, 4)
	p.Mov(RAX, R12)
	p.Shr(RAX, 20)
	p.AndImm(RAX, 0x0f00)
	p.OrImm(RAX, 0x7f)
	p.Store(At(RBX, bufFCW), RAX, 2)
	for i := range uint8(4) {
		p.random()
		p.Mov(RAX, R12)
		p.Shr(RAX, 20)
		p.Store(At(RBX, bufDR+8*int32(i)), RAX, 8)
		p.MovToDR(i, RAX)
	}
	p.Store(At(RBX, bufSeed), R12, 8)
	for x := range uint8(16) {
		p.LoadX(x, At(RBX, bufX+16*int32(x)))
	}
	p.LDMXCSR(At(RBX, bufMXCSR))
	p.FLDCW(At(RBX, bufFCW))
	for i, r := range regFile {
		p.Load(r, At(RBX, bufGPR+8*int32(i)), 8)
	}
}

// checkRegs compares with the buffer. RBX is part of the check: it must still
// point there.
func (p *prog) checkRegs() {
	differs, same := p.NewLabel(), p.NewLabel()
	p.Lea(RAX, p.buffer)
	p.MovImm(RDX, 1) // which check
	p.Cmp(RAX, RBX)
	p.Jcc(NE, differs)
	p.MovImm(RDX, 2)
	for i, r := range regFile {
		p.Load(RAX, At(RBX, bufGPR+8*int32(i)), 8)
		p.Cmp(RAX, r)
		p.Jcc(NE, differs)
	}
	p.MovImm(RDX, 3)
	for x := range uint8(16) {
		p.StoreX(At(RBX, bufGotX+16*int32(x)), x)
	}
	for off := int32(0); off < 256; off += 8 {
		p.compare(bufX+off, bufGotX+off, 8, differs)
	}
	p.MovImm(RDX, 4)
	p.STMXCSR(At(RBX, bufGotM))
	p.compare(bufMXCSR, bufGotM, 4, differs)
	p.MovImm(RDX, 5)
	p.FNSTCW(At(RBX, bufGotF))
	p.compare(bufFCW, bufGotF, 2, differs)
	p.MovImm(RDX, 6)
	for i := range uint8(4) {
		p.MovFromDR(RAX, i)
		p.Load(RCX, At(RBX, bufDR+8*int32(i)), 8)
		p.Cmp(RAX, RCX)
		p.Jcc(NE, differs)
	}
	p.Jmp(same)
	p.Place(differs)
	p.Lea(RBX, p.buffer)
	p.Store(At(RBX, bufBad), RDX, 8)
	p.Mov(R13, RDX)
	p.line("FAIL regs: changed (1 RBX, 2 general, 3 XMM, 4 MXCSR, 5 x87, 6 debug): ", R13)
	p.Place(same)
}

// compare jumps to differs unless two words in the buffer are equal.
func (p *prog) compare(want, got int32, size int, differs Label) {
	p.Load(RAX, At(RBX, want), size)
	p.Load(RCX, At(RBX, got), size)
	p.Cmp(RAX, RCX)
	p.Jcc(NE, differs)
}
