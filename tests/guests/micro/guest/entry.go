// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"ringo/hv/abi"
	. "ringo/tests/guests/micro/asm"
)

// What the variable protocol says: by which boot protocol the program was entered. Those
// of multiboot are what the loader leaves in EAX.
const (
	byLinux64    = 64
	byLinux32    = 32
	byPVH        = 0
	byMultiboot  = 0x2badb002
	byMultiboot2 = 0x36d76289
)

// start emits all entries and the common beginning, with the protocol in RBP and
// what it brought in RBX.
func (p *prog) start() (entry, entryPVH, entry32 Label) {
	common, linux, mb, mb2, copyMap := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()

	entry = p.Here() // RSI = boot_params
	p.Mov(RBX, RSI)
	p.MovImm(RBP, byLinux64)
	p.Lea(RAX, p.tables)
	p.MovToCR(3, RAX)

	p.Place(linux)
	p.Lea(RSP, p.stack)
	p.Load(RAX, At(RBX, 0x228), 4) // cmd_line_ptr
	p.Load(RCX, At(RBX, 0x0c8), 4) // ext_cmd_line_ptr
	p.Shl(RCX, 32)
	p.Or(RAX, RCX)
	p.Load(RCX, At(RBX, 0x1e8), 1) // e820_entries
	p.Mov(RSI, RBX)
	p.AddImm(RSI, 0x2d0)
	p.MovImm(RDI, 20)
	p.Jmp(common)

	entryPVH, entry32 = p.stub32()
	p.Lea(RSP, p.stack)
	p.CmpImm(RBP, byLinux32)
	p.Jcc(E, linux)
	p.CmpImm(RBP, byMultiboot)
	p.Jcc(E, mb)
	p.CmpImm(RBP, byMultiboot2)
	p.Jcc(E, mb2)
	p.MovImm(RBP, byPVH)
	p.Load(RAX, At(RBX, 24), 8) // cmdline_paddr
	p.Load(RSI, At(RBX, 40), 8) // memmap_paddr
	p.Load(RCX, At(RBX, 48), 4) // memmap_entries
	p.MovImm(RDI, 24)
	p.Jmp(common)

	p.Place(mb)
	p.Load(RAX, At(RBX, 44), 4) // mmap_length
	p.MovImm(RDX, 0)
	p.MovImm(RDI, 24)
	p.Div(RDI)
	p.Mov(RCX, RAX)
	p.Load(RAX, At(RBX, 16), 4) // cmdline
	p.Load(RSI, At(RBX, 48), 4) // mmap_addr
	p.AddImm(RSI, 4)            // behind the size of the entry
	p.Jmp(common)
	p.multiboot2(mb2, common)

	p.Place(common)
	p.Mov(R8, RAX)
	p.TSC(R9)
	p.Mov(RAX, R8)
	p.Lea(RDX, p.began)
	p.Store(At(RDX, 0), R9, 8)
	p.Lea(RDX, p.cmdline)
	p.Store(At(RDX, 0), RAX, 8)
	p.Lea(RDX, p.protocol)
	p.Store(At(RDX, 0), RBP, 8)
	p.Lea(RDX, p.info)
	p.Store(At(RDX, 0), RBX, 8)
	p.Call(copyMap)
	p.machine()
	dispatch := p.NewLabel()
	p.Jmp(dispatch)
	p.copyMap(copyMap)
	p.Place(dispatch)
	return entry, entryPVH, entry32
}

// multiboot2 finds the command line and the memory map in the tags at RBX.
func (p *prog) multiboot2(l, common Label) {
	tag, next, other := p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Place(l)
	p.MovImm(R11, 0) // command line
	p.MovImm(RCX, 0)
	p.Mov(R10, RBX)
	p.AddImm(R10, 8)
	p.Place(tag)
	p.Load(R8, At(R10, 0), 4)
	p.Load(R9, At(R10, 4), 4)
	p.CmpImm(R8, 1)
	p.Jcc(NE, other)
	p.Mov(R11, R10)
	p.AddImm(R11, 8)
	p.Place(other)
	p.CmpImm(R8, 6)
	p.Jcc(NE, next)
	p.Mov(RAX, R9)
	p.SubImm(RAX, 16)
	p.MovImm(RDX, 0)
	p.MovImm(RDI, 24)
	p.Div(RDI)
	p.Mov(RCX, RAX)
	p.Mov(RSI, R10)
	p.AddImm(RSI, 16)
	p.Place(next)
	p.nextTag()
	p.CmpImm(R8, 0)
	p.Jcc(NE, tag)
	p.Mov(RAX, R11)
	p.Jmp(common)
}

