// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"unsafe"

	"ringo/hv/insn"
	"ringo/hv/x86"
)

// XCR0 is the set of state components that the layer saves: x87, SSE and, where
// there is one, AVX. It is the same on every CPU and constant.
const (
	xcr0SSE = 3
	xcr0AVX = 7

	fpBV    = 512 // offset of XSTATE_BV in an XSAVE area
	fpMXCSR = 24
)

var (
	useXSAVE  bool
	hostXCR0  uint64
	fpInit    uint64 // address of the initial state, 64-byte aligned
	fpInitBuf [fpSize + 64]byte
)

// HostXCR0 is the constant value of XCR0 while host code runs, or 0 when the
// layer runs with CR4.OSXSAVE=0. Whoever changes XCR0 restores it before the
// next Go instruction.
func HostXCR0() uint64 { return hostXCR0 }

// fpDetect chooses XSAVE or FXSAVE, once.
//
//go:nosplit
func fpDetect() {
	fpInit = (addr(unsafe.Pointer(&fpInitBuf)) + 63) &^ 63
	*p16(fpInit) = 0x37f // FCW
	*p32(fpInit + fpMXCSR) = 0x1f80
	_, _, c, _ := insn.CPUID(1, 0)
	if c>>26&1 == 0 {
		return
	}
	lo, _, _, _ := insn.CPUID(0xd, 0)
	hostXCR0 = xcr0SSE
	if lo&xcr0AVX == xcr0AVX && c>>28&1 != 0 {
		hostXCR0 = xcr0AVX
	}
	useXSAVE = true
}

// fpSetup prepares this CPU.
//
//go:nosplit
func fpSetup() {
	cr4 := insn.CR4() | x86.CR4OSFXSR | x86.CR4OSXMMEXCPT
	if useXSAVE {
		cr4 |= x86.CR4OSXSAVE
	}
	insn.SetCR4(cr4)
	if useXSAVE {
		insn.XSETBV(0, hostXCR0)
	}
	fninit()
}

// sanitizeFP makes the state of a signal frame one that the CPU accepts.
//
//go:nosplit
func sanitizeFP(t *thread) {
	a := addr(unsafe.Pointer(&t.fp))
	*p32(a + fpMXCSR) &= 0xffff
	if useXSAVE {
		*p64(a + fpBV) &= hostXCR0
		stosq(a+fpBV+8, 7, 0)
	}
}

func fninit()
