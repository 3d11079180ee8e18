// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package asm

import "encoding/binary"

// Instruction encodings: SDM Vol. 2, "Instruction Format", and the opcode of
// each instruction's page.

// memory encodes prefix, REX, opcode and an operand in memory, which always has
// a 32-bit displacement.
func (a *Asm) memory(prefix []byte, wide bool, reg uint8, m Mem, force bool, op ...byte) {
	b := rex(append([]byte(nil), prefix...), wide, reg, uint8(m.Base), force)
	b = append(b, op...)
	b = append(b, 0x80|reg&7<<3|uint8(m.Base)&7)
	if m.Base&7 == RSP { // RSP and R12 need a SIB byte
		b = append(b, 0x24)
	}
	a.Raw(binary.LittleEndian.AppendUint32(b, uint32(m.Disp))...)
}

// register encodes REX, opcode and an operand in a register, then imm.
func (a *Asm) register(wide bool, reg uint8, rm Reg, imm []byte, op ...byte) {
	b := append(rex(nil, wide, reg, uint8(rm), false), op...)
	b = append(b, 0xc0|reg&7<<3|uint8(rm)&7)
	a.Raw(append(b, imm...)...)
}

// rex appends a REX prefix when it is needed or forced.
func rex(b []byte, wide bool, reg, rm uint8, force bool) []byte {
	r := reg>>3<<2 | rm>>3
	if wide {
		r |= 8
	}
	if r != 0 || force {
		b = append(b, 0x40|r)
	}
	return b
}

