// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package decode

// two gives an instruction of the maps behind 0F its meaning.
func (d *decoder) two() {
	op := d.op
	switch {
	case d.escape == escape38:
		d.movbe()
	case d.escape == escape3A:
	case op >= 0x40 && op <= 0x4f:
		d.load(Cmov, d.i.Size)
		d.i.Cond = op & 15
	case op >= 0x90 && op <= 0x9f:
		d.unary(Setcc, true)
		d.i.Cond = op & 15
	case op == 0xb6, op == 0xb7:
		d.load(Movzx, 1+op&1)
	case op == 0xbe, op == 0xbf:
		d.load(Movsx, 1+op&1)
	case op == 0xb0, op == 0xb1:
		d.alu(Cmpxchg, op&1 == 0, false)
	case op == 0xc0, op == 0xc1:
		d.alu(Xadd, op&1 == 0, false)
	case op == 0xa3, op == 0xab, op == 0xb3, op == 0xbb:
		d.alu(Bt+Op(op>>3&3), false, false)
	case op == 0xba:
		if reg := d.modrm >> 3 & 7; reg >= 4 {
			d.immediate(Bt+Op(reg&3), false)
			d.i.Imm &= uint64(d.i.Size)*8 - 1
		}
	case op == 0xc3:
		d.movnti()
	case op == 0xae:
		d.flush()
	default:
		d.exitTwo()
	}
}

// movbe is 0F 38 F0 and F1; with F2 those are CRC32.
func (d *decoder) movbe() {
	if (d.op == 0xf0 || d.op == 0xf1) && d.i.Rep == 0 {
		d.alu(Movbe, false, d.op == 0xf0)
	}
}

func (d *decoder) movnti() {
	if d.i.Rep != 0 || d.prefix66 || !d.mem {
		d.i.Op = undefined
		return
	}
	d.i.Size = max(d.i.Size, 4) // not 2 in 16-bit code
	d.alu(Mov, false, false)
}

// flush is CLFLUSH (0F AE /7), CLFLUSHOPT (66 0F AE /7) and CLWB (66 0F AE /6).
func (d *decoder) flush() {
	reg := d.modrm >> 3 & 7
	if d.mem && d.i.Rep == 0 && (reg == 7 || reg == 6 && d.prefix66) {
		d.i.Op, d.i.Size = Flush, 1
	}
}

// exitTwo recognizes the instructions behind 0F that exit.
func (d *decoder) exitTwo() {
	if d.escape != escape0F {
		return
	}
	switch d.op {
	case 0x01:
		d.group7()
	case 0x06:
		d.i.Op = CLTS
	case 0x08:
		d.i.Op = INVD
	case 0x09:
		d.i.Op = WBINVD
	case 0x20, 0x21, 0x22, 0x23:
		d.control()
	case 0x30:
		d.i.Op = WRMSR
	case 0x31:
		d.i.Op = RDTSC
	case 0x32:
		d.i.Op = RDMSR
	case 0x33:
		d.i.Op = RDPMC
	case 0xa2:
		d.i.Op = CPUID
	case 0xaa:
		d.i.Op = RSM
	}
}

// control is MOV to and from control and debug registers, whose operands are
// always as wide as code addresses allow.
func (d *decoder) control() {
	d.i.Op = [4]Op{MovFromCR, MovFromDR, MovToCR, MovToDR}[d.op&3]
	d.i.CR, d.i.Reg = d.i.Reg, d.rm
	d.i.Size = 4
	if d.mode.Code == 64 {
		d.i.Size = 8
	}
	// CR1, CR5 to CR7, CR9 and up, DR8 and up do not exist.
	valid := d.i.CR < 8
	if d.op&1 == 0 {
		valid = d.i.CR == 0 || d.i.CR >= 2 && d.i.CR <= 4 || d.i.CR == 8
	}
	if !valid {
		d.i.Op = undefined
	}
}

// group7 is 0F 01.
func (d *decoder) group7() {
	switch reg := d.modrm >> 3 & 7; {
	case reg == 4 || reg == 6:
		d.statusWord(reg == 6)
		return
	case reg == 7 && d.mem:
		d.i.Op, d.i.Size, d.i.Dst = INVLPG, 1, Mem
		return
	}
	if d.mem {
		return
	}
	switch d.modrm {
	case 0xc1:
		d.i.Op = VMCALL
	case 0xc8:
		d.i.Op = MONITOR
	case 0xc9:
		d.i.Op = MWAIT
	case 0xd1:
		d.i.Op = XSETBV
	case 0xd9:
		d.i.Op = VMMCALL
	case 0xf9:
		d.i.Op = RDTSCP
	case 0xc2, 0xc3, 0xc4, // VMLAUNCH, VMRESUME, VMXOFF
		0xd4,                                     // VMFUNC
		0xd8, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf: // VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA
		d.i.Op = Nested
	}
}

// statusWord is LMSW or SMSW. Only SMSW to a register has another size than 2.
func (d *decoder) statusWord(load bool) {
	place := Mem
	if !d.mem {
		place, d.i.Reg = Reg, d.rm
	}
	d.i.MemSize = 2
	if load || d.mem {
		d.i.Size = 2
	}
	if load {
		d.i.Op, d.i.Src = LMSW, place
	} else {
		d.i.Op, d.i.Dst = SMSW, place
	}
}
