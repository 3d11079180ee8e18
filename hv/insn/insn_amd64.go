// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package insn is the privileged and port instructions of the processor, one
// function each, named after the manual (SDM Vol. 2). All but [CPUID], [RDTSC],
// [XGETBV], [PAUSE], [Flags], [MXCSR], [SGDT] and [SIDT] raise #GP outside ring 0; none
// of them checks its operands.
package insn

// CPUID returns EAX, EBX, ECX, EDX of the given leaf and sub-leaf.
func CPUID(leaf, sub uint32) (a, b, c, d uint32)

// RDMSR reads a model-specific register. An MSR that does not exist is #GP.
func RDMSR(msr uint32) uint64

// WRMSR writes a model-specific register. It serializes, except for the MSRs
// that the manual exempts.
func WRMSR(msr uint32, val uint64)

// RDTSC reads the time-stamp counter. It is not ordered with its neighbours.
func RDTSC() uint64

// XGETBV reads an extended control register. Precondition: CR4.OSXSAVE.
func XGETBV(xcr uint32) uint64

// XSETBV writes an extended control register. Preconditions: CR4.OSXSAVE; val
// is a combination the CPU accepts, else #GP.
func XSETBV(xcr uint32, val uint64)

// CR0 reads control register 0.
func CR0() uint64

// SetCR0 writes control register 0.
func SetCR0(val uint64)

// CR2 reads the linear address of the last page fault.
func CR2() uint64

// SetCR2 writes control register 2.
func SetCR2(val uint64)

// CR3 reads the physical address of the page tables.
func CR3() uint64

// SetCR3 switches page tables, and flushes the TLB but for global pages.
func SetCR3(val uint64)

// CR4 reads control register 4.
func CR4() uint64

// SetCR4 writes control register 4.
func SetCR4(val uint64)

// DR0123 reads the four breakpoint addresses.
func DR0123() (a, b, c, d uint64)

// SetDR0123 writes the four breakpoint addresses.
func SetDR0123(a, b, c, d uint64)

// DR6 reads the debug status register.
func DR6() uint64

// SetDR6 writes the debug status register.
func SetDR6(val uint64)

// DR7 reads the debug control register.
func DR7() uint64

// SetDR7 writes the debug control register.
func SetDR7(val uint64)

// INVLPG drops this CPU's translation of the page of linear address va.
func INVLPG(va uint64)

// CLFLUSH writes the cache line at linear address va back and drops it, in all caches;
// earlier stores are seen first, and it is done before later ones.
func CLFLUSH(va uint64)

// WBINVD writes back and empties the caches. It takes milliseconds.
func WBINVD()

// IN8 reads a byte from a port.
func IN8(port uint16) uint8

// IN16 reads a word from a port.
func IN16(port uint16) uint16

// IN32 reads a doubleword from a port.
func IN32(port uint16) uint32

// OUT8 writes a byte to a port.
func OUT8(port uint16, val uint8)

// OUT16 writes a word to a port.
func OUT16(port uint16, val uint16)

// OUT32 writes a doubleword to a port.
func OUT32(port uint16, val uint32)

// PAUSE tells the CPU that this is a spin loop.
func PAUSE()

// HLT stops the CPU until the next interrupt. With interrupts off that is an
// NMI only.
func HLT()

// STIHLT enables interrupts and halts. No interrupt comes in between: STI takes
// effect after the following instruction.
func STIHLT()

// STI enables interrupts after the following instruction.
func STI()

// CLI disables interrupts.
func CLI()

// Flags reads RFLAGS (PUSHFQ).
func Flags() uint64

// MXCSR reads the SSE control and status register (STMXCSR).
func MXCSR() uint32

// SGDT returns base and limit of the global descriptor table.
func SGDT() (base uint64, limit uint16)

// SIDT returns base and limit of the interrupt descriptor table.
func SIDT() (base uint64, limit uint16)
