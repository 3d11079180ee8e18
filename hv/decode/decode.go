// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package decode decodes and emulates the instructions with which guests touch
// devices in memory, and recognizes those that cause exits by themselves. It
// allocates nothing and believes nothing: the bytes come from a guest, which
// may change them at any time, so they are decoded from one private copy.
//
// Three steps: [Decode] turns bytes into an [Insn]; [Emulation] turns that into
// a sequence of memory and port [Request]s, which a caller serves from a device
// or from guest RAM, now or later; the end of the sequence changes registers
// and flags. References are to SDM Vol. 2 and APM Vol. 3.
package decode

import (
	"errors"

	"ringo/hv/x86"
)

// MaxLen is the longest instruction in bytes.
const MaxLen = 15

// Why bytes were not decoded.
var (
	// ErrShort: the instruction goes on behind the bytes given.
	ErrShort = errors.New("decode: more bytes needed")
	// ErrTooLong: longer than 15 bytes, which is #GP(0).
	ErrTooLong = errors.New("decode: instruction too long")
	// ErrUndefined: the instruction is #UD in this mode.
	ErrUndefined = errors.New("decode: undefined instruction")
	// ErrUnsupported: not an instruction that is emulated. Insn.Len is its
	// length, or 0 if even that is not known (VEX, EVEX, XOP).
	ErrUnsupported = errors.New("decode: instruction is not emulated")
)

// Mode is how the CPU reads instructions: the sizes, in bits (16, 32 or 64), of
// code and of stack addresses.
type Mode struct{ Code, Stack uint8 }

// ModeOf returns the mode of a CPU with these segments; long is EFER.LMA.
func ModeOf(cs, ss x86.Segment, long bool) Mode {
	switch {
	case long && cs.Access&x86.SegL != 0:
		return Mode{64, 64}
	case cs.Access&x86.SegDB != 0 && ss.Access&x86.SegDB != 0:
		return Mode{32, 32}
	case cs.Access&x86.SegDB != 0:
		return Mode{32, 16}
	case ss.Access&x86.SegDB != 0:
		return Mode{16, 32}
	}
	return Mode{16, 16}
}

// Place is where an operand lies.
type Place uint8

// Places.
const (
	None Place = iota
	Mem
	Reg
	Imm
)

// Registers of an address beyond the numbers 0 to 15.
const (
	RegRIP  = 16
	RegNone = 0xff
)

// Prefixes that repeat.
const (
	RepE  = 1 // F3: REP, REPE
	RepNE = 2 // F2
)

// Insn is one decoded instruction.
type Insn struct {
	Op  Op
	Len uint8
	// Size is the operand size in bytes, MemSize that of the memory operand;
	// they differ for extending loads.
	Size, MemSize uint8
	// Dst and Src say where the operands are. At most one of them is Mem.
	// String instructions, and those that only exit, have neither.
	Dst, Src Place
	// Reg is the register operand in encoding order. High means bits 15:8 of
	// it (AH, CH, DH, BH).
	Reg  uint8
	High bool
	Imm  uint64 // sign-extended to Size; the vector of INT
	Cond uint8  // condition code of SETcc and CMOVcc
	Rep  uint8
	Lock bool

	// The memory operand: Seg:[Base + Index<<Scale + Disp], addresses of
	// AddrSize bytes. Base is RegRIP for RIP-relative addresses.
	Seg         x86.Seg
	AddrSize    uint8
	Base, Index uint8
	Scale       uint8
	Disp        int64

	// CR is the control or debug register of MovFromCR and its kin; Reg is the
	// other operand.
	CR uint8
	// Port of IN and OUT, if not in DX (PortDX).
	Port   uint8
	PortDX bool

	code uint8 // bits of code addresses
}

// Exiting reports whether the instruction is one that causes an exit by itself,
// not through its memory operand.
func (i *Insn) Exiting() bool { return i.Op >= opExiting && i.Op < numOps }

// Decode decodes the first instruction in b. After ErrUnsupported, Len may
// still be known.
func Decode(b []byte, m Mode) (Insn, error) {
	var d decoder
	err := d.parse(b, m)
	if err != nil {
		return Insn{}, err
	}
	if d.escape == escapeNone {
		d.one()
	} else {
		d.two()
	}
	d.i.code = m.Code
	if d.i.Src != Reg && d.i.Dst != Reg && (d.i.Op < MovToCR || d.i.Op > MovFromDR) {
		d.i.Reg = 0 // it was part of the opcode
	}
	if d.i.Op == Unsupported {
		return Insn{Len: d.i.Len}, ErrUnsupported
	}
	if d.i.Op == undefined || d.i.Lock && !d.i.lockable() {
		return Insn{}, ErrUndefined
	}
	return d.i, nil
}

// Exiting decodes an instruction that caused an exit by itself. It reports
// false if b does not hold one: another CPU has changed it since, so let the
// guest run it again.
func Exiting(b []byte, m Mode) (Insn, bool) {
	i, err := Decode(b, m)
	return i, err == nil && i.Exiting()
}

// lockable reports whether the LOCK prefix is allowed (SDM Vol. 2, "LOCK").
func (i *Insn) lockable() bool {
	if i.Dst != Mem {
		return false
	}
	switch i.Op {
	case Add, Or, Adc, Sbb, And, Sub, Xor, Not, Neg, Inc, Dec,
		Xchg, Cmpxchg, Xadd, Bts, Btr, Btc:
		return true
	}
	return false
}
