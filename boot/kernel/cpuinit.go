// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"ringo/boot/layout"
	"ringo/hv/insn"
	"ringo/hv/x86"
)

var (
	idt  [512]uint64
	idtr [2]uint64
)

// Gate and descriptor encodings: SDM Vol. 3, "IDT Descriptors", "TSS Descriptor".
const (
	gateInterrupt = 0x8e << 40
	tssAvailable  = 0x89 << 40
	gdtCode64     = 0x00af_9a00_0000_ffff
	gdtData       = 0x00cf_9200_0000_ffff

	starValue  = selCode << 32 // SYSCALL: CS 0x08, SS 0x10
	fmaskValue = 0x4_7700      // AC NT IOPL DF IF TF: off in the layer
	patDefault = 0x0007_0406_0007_0406
)

// syscallEnable is EFER.SCE, or 0 after UseUDSyscalls.
var syscallEnable uint64 = x86.EFERSCE

// UseUDSyscalls turns the SYSCALL instruction off (EFER.SCE=0): the runtime's
// system calls then arrive as #UD, and whatever a guest left in the LSTAR
// register cannot be reached. For hosts on which entering a guest does not save
// and load LSTAR (VT-x). To be called before StartCPU.
func UseUDSyscalls() error {
	if booted == 0 || NumCPU() != 1 {
		return errors.New("kernel: system calls by #UD must be chosen before the first StartCPU")
	}
	syscallEnable = 0
	insn.WRMSR(x86.MSREFER, insn.RDMSR(x86.MSREFER)&^x86.EFERSCE)
	return nil
}

//go:nosplit
func setGate(v, target, ist uint64) {
	p := addr(unsafe.Pointer(&idt)) + v*16
	*p64(p) = target&0xffff | selCode<<16 | ist<<32 | gateInterrupt | target>>16&0xffff<<48
	*p64(p + 8) = target >> 32
}

//go:nosplit
func idtInit() {
	for v := uint64(0); v < 256; v++ {
		setGate(v, addrStubs()+v*8, istIRQ)
	}
	setGate(2, addrNMI(), istNMI)
	setGate(x86.VecUD, addrUD(), istUD)
	setGate(x86.VecDF, addrDF(), istDF)
	setGate(x86.VecPF, addrPF(), istPF)
	setGate(x86.VecMC, addrMC(), istMC)
	p := addr(unsafe.Pointer(&idtr))
	*p16(p) = 4095
	*p64(p + 2) = addr(unsafe.Pointer(&idt))
}

// newCPU makes the next CPU's block and its idle thread, or returns nil.
// Preconditions: klock, or the boot CPU alone.
//
//go:nosplit
func newCPU() *cpu {
	n := atomic.LoadUint32(&nCPU)
	if n == maxCPU {
		return nil
	}
	if booted != 0 {
		mmlock.lock()
	}
	a := mapBlock(n)
	if booted != 0 {
		mmlock.unlock()
	}
	if a == 0 {
		return nil
	}
	c := (*cpu)(ptr(a))
	c.self, c.id = a, n
	c.ksp = a + stackKernelTop
	t := thr(a + idlePage*pageSize)
	t.class, t.state, t.cpu, t.aff = clsIdle, stRunning, n, 1<<n
	t.f.rip, t.f.cs, t.f.sseg, t.f.rflags = addrIdle(), selCode, selData, 2
	t.f.rsp = a + (idlePage+1)*pageSize
	t.fs = addr(unsafe.Pointer(&c.tls)) + 56
	c.idle, c.cur = t.addr(), t.addr()
	*p64(addr(unsafe.Pointer(&cpus)) + uint64(n)*8) = a
	return c
}