func imm32(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

// MovImm sets r to v.
func (a *Asm) MovImm(r Reg, v uint64) {
	if v < 1<<32 { // MOV r32, imm32 clears the upper half
		b := append(rex(nil, false, 0, uint8(r), false), 0xb8|uint8(r)&7)
		a.Raw(append(b, imm32(int32(v))...)...)
		return
	}
	b := append(rex(nil, true, 0, uint8(r), false), 0xb8|uint8(r)&7)
	a.Raw(binary.LittleEndian.AppendUint64(b, v)...)
}

// Mov copies src to dst.
func (a *Asm) Mov(dst, src Reg) { a.register(true, uint8(src), dst, nil, 0x89) }

// Load reads size bytes (1, 2, 4, 8), zero-extended, from m.
func (a *Asm) Load(dst Reg, m Mem, size int) {
	switch size {
	case 1:
		a.memory(nil, false, uint8(dst), m, false, 0x0f, 0xb6)
	case 2:
		a.memory(nil, false, uint8(dst), m, false, 0x0f, 0xb7)
	case 4:
		a.memory(nil, false, uint8(dst), m, false, 0x8b)
	default:
		a.memory(nil, true, uint8(dst), m, false, 0x8b)
	}
}

// Store writes the low size bytes (1, 2, 4, 8) of src to m.
func (a *Asm) Store(m Mem, src Reg, size int) {
	switch size {
	case 1: // without REX, 4 to 7 would be AH to BH
		a.memory(nil, false, uint8(src), m, src >= RSP, 0x88)
	case 2:
		a.memory([]byte{0x66}, false, uint8(src), m, false, 0x89)
	case 4:
		a.memory(nil, false, uint8(src), m, false, 0x89)
	default:
		a.memory(nil, true, uint8(src), m, false, 0x89)
	}
}

// Lea sets r to the address of l.
func (a *Asm) Lea(r Reg, l Label) {
	a.rel(l, 0x48|uint8(r)>>3<<2, 0x8d, 0x05|uint8(r)&7<<3)
}

// ALU operations, the numbers of their immediate forms.
const (
	opAdd = 0
	opOr  = 1
	opAnd = 4
	opSub = 5
	opXor = 6
	opCmp = 7
)

func (a *Asm) alu(op uint8, dst, src Reg)           { a.register(true, uint8(src), dst, nil, op<<3|1) }
func (a *Asm) aluImm(op uint8, dst Reg, v int32)    { a.register(true, op, dst, imm32(v), 0x81) }
func (a *Asm) shift(op uint8, dst Reg, count uint8) { a.register(true, op, dst, []byte{count}, 0xc1) }

// Add emits dst += src. All arithmetic is on 64 bits; immediates are
// sign-extended.
func (a *Asm) Add(dst, src Reg) { a.alu(opAdd, dst, src) }

// Or emits dst |= src.
func (a *Asm) Or(dst, src Reg) { a.alu(opOr, dst, src) }

// And emits dst &= src.
func (a *Asm) And(dst, src Reg) { a.alu(opAnd, dst, src) }

// Sub emits dst -= src.
func (a *Asm) Sub(dst, src Reg) { a.alu(opSub, dst, src) }

// Xor emits dst ^= src.
func (a *Asm) Xor(dst, src Reg) { a.alu(opXor, dst, src) }

// Cmp compares dst with src.
func (a *Asm) Cmp(dst, src Reg) { a.alu(opCmp, dst, src) }

// AddImm emits dst += v.
func (a *Asm) AddImm(dst Reg, v int32) { a.aluImm(opAdd, dst, v) }

// OrImm emits dst |= v.
func (a *Asm) OrImm(dst Reg, v int32) { a.aluImm(opOr, dst, v) }

// AndImm emits dst &= v.
func (a *Asm) AndImm(dst Reg, v int32) { a.aluImm(opAnd, dst, v) }

// SubImm emits dst -= v.
func (a *Asm) SubImm(dst Reg, v int32) { a.aluImm(opSub, dst, v) }

// XorImm emits dst ^= v.
func (a *Asm) XorImm(dst Reg, v int32) { a.aluImm(opXor, dst, v) }

// CmpImm compares dst with v.
func (a *Asm) CmpImm(dst Reg, v int32) { a.aluImm(opCmp, dst, v) }

// Shl shifts dst left by n.
func (a *Asm) Shl(dst Reg, n uint8) { a.shift(4, dst, n) }

// Shr shifts dst right by n.
func (a *Asm) Shr(dst Reg, n uint8) { a.shift(5, dst, n) }

// ShlCL shifts dst left by CL.
func (a *Asm) ShlCL(dst Reg) { a.register(true, 4, dst, nil, 0xd3) }

// Div divides RDX:RAX by r: quotient in RAX, remainder in RDX.
func (a *Asm) Div(r Reg) { a.register(true, 6, r, nil, 0xf7) }

// AddMem adds v to the quad word at m.
func (a *Asm) AddMem(m Mem, v int32) {
	b := append(rex(nil, true, 0, uint8(m.Base), false), 0x81, 0x80|uint8(m.Base)&7)
	if m.Base&7 == RSP {
		b = append(b, 0x24)
	}
	a.Raw(append(append(b, imm32(m.Disp)...), imm32(v)...)...)
}

// Push puts r on the stack; Pop takes it off.
func (a *Asm) Push(r Reg) { a.Raw(append(rex(nil, false, 0, uint8(r), false), 0x50|uint8(r)&7)...) }

// Pop is described with [Asm.Push].
func (a *Asm) Pop(r Reg) { a.Raw(append(rex(nil, false, 0, uint8(r), false), 0x58|uint8(r)&7)...) }

// PushImm pushes v, sign-extended.
func (a *Asm) PushImm(v int32) { a.Raw(append([]byte{0x68}, imm32(v)...)...) }

// Cond is a condition in encoding order.
type Cond uint8

// Conditions: below, not below, equal (zero), not equal, not above, above.
const (
	B  Cond = 2
	AE Cond = 3
	E  Cond = 4
	NE Cond = 5
	BE Cond = 6
	A  Cond = 7
)

// Jmp jumps to l.
func (a *Asm) Jmp(l Label) { a.rel(l, 0xe9) }

// Jcc jumps to l if c holds.
func (a *Asm) Jcc(c Cond, l Label) { a.rel(l, 0x0f, 0x80|uint8(c)) }

// Call calls l.
func (a *Asm) Call(l Label) { a.rel(l, 0xe8) }

// Ret returns.
func (a *Asm) Ret() { a.Raw(0xc3) }

// In reads port DX to AL, AX or EAX.
func (a *Asm) In(size int) { a.port(0xec, size) }

// Out writes AL, AX or EAX to port DX.
func (a *Asm) Out(size int) { a.port(0xee, size) }

func (a *Asm) port(op byte, size int) {
	switch size {
	case 1:
		a.Raw(op)
	case 2:
		a.Raw(0x66, op|1)
	default:
		a.Raw(op | 1)
	}
}

// CPUID is the instruction of that name.
func (a *Asm) CPUID() { a.Raw(0x0f, 0xa2) }

// RDMSR is the instruction of that name.
func (a *Asm) RDMSR() { a.Raw(0x0f, 0x32) }

// WRMSR is the instruction of that name.
func (a *Asm) WRMSR() { a.Raw(0x0f, 0x30) }

// RDTSC is the instruction of that name.
func (a *Asm) RDTSC() { a.Raw(0x0f, 0x31) }

// LFENCE is the instruction of that name.
func (a *Asm) LFENCE() { a.Raw(0x0f, 0xae, 0xe8) }

// VMMCALL is the instruction of that name.
func (a *Asm) VMMCALL() { a.Raw(0x0f, 0x01, 0xd9) }

// VMCALL is the instruction of that name.
func (a *Asm) VMCALL() { a.Raw(0x0f, 0x01, 0xc1) }

// HLT is the instruction of that name.
func (a *Asm) HLT() { a.Raw(0xf4) }

// CLI is the instruction of that name.
func (a *Asm) CLI() { a.Raw(0xfa) }

// STI is the instruction of that name.
func (a *Asm) STI() { a.Raw(0xfb) }

// PAUSE is the instruction of that name.
func (a *Asm) PAUSE() { a.Raw(0xf3, 0x90) }

// INT3 is the instruction of that name.
func (a *Asm) INT3() { a.Raw(0xcc) }

// IRETQ is the instruction of that name.
func (a *Asm) IRETQ() { a.Raw(0x48, 0xcf) }

// FNINIT is the instruction of that name.
func (a *Asm) FNINIT() { a.Raw(0xdb, 0xe3) }

// LIDT and LGDT load a table register from m.
func (a *Asm) LIDT(m Mem) { a.memory(nil, false, 3, m, false, 0x0f, 0x01) }

// LGDT is described with [Asm.LIDT].
func (a *Asm) LGDT(m Mem) { a.memory(nil, false, 2, m, false, 0x0f, 0x01) }

// MovToCR writes control register n.
func (a *Asm) MovToCR(n uint8, r Reg) { a.register(false, n, r, nil, 0x0f, 0x22) }

// MovFromCR reads control register n.
func (a *Asm) MovFromCR(r Reg, n uint8) { a.register(false, n, r, nil, 0x0f, 0x20) }

// MovToDR writes debug register n.
func (a *Asm) MovToDR(n uint8, r Reg) { a.register(false, n, r, nil, 0x0f, 0x23) }

// MovFromDR reads debug register n.
func (a *Asm) MovFromDR(r Reg, n uint8) { a.register(false, n, r, nil, 0x0f, 0x21) }

// LoadX reads XMM register x from m.
func (a *Asm) LoadX(x uint8, m Mem) { a.memory([]byte{0xf3}, false, x, m, false, 0x0f, 0x6f) }

// StoreX writes XMM register x to m.
func (a *Asm) StoreX(m Mem, x uint8) { a.memory([]byte{0xf3}, false, x, m, false, 0x0f, 0x7f) }

// LDMXCSR reads MXCSR from m.
func (a *Asm) LDMXCSR(m Mem) { a.memory(nil, false, 2, m, false, 0x0f, 0xae) }

// STMXCSR writes MXCSR to m.
func (a *Asm) STMXCSR(m Mem) { a.memory(nil, false, 3, m, false, 0x0f, 0xae) }

// FLDCW reads the x87 control word from m.
func (a *Asm) FLDCW(m Mem) { a.memory(nil, false, 5, m, false, 0xd9) }

// FNSTCW writes the x87 control word to m.
func (a *Asm) FNSTCW(m Mem) { a.memory(nil, false, 7, m, false, 0xd9) }
