// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import "ringo/hv/x86"

// State is the part of a vCPU that instructions read and change. RSP stands
// here and not in Regs.
type State struct {
	Regs             *x86.Regs
	RSP, RIP, RFLAGS uint64
	CR0              uint64 // for SMSW and LMSW
	// Base holds the segment bases, ES to GS; in 64-bit mode only those of the
	// segments that the instruction names matter.
	Base [6]uint64
	Mode Mode
}

// GPR returns a pointer to general-purpose register n.
func (s *State) GPR(n uint8) *uint64 {
	if n == 4 {
		return &s.RSP
	}
	return s.Regs.GPR(n)
}

// get returns size bytes of register n; high means bits 15:8.
func (s *State) get(n uint8, high bool, size uint8) uint64 {
	v := *s.GPR(n)
	if high {
		v >>= 8
	}
	return v & mask(size)
}

// set writes size bytes of register n: 32-bit writes clear the upper half, and
// smaller ones keep the rest.
func (s *State) set(n uint8, high bool, size uint8, v uint64) {
	p := s.GPR(n)
	m := mask(size)
	switch {
	case high:
		*p = *p&^0xff00 | v&0xff<<8
	case size == 4:
		*p = v & m
	default:
		*p = *p&^m | v&m
	}
}

// mask has the bits of size bytes, 1 to 8.
func mask(size uint8) uint64 { return ^uint64(0) >> ((64 - 8*size) & 63) }

// Operand is a memory operand of an instruction, or of one iteration of it.
type Operand struct {
	Seg  x86.Seg
	Size uint8 // 1, 2, 4 or 8 bytes
	// Write: it is written, perhaps after it was read.
	Read, Write bool
	Offset      uint64 // in the segment
	Addr        uint64 // linear address
}

// linear adds the segment base to an offset (SDM Vol. 1, "Segmentation in
// 64-Bit Mode"). Limits are the caller's business: it has the segments.
func (s *State) linear(seg x86.Seg, offset uint64) uint64 {
	if s.Mode.Code != 64 {
		return (s.Base[seg] + offset) & 0xffff_ffff
	}
	if seg == x86.FS || seg == x86.GS {
		return s.Base[seg] + offset
	}
	return offset
}

// operand makes o the memory operand at an offset.
func (o *Operand) operand(s *State, i *Insn, seg x86.Seg, offset uint64, read, write bool) {
	*o = Operand{seg, i.MemSize, read, write, offset, s.linear(seg, offset)}
}

// Offset is that of the memory operand in its segment. s is the state before the
// instruction.
func (i *Insn) Offset(s *State) uint64 {
	a := uint64(i.Disp)
	switch i.Base {
	case RegNone:
	case RegRIP:
		a += s.RIP + uint64(i.Len)
	default:
		a += *s.GPR(i.Base)
	}
	if i.Index != RegNone {
		a += *s.GPR(i.Index) << i.Scale
	}
	if i.Op >= Bt && i.Op <= Btc && i.Src == Reg {
		// The bit offset is signed and reaches beyond the operand.
		bit := signExtend(s.get(i.Reg, false, i.Size), i.Size)
		size := int64(i.Size)
		a += uint64(bit >> (3 + log2(i.Size)) * size)
	}
	return a & mask(i.AddrSize)
}

// operands fills in the memory operands of i in the order in which the CPU
// translates them, and returns their number.
func (i *Insn) operands(s *State, o *[2]Operand) uint8 {
	switch i.Op {
	case Flush:
		return 0
	case Movs, Cmps, Lods, Outs:
		o[0].operand(s, i, i.Seg, s.Regs.RSI&mask(i.AddrSize), true, false)
		if i.Op == Lods || i.Op == Outs {
			return 1
		}
		o[1].operand(s, i, x86.ES, s.Regs.RDI&mask(i.AddrSize), i.Op == Cmps, i.Op == Movs)
		return 2
	case Stos, Scas, Ins:
		o[0].operand(s, i, x86.ES, s.Regs.RDI&mask(i.AddrSize), i.Op == Scas, i.Op != Scas)
		return 1
	case Push:
		o[0].operand(s, i, i.Seg, i.Offset(s), true, false)
		o[1].operand(s, i, x86.SS, (s.RSP-uint64(i.Size))&stackMask(s), false, true)
		return 2
	case Pop:
		o[0].operand(s, i, x86.SS, s.RSP&stackMask(s), true, false)
		// An address that uses RSP sees it after the increment.
		rsp := s.RSP
		s.RSP = moveStack(s, int64(i.Size))
		o[1].operand(s, i, i.Seg, i.Offset(s), false, true)
		s.RSP = rsp
		return 2
	}
	if i.Dst != Mem && i.Src != Mem {
		return 0
	}
	o[0].operand(s, i, i.Seg, i.Offset(s), i.reads(), i.writes())
	return 1
}

// reads and writes say what becomes of the only memory operand.
func (i *Insn) reads() bool {
	return i.Src == Mem || i.Op != Mov && i.Op != Movbe && i.Op != Setcc && i.Op != SMSW
}

func (i *Insn) writes() bool {
	return i.Dst == Mem && i.Op != Cmp && i.Op != Test && i.Op != Bt
}

func stackMask(s *State) uint64 { return mask(s.Mode.Stack / 8) }

// moveStack returns RSP moved by n; bits beyond the stack's size stay.
func moveStack(s *State, n int64) uint64 {
	m := stackMask(s)
	return s.RSP&^m | (s.RSP+uint64(n))&m
}

// log2 of a size of 1, 2, 4 or 8.
func log2(size uint8) uint8 { return size>>1 - size>>3 }
