// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/insn"
	"ringo/mm"
)

// processor is what this package does to the CPU it runs on, but for entering a
// guest. Tests have one that keeps VMCSs in maps.
type processor interface {
	read(field uint32) uint64
	// readSlots takes the slots of mask from the VMCS to val.
	readSlots(val *[numSlots]uint64, mask uint64)
	// readViolation takes the slots of fetching to val and what an EPT violation has
	// besides to f.
	readViolation(val *[numSlots]uint64, f *frame)
	write(field uint32, val uint64)
	// writeSlots brings the slots of mask, which is not 0, to the VMCS.
	writeSlots(val *[numSlots]uint64, mask uint64)
	clear(vmcs mm.HPA)
	load(vmcs mm.HPA)
	// leave takes the slots of fetching to val and the liveMSRs to live, and then is
	// clear. enter gives the liveMSRs the values of live, and then is load.
	leave(val *[numSlots]uint64, live *[numLive]uint64, vmcs mm.HPA)
	enter(vmcs mm.HPA, live *[numLive]uint64)
	// peek takes the slots of mask, which is not 0, from a VMCS that has left to val. It
	// is for any CPU in VMX operation, not for p alone.
	peek(val *[numSlots]uint64, mask uint64, vmcs mm.HPA)
	invept(kind, eptp uint64)
	invvpid(kind, vpid uint64)
	rdmsr(msr uint32) uint64
	wrmsr(msr uint32, val uint64)
	breakpoints() (a, b, c, d, dr6 uint64)
	setBreakpoints(a, b, c, d, dr6 uint64)
}

// native is the real one. A field that the CPU does not have, or a VMCS that it
// does not take, is an error in this package.
type native struct{}

func (*native) read(field uint32) uint64 { return vmread(uint64(field)) }

func (*native) readSlots(val *[numSlots]uint64, mask uint64) { vmreads(&fieldOf, val, mask) }

func (*native) readViolation(val *[numSlots]uint64, f *frame) { vmreadViolation(val, f) }

func (*native) writeSlots(val *[numSlots]uint64, mask uint64) {
	if vmwrites(&fieldOf, val, mask) == 0 {
		panic("vmx: VMWRITE failed")
	}
}

func (*native) leave(val *[numSlots]uint64, live *[numLive]uint64, vmcs mm.HPA) {
	if vmleave(val, &liveMSRs, live, uint64(vmcs)) == 0 {
		panic("vmx: VMCLEAR failed")
	}
}

func (*native) peek(val *[numSlots]uint64, mask uint64, vmcs mm.HPA) {
	if vmpeek(&fieldOf, val, mask, uint64(vmcs)) == 0 {
		panic("vmx: a vCPU that has left was asked from a CPU outside VMX operation")
	}
}

func (*native) enter(vmcs mm.HPA, live *[numLive]uint64) {
	if vmenter(&liveMSRs, live, uint64(vmcs)) == 0 {
		panic("vmx: VMPTRLD failed")
	}
}

func (*native) write(field uint32, val uint64) {
	if vmwrite(uint64(field), val) == 0 {
		panic("vmx: VMWRITE failed")
	}
}

func (*native) clear(vmcs mm.HPA) {
	if vmclear(uint64(vmcs)) == 0 {
		panic("vmx: VMCLEAR failed")
	}
}

func (*native) load(vmcs mm.HPA) {
	if vmptrld(uint64(vmcs)) == 0 {
		panic("vmx: VMPTRLD failed")
	}
}

func (*native) invept(kind, eptp uint64)     { invept(kind, eptp) }
func (*native) invvpid(kind, vpid uint64)    { invvpid(kind, vpid) }
func (*native) rdmsr(msr uint32) uint64      { return insn.RDMSR(msr) }
func (*native) wrmsr(msr uint32, val uint64) { insn.WRMSR(msr, val) }

func (*native) breakpoints() (a, b, c, d, dr6 uint64) {
	a, b, c, d = insn.DR0123()
	return a, b, c, d, insn.DR6()
}

func (*native) setBreakpoints(a, b, c, d, dr6 uint64) {
	insn.SetDR0123(a, b, c, d)
	insn.SetDR6(dr6)
}
