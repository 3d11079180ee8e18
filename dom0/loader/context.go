// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import "ringo/hv/abi"

// Indices of abi.VCPUContext.GPR and Seg.
const (
	rax = 0
	rbx = 3
	rsp = 4
	rsi = 6

	segES   = 0
	segCS   = 1
	segSS   = 2
	segDS   = 3
	segFS   = 4
	segGS   = 5
	segLDTR = 6
	segTR   = 7
)

// Register bits (SDM Vol. 3, "Control Registers"; Vol. 4, IA32_EFER; Vol. 3,
// "IA32_PAT MSR" for the value after reset).
const (
	cr0PE, cr0ET, cr0NE, cr0PG = 1 << 0, 1 << 4, 1 << 5, 1 << 31
	cr4PAE                     = 1 << 5
	eferLME, eferLMA           = 1 << 8, 1 << 10
	patReset                   = 0x0007_0406_0007_0406
	flagsReserved              = 1 << 1
)

// Selectors that the Linux boot protocol fixes: __BOOT_CS and __BOOT_DS.
const (
	bootCS = 0x10
	bootDS = 0x18
	bootTR = 0x20
)

// Access rights in Intel's layout (SDM Vol. 3, "Guest Register State"):
// present, accessed, DPL 0, page granularity.
const (
	accessCode64 = 0xa09b // execute/read, L
	accessCode32 = 0xc09b // execute/read, D
	accessData   = 0xc093 // read/write, B
	accessTSS    = 0x008b // busy TSS
	accessNone   = 1 << 16
)

// descriptor returns the GDT entry of a flat segment with access rights a.
func descriptor(a uint64) uint64 {
	const limit = 0xfffff
	return limit&0xffff | a&0xff<<40 | limit>>16<<48 | a>>12&0xf<<52
}

// context32 is flat protected mode without paging, as the multiboot and PVH
// protocols want it; g holds the descriptors.
func (g *guest) context32(entry GPA) abi.VCPUContext {
	c := abi.VCPUContext{
		RIP: uint64(entry), RFLAGS: flagsReserved,
		CR0: cr0PE | cr0ET | cr0NE, PAT: patReset,
		GDTBase: uint64(g.at(gdtAt)), GDTLimit: gdtLen - 1,
		Online: 1,
	}
	for i := range c.Seg {
		c.Seg[i] = abi.Segment{Selector: bootDS, Access: accessData, Limit: 0xffffffff}
	}
	c.Seg[segCS].Selector, c.Seg[segCS].Access = bootCS, accessCode32
	c.Seg[segLDTR] = abi.Segment{Access: accessNone}
	c.Seg[segTR] = abi.Segment{Selector: bootTR, Access: accessTSS, Limit: 0x67}
	c.GPR[rsp] = uint64(g.at(stackAt))
	return c
}

// context64 is 64-bit mode over the tables of writeTables.
func (g *guest) context64(entry GPA) abi.VCPUContext {
	c := g.context32(entry)
	c.CR0 |= cr0PG
	c.CR3, c.CR4 = uint64(g.at(tablesAt)), cr4PAE
	c.EFER = eferLME | eferLMA
	c.Seg[segCS].Access = accessCode64
	return c
}

const gdtLen = 6 * 8

// writeGDT writes the descriptors that the segment registers were "loaded"
// from. The task register's stands for a 64-bit TSS and takes two entries; it
// is never used for a task.
func (g *guest) writeGDT(code uint64) error {
	b := record(make([]byte, gdtLen))
	b.put64(bootCS, descriptor(code))
	b.put64(bootDS, descriptor(accessData))
	b.put64(bootTR, 0x67|accessTSS<<40)
	return g.write(g.at(gdtAt), b)
}

// Page-table bits.
const (
	ptPresent = 1 << 0
	ptWrite   = 1 << 1
	ptLarge   = 1 << 7
)

// writeTables writes the GDT and page tables that map the low 4 GiB at virtual
// == physical with 2 MiB pages (1 GiB pages need a CPUID bit): the kernel, the
// zero page, the command line and any initrd below 4 GiB lie there. One PML4,
// one directory pointer table, four directories.
func (g *guest) writeTables() error {
	const page, bits = 0x1000, ptPresent | ptWrite
	tables := uint64(g.at(tablesAt))
	b := record(make([]byte, 6*page))
	b.put64(0, tables+page|bits)
	for i := range 4 {
		b.put64(page+8*i, tables+uint64(2+i)*page|bits)
	}
	for i := range 4 * 512 {
		b.put64(2*page+8*i, uint64(i)<<21|bits|ptLarge)
	}
	if err := g.write(g.at(tablesAt), b); err != nil {
		return err
	}
	return g.writeGDT(accessCode64)
}
