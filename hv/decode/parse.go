// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

import "ringo/hv/x86"

// decoder reads prefixes, opcode, ModRM, displacement and immediate into i.
type decoder struct {
	b    []byte
	n    int // bytes read
	mode Mode
	i    Insn

	prefix66, prefix67 bool
	rex                uint8 // 0: none
	seg                x86.Seg
	hasSeg             bool

	escape uint8
	op     byte
	hasRM  bool
	modrm  byte
	mem    bool  // ModRM has a memory operand
	rm     uint8 // register of ModRM's r/m, if not mem
	short  bool  // bytes ran out
}

// Opcode maps.
const (
	escapeNone = iota
	escape0F
	escape38
	escape3A
)

// REX bits.
const (
	rexB = 1 << iota
	rexX
	rexR
	rexW
)

func (d *decoder) parse(b []byte, m Mode) error {
	d.b, d.mode = b[:min(len(b), MaxLen)], m
	d.i.Base, d.i.Index = RegNone, RegNone
	d.prefixes()
	d.sizes()
	kind := mapOne[d.op]
	if kind == '2' {
		d.escape, d.op = escape0F, d.byte()
		switch kind = mapTwo[d.op]; kind {
		case '3':
			d.escape, d.op, kind = escape38, d.byte(), 'm'
		case '4':
			d.escape, d.op, kind = escape3A, d.byte(), 'M'
		}
	}
	err := d.operands(kind)
	if d.escape == escape0F && d.op == 0x78 && (d.prefix66 || d.i.Rep == RepNE) {
		d.imm(2) // EXTRQ, INSERTQ
	}
	if d.short {
		if len(b) >= MaxLen {
			return ErrTooLong
		}
		return ErrShort
	}
	d.i.Len = uint8(d.n)
	return err
}

// byte returns the next byte, 0 when there is none.
func (d *decoder) byte() byte {
	if d.n >= len(d.b) {
		d.short = true
		return 0
	}
	d.n++
	return d.b[d.n-1]
}

// signed returns the next size bytes as a signed number, low byte first.
func (d *decoder) signed(size uint8) int64 {
	var v uint64
	for n := range size {
		v |= uint64(d.byte()) << (8 * n)
	}
	return signExtend(v, size)
}

func signExtend(v uint64, size uint8) int64 {
	shift := 64 - 8*uint(size)
	return int64(v<<shift) >> shift
}

// prefixes reads up to the first byte of the opcode. A REX prefix counts only
// directly before it.
func (d *decoder) prefixes() {
	for !d.short {
		c := d.byte()
		if d.mode.Code == 64 && c&0xf0 == 0x40 {
			d.rex = c
			continue
		}
		switch c {
		case 0x26, 0x2e, 0x36, 0x3e:
			if d.mode.Code != 64 { // ignored, and FS or GS before them is not
				d.seg, d.hasSeg = x86.Seg(c>>3&3), true
			}
		case 0x64, 0x65:
			d.seg, d.hasSeg = x86.FS+x86.Seg(c&1), true
		case 0x66:
			d.prefix66 = true
		case 0x67:
			d.prefix67 = true
		case 0xf0:
			d.i.Lock = true
		case 0xf2:
			d.i.Rep = RepNE
		case 0xf3:
			d.i.Rep = RepE
		default:
			d.op = c
			return
		}
		d.rex = 0
	}
}

// sizes sets operand and address size by mode and prefixes (SDM Vol. 1,
// "Operand-Size and Address-Size Attributes").
func (d *decoder) sizes() {
	wide := d.mode.Code != 16
	d.i.Size = 4
	if wide == d.prefix66 {
		d.i.Size = 2
	}
	switch {
	case d.rex&rexW != 0:
		d.i.Size = 8
		fallthrough
	case d.mode.Code == 64:
		d.i.AddrSize = 8
		if d.prefix67 {
			d.i.AddrSize = 4
		}
	case wide == d.prefix67:
		d.i.AddrSize = 2
	default:
		d.i.AddrSize = 4
	}
}

