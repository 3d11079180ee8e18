// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"

	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
	"ringo/tools/initramfs/cpio"
)

// What the init of the measured Linux prints.
const (
	initPrint = "init at TSC " // its first instruction
	initDone  = "init done"
)

// initEnds is the word of the kernel's command line, which it passes on, with which init
// does nothing but end the guest, by a write to port debugExit.
const (
	initEnds  = "mute"
	debugExit = 0xf4
)

// linuxRow is the end of the names of rows that init measures: in ring 3 of a booted
// Linux.
const linuxRow = "_linux"

// System calls (Linux, arch/x86/entry/syscalls/syscall_64.tbl).
const (
	sysRead  = 0
	sysWrite = 1
	sysPause = 34
	sysIOPL  = 172
)

// initBase is where the program is linked and loaded, behind its ELF headers.
const initBase = 0x400000 + 64 + 56

// initProg is the program while it is put together.
type initProg struct {
	*Asm
	texts  map[string]Label
	order  []string
	buffer Label // its end is where numbers end
}

// initCode is the program. With an argument it ends the guest at once; else it prints the time-stamp counter at its first instruction,
// waits for a line of input, measures some exits, and sleeps.
func initCode() []byte {
	p := &initProg{Asm: New(initBase), texts: map[string]Label{}}
	p.buffer = p.NewLabel()
	p.RDTSC()
	p.Shl(RDX, 32)
	p.Or(RAX, RDX)
	p.Mov(R14, RAX)
	goes := p.NewLabel()
	p.Load(RBX, At(RSP, 0), 8) // the number of arguments, with its name
	p.CmpImm(RBX, 1)
	p.Jcc(E, goes)
	p.call(sysIOPL, 3, 0)
	p.MovImm(RDX, debugExit)
	p.Out(1)
	p.Place(goes)
	p.report("\n" + initPrint)
	p.Lea(RSI, p.buffer)
	p.SubImm(RSI, 1)
	p.call(sysRead, 0, 1)
	p.call(sysIOPL, 3, 0)
	p.row("cpuid", func() { p.MovImm(RAX, 0); p.MovImm(RCX, 0) }, p.CPUID)
	p.row("port_unclaimed_out", func() { p.MovImm(RDX, 0x80) }, func() { p.Out(1) })
	p.row("port_pit_in", func() { p.MovImm(RDX, 0x40) }, func() { p.In(1) })
	p.row("port_pic_in", func() { p.MovImm(RDX, 0x21) }, func() { p.In(1) })
	p.row("port_pmtimer_in", func() { p.MovImm(RDX, abi.PortPMTimer) }, func() { p.In(4) })
	p.row("port_dom0_in", func() { p.MovImm(RDX, abi.PortCOM1+7) }, func() { p.In(1) })
	p.print(initDone + "\n")
	again := p.Here()
	p.call(sysPause, 0, 0)
	p.Jmp(again)
	for _, s := range p.order {
		p.Place(p.texts[s])
		p.Data([]byte(s)...)
	}
	p.Data(make([]byte, 32)...)
	p.Place(p.buffer)
	return p.Link()
}

// call makes a system call with RSI as it is.
func (p *initProg) call(nr, rdi, rdx uint64) {
	p.MovImm(RDI, rdi)
	p.MovImm(RDX, rdx)
	p.MovImm(RAX, nr)
	p.Raw(0x0f, 0x05) // SYSCALL: RCX and R11 are lost
}

func (p *initProg) print(s string) {
	l, ok := p.texts[s]
	if !ok {
		l = p.NewLabel()
		p.texts[s] = l
		p.order = append(p.order, s)
	}
	p.Lea(RSI, l)
	p.call(sysWrite, 1, uint64(len(s)))
}

// report prints s, the decimal number in R14 and the end of the line.
func (p *initProg) report(s string) {
	p.print(s)
	p.Mov(RAX, R14)
	p.Lea(RSI, p.buffer)
	p.MovImm(RCX, 10)
	p.MovImm(RBX, '\n')
	p.SubImm(RSI, 1)
	p.Store(At(RSI, 0), RBX, 1)
	digit := p.Here()
	p.MovImm(RDX, 0)
	p.Div(RCX)
	p.AddImm(RDX, '0')
	p.SubImm(RSI, 1)
	p.Store(At(RSI, 0), RDX, 1)
	p.CmpImm(RAX, 0)
	p.Jcc(NE, digit)
	p.Lea(RDX, p.buffer)
	p.Sub(RDX, RSI)
	p.MovImm(RDI, 1)
	p.MovImm(RAX, sysWrite)
	p.Raw(0x0f, 0x05)
}

// Loops of a row: the least of the batches counts, so that an interrupt in some of
// them does not.
const (
	initBatches = 16
	initCount   = 100
)

// row measures op, which setup precedes, less setup alone, as the micro guest does.
func (p *initProg) row(name string, setup, op func()) {
	p.Least(R14, initBatches, initCount, func() { setup(); op() })
	p.Least(R15, initBatches, initCount, setup)
	p.Mov(RAX, R14)
	p.Sub(RAX, R15)
	p.AddImm(RAX, initCount/2)
	p.MovImm(RDX, 0)
	p.MovImm(RCX, initCount)
	p.Div(RCX)
	p.Mov(R14, RAX)
	p.report("bench " + name + linuxRow + " ")
}

// initELF is initCode as an executable (ELF-64 Object File Format, "ELF
// header", "Program header").
func initELF() []byte {
	const base, headers = 0x400000, 64 + 56
	code := initCode()
	size := uint64(headers + len(code))
	b := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2)  // an executable
	b = le.AppendUint16(b, 62) // for x86-64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+headers) // entry
	b = le.AppendUint64(b, 64)           // program headers
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 7) // read, write, execute
	for _, v := range []uint64{0, base, base, size, size, 4096} {
		b = le.AppendUint64(b, v)
	}
	return append(b, code...)
}

// initrd is an initramfs whose /init is the timing init.
func initrd() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := cpio.Write(z, []cpio.Entry{
		{Name: "dev", Mode: cpio.Dir | 0o755},
		{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1},
		{Name: "init", Mode: cpio.Regular | 0o755, Data: initELF()},
	})
	if err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
