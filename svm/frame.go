// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"sync/atomic"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// regs gives the entry code the names regs_RAX and so on in go_asm.h.
type regs = x86.Regs

// meter does the same for vcpu.Meter.
type meter = vcpu.Meter

// frame is what the entry code reads and writes with interrupts off. It has no
// Go pointers and lies in pages of its own. The FPU image begins in its last
// field and may be longer.
type frame struct {
	regs   x86.Regs
	vmcb   uint64 // physical address of the VMCB
	host   uint64 // physical address of the CPU's host state (VMSAVE)
	hostBP uint64 // across the run
	// cpuKick is the address of the CPU's own kick word, see vcpu.Env.
	cpuKick uint64
	meter   vcpu.Meter
	// kick, when not 0, keeps the entry code from entering. Any thread sets it.
	kick atomic.Uint32
	// xcr0 is what the guest runs with, see setCR4; hostXCR0 the one Go code runs with. fastXCR0
	// is hostXCR0, or 0 to send the exit through its slow part, which also
	// clears DR7 (XCR0 is never 0).
	xcr0, hostXCR0, fastXCR0 uint32
	// secure is what enterXSAVE does besides, and guestCtrl and hostCtrl are
	// IA32_SPEC_CTRL in and outside of the guest.
	secure, guestCtrl, hostCtrl uint32
	selector                    uint32 // for VERW
	_                           [frameHead - 128 - 7*8 - 8*4]byte
	fpu                         vcpu.FPUImage
}

const (
	frameHead = 256 // bytes
	// vmcbAbove is how far before the frame the VMCB lies.
	vmcbAbove = mm.PageSize
)

// mxcsrReset is for the entry code.
const mxcsrReset = vcpu.MXCSRReset
