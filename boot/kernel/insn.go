// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

// One function per instruction that Go has no operator for. All are NOSPLIT
// assembly without side effects beyond the instruction's own, see
// insn_amd64.s.

func lgdt(p uint64)
func lidt(p uint64)
func ltr(sel uint32)
func rdrand() (v, ok uint64)
func rdseed() (v, ok uint64)

// haltForever stops this CPU with interrupts off. An NMI does not resume it.
func haltForever()

// tripleFault resets the machine by an exception without an IDT.
func tripleFault()

// stosq fills n words at p with v, movsq copies n words upwards.
func stosq(p, n, v uint64)
func movsq(dst, src, n uint64)

// ucopy copies n bytes where either side may be memory of the Go program and
// so may fault. It returns the number of bytes not copied.
func ucopy(dst, src, n uint64) (left uint64)

// uload32 reads a word of the Go program in one access; bad is 1 if the
// address is not mapped.
func uload32(addr uint64) (v, bad uint32)

// self returns the per-CPU structure of this CPU.
func self() *cpu

// cliSelf disables interrupts and returns RFLAGS as they were; restoreFlags
// undoes it.
func cliSave() (flags uint64)
func restoreFlags(flags uint64)

// hypercall issues VMMCALL or VMCALL (insn 0 or 1, see abi.StartInfo).
func hypercall(insn uint32, nr, a0, a1, a2, a3 uint64) (status, value uint64)

// enter makes a system call to this layer from ordinary Go. It neither tells
// the Go scheduler nor checks the stack: the goroutine keeps its P.
func enter(nr, a0, a1, a2 uint64) (r uint64)

func mfence()

// laterTSC reads the time-stamp counter after all loads before it (SDM Vol. 2,
// "RDTSC"; AMD processors order it behind MFENCE).
func laterTSC() uint64

// fillStack pushes until it faults.
func fillStack()

// callerRegs returns RIP, RSP and RBP of its caller.
func callerRegs() (rip, rsp, rbp uint64)

// put is putNow and fatalFrame is fatalReport, called indirectly: the linker
// must not add their stack use to that of every caller. The layer's stacks have
// room for it.
func put(p, n uint64) uint64

//go:noescape
func fatalFrame(f *frame, msg string)
