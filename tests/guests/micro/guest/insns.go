// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
)

// tpr is the register of the local APIC that the instructions work on: the low
// eight bits of what is written are read back, the others are zero.
const tpr = abi.LAPICBase + 0x80

// access is one instruction (or two) whose memory operand is a device. RBX,
// RSI and RDI point to tpr, except RDI or RSI to RAM where the fields say so;
// ECX is 0x31.
type access struct {
	name       string
	code       [][]byte
	ramRSI     bool // RSI points to RAM that holds 0x77
	ramRDI     bool
	eax, dev   uint64 // before
	eaxA, devA uint64 // after
}

func one(b ...byte) [][]byte { return [][]byte{b} }

// accesses are forms that drivers use, and some that nobody should.
var accesses = []access{
	{name: "mov r,m", code: one(0x8b, 0x03), eax: 1, dev: 0x20, eaxA: 0x20, devA: 0x20},
	{name: "mov m,r", code: one(0x89, 0x03), eax: 0x30, dev: 0x20, eaxA: 0x30, devA: 0x30},
	{name: "mov m,imm", code: one(0xc7, 0x03, 0x40, 0, 0, 0), eax: 1, dev: 0x20, eaxA: 1, devA: 0x40},
	{name: "mov eax,moffs", code: one(0xa1, 0x80, 0, 0xe0, 0xfe, 0, 0, 0, 0), eax: 1, dev: 0x20, eaxA: 0x20, devA: 0x20},
	{name: "mov moffs,eax", code: one(0xa3, 0x80, 0, 0xe0, 0xfe, 0, 0, 0, 0), eax: 0x50, dev: 0x20, eaxA: 0x50, devA: 0x50},
	{name: "mov r,[rbx+disp8]", code: one(0x8b, 0x43, 0x00), eax: 1, dev: 0x21, eaxA: 0x21, devA: 0x21},
	{name: "mov r,[rbx+rcx-0x31]", code: one(0x8b, 0x44, 0x0b, 0xcf), eax: 1, dev: 0x22, eaxA: 0x22, devA: 0x22},
	{name: "movsxd", code: one(0x48, 0x63, 0x03), eax: 1, dev: 0x20, eaxA: 0x20, devA: 0x20},
	{name: "cmovz", code: [][]byte{{0x31, 0xc0}, {0x0f, 0x44, 0x03}}, eax: 1, dev: 0x20, eaxA: 0x20, devA: 0x20},
	{name: "xchg", code: one(0x87, 0x03), eax: 0x60, dev: 0x20, eaxA: 0x20, devA: 0x60},
	{name: "add m,r", code: one(0x01, 0x03), eax: 3, dev: 0x20, eaxA: 3, devA: 0x23},
	{name: "add m,r with lock", code: one(0xf0, 0x01, 0x03), eax: 3, dev: 0x20, eaxA: 3, devA: 0x23},
	{name: "sub r,m", code: one(0x2b, 0x03), eax: 0x50, dev: 0x20, eaxA: 0x30, devA: 0x20},
	{name: "or m,imm8", code: one(0x83, 0x0b, 0x41), eax: 1, dev: 0x20, eaxA: 1, devA: 0x61},
	{name: "and m,imm32", code: one(0x81, 0x23, 0xf0, 0, 0, 0), eax: 1, dev: 0x37, eaxA: 1, devA: 0x30},
	{name: "xor m,r", code: one(0x31, 0x03), eax: 0x11, dev: 0x21, eaxA: 0x11, devA: 0x30},
	{name: "inc", code: one(0xff, 0x03), eax: 1, dev: 0x20, eaxA: 1, devA: 0x21},
	{name: "not", code: one(0xf7, 0x13), eax: 1, dev: 0x21, eaxA: 1, devA: 0xde},
	{name: "cmp m,r; setb", code: [][]byte{{0x39, 0x03}, {0x0f, 0x92, 0xc0}}, eax: 0x30, dev: 0x20, eaxA: 1, devA: 0x20},
	{name: "test m,imm; setnz", code: [][]byte{{0xf7, 0x03, 0x20, 0, 0, 0}, {0x0f, 0x95, 0xc0}}, eax: 0, dev: 0x20, eaxA: 1, devA: 0x20},
	{name: "bts m,imm", code: one(0x0f, 0xba, 0x2b, 0x06), eax: 1, dev: 0x20, eaxA: 1, devA: 0x60},
	{name: "cmpxchg, equal", code: one(0x0f, 0xb1, 0x0b), eax: 0x20, dev: 0x20, eaxA: 0x20, devA: 0x31},
	{name: "cmpxchg, different", code: one(0x0f, 0xb1, 0x0b), eax: 0x21, dev: 0x20, eaxA: 0x20, devA: 0x20},
	{name: "xadd", code: one(0x0f, 0xc1, 0x03), eax: 2, dev: 0x20, eaxA: 0x20, devA: 0x22},
	{name: "lodsd", code: one(0xad), eax: 1, dev: 0x20, eaxA: 0x20, devA: 0x20},
	{name: "stosd", code: one(0xab), eax: 0x42, dev: 0x20, eaxA: 0x42, devA: 0x42},
	{name: "movsd to device", code: one(0xa5), ramRSI: true, eax: 1, dev: 0x20, eaxA: 1, devA: 0x77},
	{name: "movsd from device; mov", code: [][]byte{{0xa5}, {0x8b, 0x47, 0xfc}}, ramRDI: true, eax: 1, dev: 0x20, eaxA: 0x20, devA: 0x20},
}

