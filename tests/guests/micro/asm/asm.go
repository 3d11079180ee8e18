// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package asm makes x86-64 machine code at a fixed address: the few
// instructions that bare test guests need, labels, and data. It is no general
// assembler; encodings are plain rather than short.
package asm

import "encoding/binary"

// Reg is a general-purpose register in encoding order.
type Reg uint8

// The registers.
const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

// Mem is the memory at register Base plus Disp.
type Mem struct {
	Base Reg
	Disp int32
}

// At is the memory at r plus disp.
func At(r Reg, disp int32) Mem { return Mem{r, disp} }

// Label is a place in the program; its zero value is not one.
type Label int

// Inst is the place of one instruction, for disassemblers and tests.
type Inst struct {
	Off, Len int
	// Mode is 64, or 32 for code that runs before long mode.
	Mode int
}

// Asm collects code and data. The zero value is not usable: see [New].
type Asm struct {
	base   uint64
	b      []byte
	mode   int
	places []int // by label; -1 until placed
	fixups []fixup
	insts  []Inst
}

// fixup is a reference to a label that is filled in by Link: its address, or
// its distance from the end of the field, which ends the instruction then.
type fixup struct {
	off   int
	label Label
	size  int // 4 or 8 bytes
	abs   bool
}

// New returns an empty program that will be loaded at address base.
func New(base uint64) *Asm {
	return &Asm{base: base, mode: 64, places: []int{0}}
}

// Mode says for which mode (32 or 64) the following code is.
func (a *Asm) Mode(bits int) { a.mode = bits }

// NewLabel returns a label that is to be placed later.
func (a *Asm) NewLabel() Label {
	a.places = append(a.places, -1)
	return Label(len(a.places) - 1)
}

// Place puts l here.
func (a *Asm) Place(l Label) {
	if a.places[l] >= 0 {
		panic("asm: label placed twice")
	}
	a.places[l] = len(a.b)
}

// Here returns a new label for this place.
func (a *Asm) Here() Label {
	l := a.NewLabel()
	a.Place(l)
	return l
}

// Addr returns the address of a placed label.
func (a *Asm) Addr(l Label) uint64 {
	if a.places[l] < 0 {
		panic("asm: label not placed")
	}
	return a.base + uint64(a.places[l])
}

// Len is the number of bytes so far.
func (a *Asm) Len() int { return len(a.b) }

// Data appends bytes that are no instructions.
func (a *Asm) Data(b ...byte) { a.b = append(a.b, b...) }

// Align appends zeros up to a multiple of n of the load address.
func (a *Asm) Align(n int) {
	for (a.base+uint64(len(a.b)))%uint64(n) != 0 {
		a.b = append(a.b, 0)
	}
}

// Quad appends the address of l as data of eight bytes.
func (a *Asm) Quad(l Label) {
	a.fixups = append(a.fixups, fixup{off: len(a.b), label: l, size: 8, abs: true})
	a.b = append(a.b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Raw appends one instruction given by its bytes.
func (a *Asm) Raw(b ...byte) {
	a.insts = append(a.insts, Inst{len(a.b), len(b), a.mode})
	a.b = append(a.b, b...)
}

// RawAbs appends one instruction whose bytes are head, the absolute 32-bit
// address of l, and tail.
func (a *Asm) RawAbs(head []byte, l Label, tail ...byte) {
	off := len(a.b) + len(head)
	a.fixups = append(a.fixups, fixup{off: off, label: l, size: 4, abs: true})
	a.Raw(append(append(append([]byte(nil), head...), 0, 0, 0, 0), tail...)...)
}

// rel appends one instruction that ends with a 32-bit distance to l.
func (a *Asm) rel(l Label, head ...byte) {
	a.fixups = append(a.fixups, fixup{off: len(a.b) + len(head), label: l, size: 4})
	a.Raw(append(head, 0, 0, 0, 0)...)
}

// Link fills in all references and returns the program.
func (a *Asm) Link() []byte {
	for _, f := range a.fixups {
		at := a.Addr(f.label)
		switch {
		case f.abs && f.size == 8:
			binary.LittleEndian.PutUint64(a.b[f.off:], at)
		case f.abs:
			binary.LittleEndian.PutUint32(a.b[f.off:], uint32(at))
		default:
			next := a.base + uint64(f.off+4)
			binary.LittleEndian.PutUint32(a.b[f.off:], uint32(at-next))
		}
	}
	return a.b
}

// Insts returns the places of all instructions, ascending.
func (a *Asm) Insts() []Inst { return a.insts }
