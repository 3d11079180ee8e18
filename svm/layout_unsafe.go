// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"unsafe"

	"ringo/hv/vcpu"
)

// The layout of APM Vol. 2, Tables B-1 and B-2, and what the entry code relies
// on: a wrong offset is an index out of range at compile time.
//
// SAFETY: Offsetof and Sizeof read no memory.
var (
	_ = [vcpu.RecordBytes - unsafe.Sizeof(VCPU{})]struct{}{}
	_ = [1]struct{}{}[unsafe.Sizeof(vmcb{})-0x1000]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.exceptions)-0x008]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.misc1)-0x00c]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.misc2)-0x010]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.pauseThreshold)-0x03c]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.pauseCount)-0x03e]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.iopm)-0x040]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.msrpm)-0x048]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.tscOffset)-0x050]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.asid)-0x058]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.tlbControl)-0x05c]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.vintr)-0x060]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.interruptState)-0x068]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.exitCode)-0x070]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.exitInfo1)-0x078]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.exitInfo2)-0x080]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.exitIntInfo)-0x088]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.nested)-0x090]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.eventInj)-0x0a8]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.nCR3)-0x0b0]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.lbr)-0x0b8]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.clean)-0x0c0]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.nextRIP)-0x0c8]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.fetched)-0x0d0]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.insn)-0x0d1]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.busLocks)-0x120]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.es)-0x400]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cs)-0x410]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.ss)-0x420]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.ds)-0x430]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.fs)-0x440]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.gs)-0x450]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.gdtr)-0x460]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.ldtr)-0x470]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.idtr)-0x480]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.tr)-0x490]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cpl)-0x4cb]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.efer)-0x4d0]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cr4)-0x548]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cr3)-0x550]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cr0)-0x558]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.dr7)-0x560]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.dr6)-0x568]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.rflags)-0x570]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.rip)-0x578]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.rsp)-0x5d8]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.rax)-0x5f8]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.star)-0x600]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.lstar)-0x608]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cstar)-0x610]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.sfmask)-0x618]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.kernelGSBase)-0x620]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.sysenterCS)-0x628]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.sysenterESP)-0x630]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.sysenterEIP)-0x638]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.cr2)-0x640]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.gPAT)-0x668]
	_ = [1]struct{}{}[unsafe.Offsetof(vmcb{}.debugCtl)-0x670]

	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.fpu)%64]
	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.fpu)+vcpu.FPULegacy+vcpu.FPUHeader-unsafe.Sizeof(frame{})]
)