// insns makes each access and compares EAX and the device with what they must
// be; then string instructions on ports.
func (p *prog) insns() {
	p.MovImm(RBX, abi.LAPICBase)
	p.MovImm(RAX, 0x1ff)
	p.Store(At(RBX, 0xf0), RAX, 4)
	p.Xor(R15, R15)
	for _, c := range accesses {
		p.emitAccess(c)
	}
	p.MovImm(RBX, tpr)
	p.MovImm(RAX, 0)
	p.Store(At(RBX, 0), RAX, 4)
	p.stringPorts()
	p.line("insn done, wrong: ", R15)
	p.Jmp(p.shutdown)
}

func (p *prog) emitAccess(c access) {
	good, bad := p.NewLabel(), p.NewLabel()
	p.MovImm(RBX, tpr)
	p.MovImm(RAX, c.dev)
	p.Store(At(RBX, 0), RAX, 4)
	p.Lea(RAX, p.buffer)
	p.MovImm(RCX, 0x77)
	p.Store(At(RAX, 0), RCX, 4)
	p.Mov(RSI, RBX)
	p.Mov(RDI, RBX)
	if c.ramRSI {
		p.Mov(RSI, RAX)
	}
	if c.ramRDI {
		p.Mov(RDI, RAX)
	}
	p.MovImm(RCX, 0x31)
	p.MovImm(RAX, c.eax)
	for _, b := range c.code {
		p.Raw(b...)
	}
	p.Mov(R13, RAX)
	p.Load(R14, At(RBX, 0), 4)
	p.expect(R13, c.eaxA, bad)
	p.expect(R14, c.devA, bad)
	p.Jmp(good)
	p.Place(bad)
	p.AddImm(R15, 1)
	p.print("FAIL insn "+c.name+": EAX ", R13)
	p.line(" device ", R14)
	p.Place(good)
}

// expect jumps to bad unless r holds v.
func (p *prog) expect(r Reg, v uint64, bad Label) {
	p.MovImm(RAX, v)
	p.Cmp(r, RAX)
	p.Jcc(NE, bad)
}

// stringPorts writes four bytes to the serial port's scratch register with one
// instruction and reads it four times with another; then a wide read of a port
// without a device.
func (p *prog) stringPorts() {
	good, bad := p.NewLabel(), p.NewLabel()
	p.Lea(RBX, p.buffer)
	p.MovImm(RAX, 0x44332211)
	p.Store(At(RBX, 0), RAX, 4)
	p.MovImm(RDX, abi.PortCOM1+7)
	p.Mov(RSI, RBX)
	p.MovImm(RCX, 4)
	p.Raw(0xf3, 0x6e) // REP OUTSB
	p.Mov(RDI, RBX)
	p.MovImm(RCX, 4)
	p.Raw(0xf3, 0x6c) // REP INSB
	p.Load(R13, At(RBX, 0), 4)
	p.Mov(R14, RDI)
	p.Sub(R14, RBX)
	p.expect(R13, 0x44444444, bad)
	p.expect(R14, 4, bad)
	p.MovImm(RDX, 0x1230)
	p.Mov(RDI, RBX)
	p.Raw(0x6d) // INSD
	p.Load(R13, At(RBX, 0), 4)
	p.expect(R13, 0xffffffff, bad)
	p.Jmp(good)
	p.Place(bad)
	p.AddImm(R15, 1)
	p.print("FAIL insn string ports: read ", R13)
	p.line(" moved ", R14)
	p.Place(good)
}