// mapBlock maps the pages of a CPU's block and returns its address, 0 when the
// pool has no frame left. What an earlier try has mapped stays. Preconditions:
// mmlock, or the boot CPU alone.
//
//go:nosplit
func mapBlock(n uint32) uint64 {
	a := layout.CPUMap + uint64(n)*layout.CPUSpan
	for i := uint64(0); i <= idlePage; i++ {
		if cpuMapped>>i&1 == 0 {
			continue
		}
		e := entry(a+i*pageSize, 1, true)
		if e == 0 {
			return 0
		}
		if *p64(e) != 0 {
			continue
		}
		f := frames.alloc()
		if f == 0 {
			return 0
		}
		frames.kernel++
		*p64(e) = f | pteP | pteW | pteNX | pteG
	}
	return a
}

// cpuInit sets up the CPU it runs on.
//
//go:nosplit
func cpuInit(c *cpu) {
	loadTables(c)
	insn.WRMSR(x86.MSRGSBase, c.self)
	insn.WRMSR(x86.MSRKernelGSBase, c.self)
	c.fs = addr(unsafe.Pointer(&c.tls)) + 56
	insn.WRMSR(x86.MSRFSBase, c.fs)
	insn.WRMSR(x86.MSREFER, insn.RDMSR(x86.MSREFER)&^x86.EFERSCE|x86.EFERNXE|syscallEnable)
	insn.WRMSR(x86.MSRSTAR, starValue)
	insn.WRMSR(x86.MSRLSTAR, addrSyscall())
	insn.WRMSR(x86.MSRSFMASK, fmaskValue)
	insn.WRMSR(x86.MSRPAT, patDefault)
	insn.SetCR0(insn.CR0()&^(x86.CR0EM|x86.CR0TS|x86.CR0CD|x86.CR0NW|x86.CR0AM) | x86.CR0MP | x86.CR0NE | x86.CR0WP)
	cr4 := insn.CR4() | x86.CR4PGE
	if n, _, _, _ := insn.CPUID(0, 0); n >= 7 {
		_, b, c, _ := insn.CPUID(7, 0)
		cr4 |= walls(b, c)
	}
	insn.SetCR4(cr4 &^ (x86.CR4PCIDE | x86.CR4TSD))
	mcInit()
	fpSetup()
	c.apic = apicInit()
}

// walls returns the bits of CR4 that keep ring 0 off pages of ring 3, and ring 3
// off the descriptor tables' addresses, as far as EBX and ECX of CPUID leaf 7 offer
// them. There is neither such a page nor such code: they cost nothing, and catch
// an entry of the page tables that says otherwise.
//
//go:nosplit
func walls(b, c uint32) (cr4 uint64) {
	if b>>7&1 != 0 {
		cr4 |= x86.CR4SMEP
	}
	if b>>20&1 != 0 {
		cr4 |= x86.CR4SMAP
	}
	if c>>2&1 != 0 {
		cr4 |= x86.CR4UMIP
	}
	return cr4
}

// loadTables loads GDT, TSS and IDT.
//
//go:nosplit
func loadTables(c *cpu) {
	tss := addr(unsafe.Pointer(&c.tss))
	for i, top := range [...]uint64{stackIRQTop, stackPFTop, stackNMITop, stackDFTop, stackMCTop, stackUDTop} {
		*p32(tss + 36 + uint64(i)*8) = uint32(c.self + top)
		*p32(tss + 40 + uint64(i)*8) = uint32((c.self + top) >> 32)
	}
	*p16(tss + 102) = 104 // no I/O bitmap
	g := addr(unsafe.Pointer(&c.gdt))
	*p64(g + selCode) = gdtCode64
	*p64(g + selData) = gdtData
	*p64(g + selTSS) = 103 | tss&0xff_ffff<<16 | tssAvailable | tss>>24&0xff<<56
	*p64(g + selTSS + 8) = tss >> 32
	r := addr(unsafe.Pointer(&c.gdtr))
	*p16(r) = selTSS + 16 - 1
	*p64(r + 2) = g
	lgdt(r)
	reloadSegments()
	ltr(selTSS)
	lidt(addr(unsafe.Pointer(&idtr)))
}

func reloadSegments()
