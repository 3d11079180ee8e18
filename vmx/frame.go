// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"sync/atomic"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// regs gives the entry code the names regs_RAX and so on in go_asm.h.
type regs = x86.Regs

// meter does the same for vcpu.Meter.
type meter = vcpu.Meter

// frame is what the entry code reads and writes with interrupts off. It has no
// Go pointers and lies in pages of its own. The FPU image begins in its last
// field and may be longer.
type frame struct {
	// rip is loaded and saved by the entry code.
	rip uint64
	// What the last exit left in the VMCS, for the frequent reasons: exit
	// reason, instruction length, interruptibility state, access rights of SS;
	// for exceptions the interruption information, and for reasons that have
	// one (from reasonCR on) the qualification.
	reason, length, interrupt, ssAccess, intInfo uint64
	qualified                                    [4]uint16 // see qualification
	// IDT-vectoring information and guest physical address: inform reads them
	// for the reasons that have them.
	vectoring, gpa uint64

	meter vcpu.Meter

	regs x86.Regs
	cr2  uint64 // no field of the VMCS

	hostBP uint64 // across the run
	hostSP uint64 // what HOST_RSP holds, 0 unknown
	// cpuKick is the address of the CPU's own kick word, see vcpu.Env.
	cpuKick uint64
	// kick, when not 0, keeps the entry code from entering. Any thread sets it.
	kick     atomic.Uint32
	launched uint32 // VMRESUME, not VMLAUNCH: the VMCS was entered since VMCLEAR
	// failed says that an entry did not even begin: 1 no current VMCS, 2 an
	// error number is in the VMCS. Who sees it clears it.
	failed uint32
	// xcr0 is what the guest runs with, hostXCR0 the one Go code runs with.
	xcr0, hostXCR0 uint32
	// secure is what enterXSAVE and exitedSecure do besides, and guestCtrl and
	// hostCtrl are IA32_SPEC_CTRL in and outside of the guest.
	secure, guestCtrl, hostCtrl uint32
	selector                    uint32 // for VERW
	_                           [frameHead - 128 - 16*8 - 9*4]byte
	fpu                         vcpu.FPUImage
}

const frameHead = 320 // bytes

// qualification is the exit qualification. Of a port access the second word is the
// port; it lies there as such.
func (f *frame) qualification() uint64 {
	q := &f.qualified
	return uint64(q[0]) | uint64(q[1])<<16 | uint64(q[2])<<32 | uint64(q[3])<<48
}

// mxcsrReset is for the entry code.
const mxcsrReset = vcpu.MXCSRReset

// fpuPretend is of tests: there is no entry code, see Backend.
const fpuPretend vcpu.FPUKind = 255