// nextTag goes from the tag at R10, of R9 bytes, to the next.
func (p *prog) nextTag() {
	p.AddImm(R9, 7)
	p.AndImm(R9, -8)
	p.Add(R10, R9)
}

// stub32 goes from 32-bit protected mode to 64-bit mode, with RBP and RBX as start
// wants them.
func (p *prog) stub32() (pvh, linux Label) {
	both, far := p.NewLabel(), p.NewLabel()
	p.Mode(32)
	linux = p.Here()
	p.Raw(0x89, 0xf3)               // MOV EBX, ESI
	p.Raw(0xbd, byLinux32, 0, 0, 0) // MOV EBP, byLinux32
	p.Jmp(both)
	pvh = p.Here()
	p.Raw(0x89, 0xc5) // MOV EBP, EAX
	p.Place(both)
	p.RawAbs([]byte{0x0f, 0x01, 0x15}, p.gdtr) // LGDT
	p.RawAbs([]byte{0xb8}, p.tables)           // MOV EAX, tables
	p.Raw(0x0f, 0x22, 0xd8)                    // MOV CR3, EAX
	p.Raw(0xb8, 0x20, 0, 0, 0)                 // MOV EAX, PAE
	p.Raw(0x0f, 0x22, 0xe0)                    // MOV CR4, EAX
	p.Raw(0xb9, 0x80, 0, 0, 0xc0)              // MOV ECX, IA32_EFER
	p.Raw(0x0f, 0x32)                          // RDMSR
	p.Raw(0x0d, 0, 1, 0, 0)                    // OR EAX, LME
	p.Raw(0x0f, 0x30)                          // WRMSR
	p.Raw(0x0f, 0x20, 0xc0)                    // MOV EAX, CR0
	p.Raw(0x0d, 0, 0, 0, 0x80)                 // OR EAX, PG
	p.Raw(0x0f, 0x22, 0xc0)                    // MOV CR0, EAX
	p.RawAbs([]byte{0xea}, far, selCode, 0)    // JMP selCode:far
	p.Mode(64)
	p.Place(far)
	p.dataSegments()
	p.Raw(0x89, 0xdb) // MOV EBX, EBX clears the upper half
	p.Raw(0x89, 0xed) // MOV EBP, EBP
	return pvh, linux
}

// boot prints what the loader has told, and goes on as echo.
func (p *prog) boot() {
	p.Lea(RBX, p.protocol)
	p.Load(RBX, At(RBX, 0), 8)
	p.print("protocol ")
	p.Mov(RAX, RBX)
	p.Call(p.puthex)
	p.print("\r\ncmdline ")
	p.Lea(RSI, p.cmdline)
	p.Load(RSI, At(RSI, 0), 8)
	p.Call(p.puts)
	p.print("\r\nram ")
	p.Lea(R12, p.ram)
	p.Load(RAX, At(R12, 16+8), 8) // end of the second range
	p.Call(p.puthex)
	p.print("\r\n")
	p.modules()
	p.wall()
	p.line("booted")
	p.echo()
}

// wall prints seconds since 1970: those of KVM's record of the wall time when the guest
// began, and those of KVM_HC_CLOCK_PAIRING (Linux, Documentation/virt/kvm/x86/msr.rst and
// hypercalls.rst) before and after it asks the clock chip, of which it prints the seconds
// and the year.
func (p *prog) wall() {
	p.Lea(RAX, p.buffer)
	p.Mov(RBX, RAX)
	p.MovImm(RCX, abi.MSRKVMWallClock)
	p.MovImm(RDX, 0)
	p.WRMSR()
	p.Load(R12, At(RBX, 4), 4)
	p.print("wall ", R12)
	p.paired()
	p.print(" chip")
	for _, register := range []uint64{0, 9} {
		p.MovImm(RDX, 0x70)
		p.MovImm(RAX, register)
		p.Out(1)
		p.MovImm(RDX, 0x71)
		p.In(1)
		p.Mov(R12, RAX)
		p.print(" ", R12)
	}
	p.paired()
	p.line("")
}

