// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package guest is the program of the micro guest: a bare 64-bit kernel of a
// few pages that measures what exits cost, or misbehaves. "mode=NAME" on the
// command line chooses; see [Modes].
//
// It is entered by the PVH protocol, as its note says, by Ringo's loader and by
// QEMU's -kernel on the bare machine; like Linux, by the 64-bit boot protocol as the
// payload of a bzImage, or by the 32-bit one; or by multiboot 1 and 2: [Image] makes
// a file for each. It talks on COM1, polled, and ends by ACPI S5.
// The first line is always "micro: NAME"; a line that starts with "FAIL" is a
// broken promise of the hypervisor.
package guest

import (
	"encoding/binary"

	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
)

// Base is where the image is linked and loaded, in guest physical memory, unless
// [BuildAt] says otherwise.
const Base = 0x100000

// Selectors, as the Linux boot protocol has them.
const (
	selCode = 0x10
	selData = 0x18

	selUserCode = 0x20
	selUserData = 0x28
)

// window is the virtual address of 1 GiB through which all of the guest
// physical address space can be seen; see prog.mapWindow.
const window = 4 << 30

// maxRAM bounds the number of RAM ranges that are kept.
const maxRAM = 16

// Mode is one behaviour.
type Mode struct {
	Name, About string
	emit        func(p *prog)
}

// prog is the program while it is put together.
type prog struct {
	*Asm
	base    uint64
	strings []str

	// Subroutines.
	putc, puts, putdec, puthex, shutdown, mapWindow Label
	// Variables: eight bytes each, except the tables.
	cmdline, ramCount, ram, ticks, faults, buffer        Label
	began, shared, samples                               Label
	protocol, info                                       Label
	gdtr, idtr, idt, gdt, stack, tables, tables2, winDir Label
	gates                                                map[int]Label
}

type str struct {
	l Label
	s string
}

// Image is the finished program.
type Image struct {
	Base uint64 // where it is linked and loaded
	Code []byte
	// Entry and EntryPVH are addresses in 64-bit and 32-bit mode; EntryPVH is also for
	// multiboot, and Entry32 for Linux's 32-bit protocol.
	Entry, EntryPVH, Entry32 uint64
	// Note and NoteLen are where in Code the ELF note of the PVH entry is.
	Note, NoteLen int
	Insts         []Inst
}

// Build makes the program. It is the same every time.
func Build() Image { return BuildAt(Base) }

// BuildAt makes the program for another address below 1 GiB, a multiple of 4 KiB.
func BuildAt(base uint64) Image {
	p := &prog{Asm: New(base), base: base, gates: map[int]Label{}}
	for _, l := range []*Label{&p.putc, &p.puts, &p.putdec, &p.puthex, &p.shutdown, &p.mapWindow,
		&p.protocol, &p.info, &p.cmdline, &p.ramCount, &p.ram, &p.ticks, &p.faults, &p.buffer, &p.began, &p.shared, &p.samples,
		&p.gdtr, &p.idtr, &p.idt, &p.gdt, &p.stack, &p.tables, &p.tables2, &p.winDir} {
		*l = p.NewLabel()
	}
	p.Data(make([]byte, headerLen)...) // for multiboot
	entry, entryPVH, entry32 := p.start()
	p.dispatch()
	p.subroutines()
	p.exceptions()
	note, noteEnd := p.note(entryPVH)
	p.data()
	code := p.Link()
	p.fillIDT(code)
	return Image{
		Base: base, Code: code, Entry: p.Addr(entry), EntryPVH: p.Addr(entryPVH), Entry32: p.Addr(entry32),
		Note: int(p.Addr(note) - base), NoteLen: int(p.Addr(noteEnd) - p.Addr(note)),
		Insts: p.Insts(),
	}
}

// str returns the label of a NUL-terminated string.
func (p *prog) str(s string) Label {
	for _, e := range p.strings {
		if e.s == s {
			return e.l
		}
	}
	l := p.NewLabel()
	p.strings = append(p.strings, str{l, s})
	return l
}

// print emits code that prints s and a decimal number from each register.
func (p *prog) print(s string, regs ...Reg) {
	p.Lea(RSI, p.str(s))
	p.Call(p.puts)
	for _, r := range regs {
		p.Mov(RAX, r)
		p.Call(p.putdec)
	}
}

// line is print and the end of the line.
func (p *prog) line(s string, regs ...Reg) {
	if len(regs) == 0 {
		p.print(s + "\r\n")
		return
	}
	p.print(s, regs...)
	p.print("\r\n")
}

