// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import "ringo/hv/x86"

// State is the part of a vCPU that instructions read and change. RSP stands
// here and not in Regs.
type State struct {
	Regs             *x86.Regs
	RSP, RIP, RFLAGS uint64
	// Base holds the segment bases, ES to GS.
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

// mask has the bits of size bytes.
func mask(size uint8) uint64 { return ^uint64(0) >> (64 - 8*size) }

// linear adds the segment base to an offset (SDM Vol. 1, "Segmentation in
// 64-Bit Mode"). Limits are not checked: for the operand that faulted the CPU
// has done it.
func (s *State) linear(seg x86.Seg, offset uint64) uint64 {
	if s.Mode.Code != 64 {
		return (s.Base[seg] + offset) & 0xffff_ffff
	}
	if seg == x86.FS || seg == x86.GS {
		return s.Base[seg] + offset
	}
	return offset
}

// Linear returns the linear address of the memory operand, for comparison with
// the address that faulted. s is the state before the instruction.
func (i *Insn) Linear(s *State) uint64 {
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
	return s.linear(i.Seg, a&mask(i.AddrSize))
}

// log2 of a size of 1, 2, 4 or 8.
func log2(size uint8) uint8 { return size>>1 - size>>3 }

// source and destination are the operands of string instructions.
func (i *Insn) source(s *State) uint64 {
	return s.linear(i.Seg, s.Regs.RSI&mask(i.AddrSize))
}

func (i *Insn) destination(s *State) uint64 {
	return s.linear(x86.ES, s.Regs.RDI&mask(i.AddrSize))
}
