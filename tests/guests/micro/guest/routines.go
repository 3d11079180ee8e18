// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"encoding/binary"

	. "ringo/tests/guests/micro/asm"

	"ringo/hv/abi"
)

// subroutines emits what all modes share. They keep RBX, RBP and R12 to R15.
func (p *prog) subroutines() {
	p.emitPutc()
	p.emitPuts()
	p.emitNumber(p.putdec, 10)
	p.emitNumber(p.puthex, 16)
	p.emitShutdown()
	p.emitMapWindow()
}

// putc sends AL when the transmitter is empty, or after many tries.
func (p *prog) emitPutc() {
	wait, send := p.NewLabel(), p.NewLabel()
	p.Place(p.putc)
	p.Mov(R8, RAX)
	p.MovImm(R9, 1<<20)
	p.MovImm(RDX, abi.PortCOM1+5)
	p.Place(wait)
	p.In(1)
	p.AndImm(RAX, 0x20) // THRE
	p.Jcc(NE, send)
	p.SubImm(R9, 1)
	p.Jcc(NE, wait)
	p.Place(send)
	p.MovImm(RDX, abi.PortCOM1)
	p.Mov(RAX, R8)
	p.Out(1)
	p.Ret()
}

// puts sends the NUL-terminated string at RSI.
func (p *prog) emitPuts() {
	end := p.NewLabel()
	p.Place(p.puts)
	p.Load(RAX, At(RSI, 0), 1)
	p.CmpImm(RAX, 0)
	p.Jcc(E, end)
	p.Call(p.putc)
	p.AddImm(RSI, 1)
	p.Jmp(p.puts)
	p.Place(end)
	p.Ret()
}

// putdec and puthex send the number in RAX.
func (p *prog) emitNumber(l Label, base uint64) {
	digit, store, out := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Place(l)
	p.MovImm(RCX, base)
	p.Xor(RSI, RSI) // digits on the stack
	p.Place(digit)
	p.Xor(RDX, RDX)
	p.Div(RCX)
	p.AddImm(RDX, '0')
	p.CmpImm(RDX, '9')
	p.Jcc(BE, store)
	p.AddImm(RDX, 'a'-'9'-1)
	p.Place(store)
	p.Push(RDX)
	p.AddImm(RSI, 1)
	p.CmpImm(RAX, 0)
	p.Jcc(NE, digit)
	p.Place(out)
	p.Pop(RAX)
	p.Call(p.putc)
	p.SubImm(RSI, 1)
	p.Jcc(NE, out)
	p.Ret()
}

// shutdown enters S5, and waits for good where that does nothing.
func (p *prog) emitShutdown() {
	p.Place(p.shutdown)
	p.MovImm(RDX, abi.PortPM1aCnt)
	p.MovImm(RAX, abi.SleepTypeS5<<10|1<<13) // SLP_TYP, SLP_EN
	p.Out(2)
	p.MovImm(RAX, 0<<10|1<<13) // QEMU's PIIX4 and ICH9 have S5 = 0
	p.Out(2)
	stop := p.Here()
	p.CLI()
	p.HLT()
	p.Jmp(stop)
}

// mapWindow maps the GiB that holds RDI to the window.
func (p *prog) emitMapWindow() {
	p.Place(p.mapWindow)
	p.Lea(R8, p.winDir)
	p.Mov(RAX, RDI)
	p.Shr(RAX, 30)
	p.Shl(RAX, 30)
	p.OrImm(RAX, 0x87)
	p.MovImm(RCX, 512)
	next := p.Here()
	p.Store(At(R8, 0), RAX, 8)
	p.AddImm(RAX, 2<<20)
	p.AddImm(R8, 8)
	p.SubImm(RCX, 1)
	p.Jcc(NE, next)
	p.MovFromCR(RAX, 3)
	p.MovToCR(3, RAX)
	p.Ret()
}

// Vectors.
const (
	vecGP   = 13
	vecIPI  = 0x40
	vecMark = 0x41
	// hasError has a bit for each exception that pushes an error code (SDM
	// Vol. 3, "Protected-Mode Exceptions and Interrupts").
	hasError = 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17 | 1<<21 | 1<<30
)

// exceptions emits the handlers: an exception is the end, except #GP at RDMSR
// or WRMSR, which is counted and skipped, and the self-sent interrupt.
func (p *prog) exceptions() {
	fatal := p.NewLabel()
	for v := range 32 {
		if v == vecGP {
			continue
		}
		p.gates[v] = p.Here()
		if hasError>>v&1 == 0 {
			p.PushImm(0)
		}
		p.PushImm(int32(v))
		p.Jmp(fatal)
	}
	p.gates[vecGP] = p.Here()
	skip, bad := p.NewLabel(), p.NewLabel()
	p.Push(RAX)
	p.Push(RCX)
	p.Load(RAX, At(RSP, 24), 8) // RIP
	p.Load(RAX, At(RAX, 0), 2)
	p.CmpImm(RAX, 0x320f) // RDMSR
	p.Jcc(E, skip)
	p.CmpImm(RAX, 0x300f) // WRMSR
	p.Jcc(NE, bad)
	p.Place(skip)
	p.AddMem(At(RSP, 24), 2)
	p.Lea(RCX, p.faults)
	p.AddMem(At(RCX, 0), 1)
	p.Pop(RCX)
	p.Pop(RAX)
	p.AddImm(RSP, 8)
	p.IRETQ()
	p.Place(bad)
	p.Pop(RCX)
	p.Pop(RAX)
	p.PushImm(vecGP)

	p.Place(fatal) // vector, error code, RIP on the stack
	p.print("\r\nmicro: exception ")
	p.Pop(RAX)
	p.Call(p.putdec)
	p.print(" error 0x")
	p.Pop(RAX)
	p.Call(p.puthex)
	p.print(" at 0x")
	p.Pop(RAX)
	p.Call(p.puthex)
	p.line("")
	p.Jmp(p.shutdown)

	p.mark()
	p.gates[vecIPI] = p.Here()
	p.Push(RAX)
	p.Push(RCX)
	p.Push(RDX)
	p.Lea(RCX, p.ticks)
	p.AddMem(At(RCX, 0), 1)
	p.MovImm(RCX, 0x80b) // x2APIC EOI
	p.MovImm(RAX, 0)
	p.MovImm(RDX, 0)
	p.WRMSR()
	p.Pop(RDX)
	p.Pop(RCX)
	p.Pop(RAX)
	p.IRETQ()
}

// fillIDT writes 64-bit interrupt gates (SDM Vol. 3, "64-Bit Mode IDT") into
// the linked program.
func (p *prog) fillIDT(code []byte) {
	for v, l := range p.gates {
		a := p.Addr(l)
		g := code[p.Addr(p.idt)-p.base+uint64(16*v):]
		binary.LittleEndian.PutUint32(g, uint32(a&0xffff)|selCode<<16)
		binary.LittleEndian.PutUint32(g[4:], uint32(a&0xffff0000)|0x8e00)
	}
}