// copyMap keeps the RAM of RCX memory map entries at RSI, RDI bytes apart, as
// pairs of first address and end. The first eight bytes of both protocols'
// entries are the address, the next eight the size, then the type.
func (p *prog) copyMap(l Label) {
	next, skip, done := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Place(l)
	p.Lea(R8, p.ram)
	p.Xor(R9, R9)
	p.Place(next)
	p.CmpImm(RCX, 0)
	p.Jcc(E, done)
	p.CmpImm(R9, maxRAM)
	p.Jcc(E, done)
	p.Load(RAX, At(RSI, 16), 4)
	p.CmpImm(RAX, int32(abi.MemRAM))
	p.Jcc(NE, skip)
	p.Load(RAX, At(RSI, 0), 8)
	p.Store(At(R8, 0), RAX, 8)
	p.Load(RDX, At(RSI, 8), 8)
	p.Add(RAX, RDX)
	p.Store(At(R8, 8), RAX, 8)
	p.AddImm(R8, 16)
	p.AddImm(R9, 1)
	p.Place(skip)
	p.Add(RSI, RDI)
	p.SubImm(RCX, 1)
	p.Jmp(next)
	p.Place(done)
	p.Lea(R8, p.ramCount)
	p.Store(At(R8, 0), R9, 8)
	p.Ret()
}

// machine sets up descriptor tables, SSE and the serial port.
func (p *prog) machine() {
	p.Lea(RAX, p.gdtr)
	p.LGDT(At(RAX, 0))
	p.Lea(RAX, p.idtr)
	p.LIDT(At(RAX, 0))
	p.MovFromCR(RAX, 4)
	p.OrImm(RAX, 1<<9|1<<10) // OSFXSR, OSXMMEXCPT
	p.MovToCR(4, RAX)
	p.MovFromCR(RAX, 0)
	p.AndImm(RAX, ^(1<<2 | 1<<3)) // EM, TS
	p.OrImm(RAX, 1<<1)            // MP
	p.MovToCR(0, RAX)
	for _, w := range [][2]uint64{{3, 0x80}, {0, 1}, {1, 0}, {3, 3}, {2, 7}, {4, 3}} {
		p.MovImm(RDX, abi.PortCOM1+w[0])
		p.MovImm(RAX, w[1])
		p.Out(1)
	}
}

// note emits the ELF note XEN_ELFNOTE_PHYS32_ENTRY (18), whose value is eight
// bytes.
func (p *prog) note(entry Label) (from, to Label) {
	p.Align(4)
	from = p.Here()
	p.Data(4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, 'X', 'e', 'n', 0)
	p.Quad(entry)
	return from, p.Here()
}

// data emits variables and tables behind the code.
func (p *prog) data() {
	for _, s := range p.strings {
		p.Place(s.l)
		p.Data(append([]byte(s.s), 0)...)
	}
	p.Align(16)
	for _, v := range []Label{p.protocol, p.info, p.cmdline, p.ramCount, p.ticks, p.faults, p.began} {
		p.Place(v)
		p.Data(make([]byte, 8)...)
	}
	p.Place(p.ram)
	p.Data(make([]byte, 16*maxRAM)...)
	p.Place(p.shared)
	p.Data(make([]byte, 32)...)
	p.Place(p.samples)
	p.Data(make([]byte, 8*benchRounds)...)
	p.Place(p.buffer)
	p.Data(make([]byte, 1024)...)
	p.Place(p.gdt)
	p.Data(make([]byte, 16)...)
	p.Data(0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0) // selCode
	p.Data(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0) // selData
	p.Data(0xff, 0xff, 0, 0, 0, 0xfb, 0xaf, 0) // selUserCode
	p.Data(0xff, 0xff, 0, 0, 0, 0xf3, 0xcf, 0) // selUserData
	p.Place(p.gdtr)
	p.Data(47, 0)
	p.Quad(p.gdt)
	p.Place(p.idtr)
	p.Data(0xff, 0x0f)
	p.Quad(p.idt)
	p.Align(4096)
	p.Place(p.idt)
	p.Data(make([]byte, 4096)...)
	p.Data(make([]byte, 16384)...)
	p.Place(p.stack)
	p.pageTables()
}

// pageTables emits tables that map the low 4 GiB to themselves with pages of
// 2 MiB, for ring 3 too, and above them the window's directory, which starts empty;
// and a second root of the same.
func (p *prog) pageTables() {
	at := func(n int) uint64 { return p.Addr(p.tables) + uint64(n)<<12 | 7 }
	page := func(entries ...uint64) {
		b := make([]byte, 4096)
		for i, e := range entries {
			binary.LittleEndian.PutUint64(b[8*i:], e)
		}
		p.Data(b...)
	}
	p.Place(p.tables)
	page(at(1))
	page(at(2), at(3), at(4), at(5), at(6))
	for g := range uint64(4) {
		var es []uint64
		for i := range uint64(512) {
			es = append(es, g<<30|i<<21|0x87)
		}
		page(es...)
	}
	p.Place(p.winDir)
	page()
	p.Place(p.tables2)
	page(at(1))
}