// operands reads what kind (see maps.go) says.
func (d *decoder) operands(kind byte) error {
	long := d.mode.Code == 64
	z := min(d.i.Size, 4)
	switch kind {
	case 'm', 'M', 'Z', 'g', 'G', 'c', 'X':
		d.readModRM(kind == 'c')
		reg := d.modrm >> 3 & 7
		switch {
		case kind == 'M', kind == 'g' && reg < 2:
			d.imm(1)
		case kind == 'Z', kind == 'G' && reg < 2:
			d.imm(z)
		case kind == 'X' && reg != 0:
			return ErrUnsupported
		}
	case 'b':
		d.imm(1)
	case 'z':
		d.imm(z)
	case 'v':
		d.imm(d.i.Size)
	case 'w':
		d.imm(2)
	case 'o':
		d.i.Disp = d.signed(d.i.AddrSize)
		d.mem = true
		d.segment(x86.DS)
	case 'j':
		// In 64-bit mode AMD lets 66 shorten it, Intel does not.
		if long {
			z = 4
		}
		d.imm(z)
	case 'e':
		d.imm(2)
		d.imm(1)
	case 'i', 'B', 'N', 'f':
		if long {
			return ErrUndefined
		}
		switch kind {
		case 'B':
			d.imm(1)
		case 'N':
			d.readModRM(false)
			d.imm(1)
		case 'f':
			d.imm(z)
			d.imm(2)
		}
	case 'V', 'E':
		// Outside of 64-bit mode these take memory only; the forms that would
		// name registers are VEX and EVEX.
		if long || d.peek()>>6 == 3 {
			return ErrUnsupported
		}
		d.readModRM(false)
	case 'x':
		return ErrUnsupported
	}
	return nil
}

func (d *decoder) imm(size uint8) { d.i.Imm = uint64(d.signed(size)) }

func (d *decoder) peek() byte {
	if d.n >= len(d.b) {
		d.short = true
		return 0
	}
	return d.b[d.n]
}

// segment chooses the segment of the memory operand.
func (d *decoder) segment(def x86.Seg) {
	d.i.Seg = def
	if d.hasSeg {
		d.i.Seg = d.seg
	}
}

// readModRM reads ModRM, SIB and displacement. registers: mod is ignored, there
// is never memory (moves to and from control registers).
func (d *decoder) readModRM(registers bool) {
	d.hasRM, d.modrm = true, d.byte()
	mod, rm := d.modrm>>6, d.modrm&7
	d.i.Reg = d.modrm >> 3 & 7
	if d.rex&rexR != 0 {
		d.i.Reg |= 8
	}
	if mod == 3 || registers {
		d.rm = rm
		if d.rex&rexB != 0 {
			d.rm |= 8
		}
		return
	}
	d.mem = true
	if d.i.AddrSize == 2 {
		d.address16(mod, rm)
	} else {
		d.address(mod, rm)
	}
}

// address16 reads a 16-bit address (SDM Vol. 2, Table "16-Bit Addressing Forms
// with the ModR/M Byte").
func (d *decoder) address16(mod, rm byte) {
	const bx, bp, si, di = 3, 5, 6, 7
	base := [8]uint8{bx, bx, bp, bp, si, di, bp, bx}[rm]
	index := [8]uint8{si, di, si, di, RegNone, RegNone, RegNone, RegNone}[rm]
	size := mod // of the displacement
	if mod == 0 && rm == 6 {
		base, size = RegNone, 2
	}
	seg := x86.DS
	if base == bp {
		seg = x86.SS
	}
	d.i.Base, d.i.Index = base, index
	d.segment(seg)
	if size != 0 {
		d.i.Disp = d.signed(size)
	}
}

// address reads a 32- or 64-bit address.
func (d *decoder) address(mod, rm byte) {
	base, size := rm, [3]uint8{0, 1, 4}[mod]
	if rm == 4 {
		sib := d.byte()
		base = sib & 7
		index := sib >> 3 & 7
		if d.rex&rexX != 0 {
			index |= 8
		}
		if index != 4 {
			d.i.Index, d.i.Scale = index, sib>>6
		}
	}
	// Base 5 without displacement is a displacement without base; RIP is the
	// base in 64-bit mode, if there is no SIB.
	none := base == 5 && mod == 0
	seg := x86.DS
	if (base == 4 || base == 5) && !none && d.rex&rexB == 0 {
		seg = x86.SS
	}
	if d.rex&rexB != 0 {
		base |= 8
	}
	if none {
		base, size = RegNone, 4
		if d.mode.Code == 64 && rm != 4 {
			base = RegRIP
		}
	}
	d.i.Base = base
	d.segment(seg)
	if size != 0 {
		d.i.Disp = d.signed(size)
	}
}
