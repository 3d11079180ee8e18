// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import "ringo/hv/x86"

// one gives an instruction of the one-byte map its meaning. Op stays
// Unsupported for what is not emulated, register forms among it.
func (d *decoder) one() {
	op := d.op
	switch {
	case op < 0x40 && op&7 < 4:
		d.alu(Add+Op(op>>3), op&1 == 0, op&2 != 0)
	case op >= 0x80 && op <= 0x83:
		d.immediate(Add+Op(d.modrm>>3&7), op != 0x81 && op != 0x83)
	case op == 0x84, op == 0x85:
		d.alu(Test, op&1 == 0, false)
	case op == 0x86, op == 0x87:
		d.alu(Xchg, op&1 == 0, false)
	case op >= 0x88 && op <= 0x8b:
		d.alu(Mov, op&1 == 0, op&2 != 0)
	case op >= 0xa0 && op <= 0xa3:
		d.i.Reg = 0
		d.alu(Mov, op&1 == 0, op&2 == 0)
	case op == 0xc6, op == 0xc7:
		if d.modrm>>3&7 == 0 {
			d.immediate(Mov, op == 0xc6)
		}
	case op == 0x63:
		if d.mode.Code == 64 {
			d.load(Movsx, min(d.i.Size, 4))
		}
	case op == 0x8f:
		d.stack(Pop)
	case op == 0xf6, op == 0xf7:
		d.group3()
	case op == 0xfe, op == 0xff:
		d.group5()
	case op >= 0xa4 && op <= 0xaf && op != 0xa8 && op != 0xa9, op >= 0x6c && op <= 0x6f:
		d.str()
	default:
		d.exitOne()
	}
}

// width sets the operand size: a byte, or what the prefixes said.
func (d *decoder) width(byte bool) {
	if byte {
		d.i.Size = 1
	}
	d.i.MemSize = d.i.Size
}

// register completes a register operand of size bytes: without REX, byte
// registers 4 to 7 are the high halves of 0 to 3.
func (d *decoder) register(size uint8) {
	if size == 1 && d.rex == 0 && d.i.Reg >= 4 {
		d.i.Reg, d.i.High = d.i.Reg-4, true
	}
}

// alu is "op r/m, r", or "op r, r/m" if load.
func (d *decoder) alu(op Op, byte, load bool) {
	if !d.mem {
		return
	}
	d.width(byte)
	d.register(d.i.Size)
	d.i.Op, d.i.Dst, d.i.Src = op, Mem, Reg
	if load {
		d.i.Dst, d.i.Src = Reg, Mem
	}
}

// immediate is "op m, imm".
func (d *decoder) immediate(op Op, byte bool) {
	if !d.mem {
		return
	}
	d.width(byte)
	d.i.Op, d.i.Dst, d.i.Src = op, Mem, Imm
}

// unary is "op m".
func (d *decoder) unary(op Op, byte bool) {
	if !d.mem {
		return
	}
	d.width(byte)
	d.i.Op, d.i.Dst = op, Mem
}

// load is an extending load of size bytes.
func (d *decoder) load(op Op, size uint8) {
	if !d.mem {
		return
	}
	d.i.MemSize = size
	d.i.Op, d.i.Dst, d.i.Src = op, Reg, Mem
}

// stack is PUSH or POP, which have 64-bit operands by default in 64-bit mode.
func (d *decoder) stack(op Op) {
	if !d.mem {
		return
	}
	if d.mode.Code == 64 && !(d.prefix66 && d.rex&rexW == 0) {
		d.i.Size = 8
	}
	d.i.Op, d.i.MemSize = op, d.i.Size
	if op == Pop {
		d.i.Dst = Mem
	} else {
		d.i.Src = Mem
	}
}

func (d *decoder) group3() {
	byte := d.op == 0xf6
	switch d.modrm >> 3 & 7 {
	case 0, 1:
		d.immediate(Test, byte)
	case 2:
		d.unary(Not, byte)
	case 3:
		d.unary(Neg, byte)
	}
}

func (d *decoder) group5() {
	byte := d.op == 0xfe
	switch d.modrm >> 3 & 7 {
	case 0:
		d.unary(Inc, byte)
	case 1:
		d.unary(Dec, byte)
	case 6:
		if !byte {
			d.stack(Push)
		}
	}
}

// str is a string instruction.
func (d *decoder) str() {
	d.width(d.op&1 == 0)
	d.segment(x86.DS)
	switch d.op &^ 1 {
	case 0x6c:
		d.i.Op, d.i.PortDX = Ins, true
	case 0x6e:
		d.i.Op, d.i.PortDX = Outs, true
	case 0xa4:
		d.i.Op = Movs
	case 0xa6:
		d.i.Op = Cmps
	case 0xaa:
		d.i.Op = Stos
	case 0xac:
		d.i.Op = Lods
	case 0xae:
		d.i.Op = Scas
	}
	if d.i.Op == Ins || d.i.Op == Outs {
		d.i.Size = min(d.i.Size, 4)
		d.i.MemSize = d.i.Size
	}
}

// exitOne recognizes the one-byte instructions that exit.
func (d *decoder) exitOne() {
	switch d.op {
	case 0x90:
		// With REX.B it is XCHG R8, RAX, repeated or not.
		if d.i.Rep == RepE && d.rex&rexB == 0 {
			d.i.Op = PAUSE
		}
	case 0xcc:
		d.i.Op = INT3
	case 0xcd:
		d.i.Op, d.i.Imm = INT, d.i.Imm&0xff
	case 0xcf:
		d.i.Op = IRET
	case 0xe4, 0xe5, 0xe6, 0xe7:
		d.port(d.op)
		d.i.Port, d.i.Imm = uint8(d.i.Imm), 0
	case 0xec, 0xed, 0xee, 0xef:
		d.port(d.op)
		d.i.PortDX = true
	case 0xf1:
		d.i.Op = INT1
	case 0xf4:
		d.i.Op = HLT
	}
}

func (d *decoder) port(op byte) {
	d.i.Op = In
	if op&2 != 0 {
		d.i.Op = Out
	}
	if op&1 == 0 {
		d.i.Size = 1
	}
	d.i.Size = min(d.i.Size, 4)
}