// paired prints the seconds of KVM_HC_CLOCK_PAIRING.
func (p *prog) paired() {
	const clockPairing = 9
	intel, done := p.NewLabel(), p.NewLabel()
	p.cmpVendorIntel()
	p.Lea(RBX, p.buffer)
	p.MovImm(RAX, clockPairing)
	p.MovImm(RCX, 0)
	p.Jcc(E, intel)
	p.VMMCALL()
	p.Jmp(done)
	p.Place(intel)
	p.VMCALL()
	p.Place(done)
	p.Load(R12, At(RBX, 0), 8)
	p.print(" paired ", R12)
}

// modules prints the modules of protocol RBX.
func (p *prog) modules() {
	pvh, mb2, next, tag, other, done, show := p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel(), p.NewLabel()
	p.Lea(R10, p.info)
	p.Load(R10, At(R10, 0), 8)
	p.CmpImm(RBX, byPVH)
	p.Jcc(E, pvh)
	p.CmpImm(RBX, byMultiboot2)
	p.Jcc(E, mb2)
	p.CmpImm(RBX, byMultiboot)
	p.Jcc(NE, done)
	p.Load(R15, At(R10, 20), 4) // mods_count
	p.Load(RBX, At(R10, 24), 4) // mods_addr
	p.Place(next)
	p.CmpImm(R15, 0)
	p.Jcc(E, done)
	p.Load(R12, At(RBX, 0), 4)
	p.Load(R13, At(RBX, 4), 4)
	p.Load(R14, At(RBX, 8), 4)
	p.Call(show)
	p.AddImm(RBX, 16)
	p.SubImm(R15, 1)
	p.Jmp(next)

	again := p.NewLabel()
	p.Place(pvh)
	p.Load(R15, At(R10, 12), 4) // nr_modules
	p.Load(RBX, At(R10, 16), 8) // modlist_paddr
	p.Place(again)
	p.CmpImm(R15, 0)
	p.Jcc(E, done)
	p.Load(R12, At(RBX, 0), 8)
	p.Load(R13, At(RBX, 8), 8)
	p.Add(R13, R12)
	p.Load(R14, At(RBX, 16), 8)
	p.Call(show)
	p.AddImm(RBX, 32)
	p.SubImm(R15, 1)
	p.Jmp(again)

	p.Place(mb2)
	p.Mov(R15, R10)
	p.AddImm(R15, 8)
	p.Place(tag)
	p.Load(RBX, At(R15, 0), 4)
	p.CmpImm(RBX, 3)
	p.Jcc(NE, other)
	p.Load(R12, At(R15, 8), 4)
	p.Load(R13, At(R15, 12), 4)
	p.Mov(R14, R15)
	p.AddImm(R14, 16)
	p.Call(show)
	p.Place(other)
	p.Mov(R10, R15)
	p.Load(R9, At(R15, 4), 4)
	p.nextTag()
	p.Mov(R15, R10)
	p.CmpImm(RBX, 0)
	p.Jcc(NE, tag)
	p.Jmp(done)

	p.Place(show) // of the module from R12 to R13, with the text R14
	p.print("module ")
	p.Mov(RSI, R14)
	p.Call(p.puts)
	p.Sub(R13, R12)
	p.print(": ", R13)
	p.print(" bytes: ")
	p.Mov(RSI, R12)
	p.Call(p.puts) // of text with a NUL
	p.print("\r\n")
	p.Ret()
	p.Place(done)
}

// dataSegments loads the data segments of 64-bit mode.
func (p *prog) dataSegments() {
	p.MovImm(RAX, selData)
	p.Raw(0x8e, 0xd8) // MOV DS, EAX
	p.Raw(0x8e, 0xc0) // MOV ES, EAX
	p.Raw(0x8e, 0xd0) // MOV SS, EAX
}
