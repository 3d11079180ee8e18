// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// crHidden are the bits of CR0 that only the guest sees: caches stay on for the
// real CPU whatever the guest says, and CD=0 with NW=1 would fail VMRUN.
const crHidden = x86.CR0CD | x86.CR0NW

// Bits that no translation depends on (APM Vol. 2, "Control Registers"): a change
// of these alone drops none. What is not listed does.
const (
	cr0NoFlush = x86.CR0MP | x86.CR0EM | x86.CR0TS | x86.CR0ET | x86.CR0NE | x86.CR0AM
	cr4NoFlush = x86.CR4VME | x86.CR4PVI | x86.CR4TSD | x86.CR4DE | x86.CR4MCE | x86.CR4PCE |
		x86.CR4OSFXSR | x86.CR4OSXMMEXCPT | x86.CR4UMIP | x86.CR4FSGSBASE | x86.CR4OSXSAVE
)

// Get implements vcpu.VCPU.
func (v *VCPU) Get(r x86.Reg) uint64 {
	b := v.vmcb
	switch r {
	case x86.RIP:
		return b.rip
	case x86.RSP:
		return b.rsp
	case x86.RFLAGS:
		return b.rflags
	case x86.CR0:
		return b.cr0 | v.crShadow
	case x86.CR2:
		return b.cr2
	case x86.CR3:
		return b.cr3
	case x86.CR4:
		return b.cr4 &^ v.cr4Forced
	case x86.CR8:
		return b.vintr & 15
	case x86.DR0, x86.DR1, x86.DR2, x86.DR3:
		return v.dbg.dr[r-x86.DR0]
	case x86.DR6:
		return b.dr6
	case x86.DR7:
		return b.dr7
	case x86.XCR0:
		return uint64(*v.xcr0())
	case x86.EFER:
		return b.efer &^ x86.EFERSVME
	case x86.TSCAux:
		return v.tscAux
	case x86.TSCOffset:
		return b.tscOffset
	case x86.GDTRBase:
		return b.gdtr.base
	case x86.GDTRLimit:
		return uint64(b.gdtr.limit)
	case x86.IDTRBase:
		return b.idtr.base
	case x86.IDTRLimit:
		return uint64(b.idtr.limit)
	case x86.SpecCtrl:
		return v.specCtrl
	case x86.TPRThreshold, x86.BranchBarrier:
		return 0 // writes to CR8 exit
	}
	return *v.plain(r)
}

// plain returns the VMCB field of a register that VMRUN or VMLOAD loads as it
// is and nothing caches, except PAT (see Set).
func (v *VCPU) plain(r x86.Reg) *uint64 {
	b := v.vmcb
	switch r {
	case x86.PAT:
		return &b.gPAT
	case x86.STAR:
		return &b.star
	case x86.LSTAR:
		return &b.lstar
	case x86.CSTAR:
		return &b.cstar
	case x86.SFMASK:
		return &b.sfmask
	case x86.KernelGSBase:
		return &b.kernelGSBase
	case x86.SysenterCS:
		return &b.sysenterCS
	case x86.SysenterESP:
		return &b.sysenterESP
	case x86.SysenterEIP:
		return &b.sysenterEIP
	}
	panic("svm: no such register")
}

// Set implements vcpu.VCPU.
func (v *VCPU) Set(r x86.Reg, val uint64) {
	b := v.vmcb
	switch r {
	case x86.RIP:
		b.rip = val
	case x86.RSP:
		b.rsp = val
	case x86.RFLAGS:
		b.rflags = val | x86.FlagReserved
	case x86.CR0:
		v.setCR0(val)
	case x86.CR2:
		b.setCR2(val)
	case x86.CR3:
		b.setCR3(val)
		v.todo |= todoFlush
	case x86.CR4:
		v.setCR4(val)
	case x86.CR8:
		b.setVIntr(b.vintr&^vTPRMask | val&15)
	case x86.DR0, x86.DR1, x86.DR2, x86.DR3:
		v.dbg.dr[r-x86.DR0] = val
	case x86.DR6:
		b.setDR6(val & 0xffff_ffff) // the upper half fails VMRUN
	case x86.DR7:
		b.setDR7(val & 0xffff_ffff)
		if v.dbg.wanted(b) {
			v.todo |= todoDebug
		}
	default:
		v.setRare(r, val)
	}
}

func (v *VCPU) setRare(r x86.Reg, val uint64) {
	b := v.vmcb
	switch r {
	case x86.XCR0:
		*v.xcr0() = vcpu.LegalXCR0(uint32(val & v.b.f.xcr0))
	case x86.EFER:
		b.setEFER(val&^x86.EFERLMA | x86.EFERSVME)
		v.todo |= todoFlush
		v.setLMA()
	case x86.TSCAux:
		v.tscAux = val & 0xffff_ffff
		v.todo |= todoSwitch
	case x86.TSCOffset:
		b.setTSCOffset(val)
	case x86.GDTRBase:
		b.setTable(&b.gdtr, val, b.gdtr.limit)
	case x86.GDTRLimit:
		b.setTable(&b.gdtr, b.gdtr.base, uint32(val&0xffff))
	case x86.IDTRBase:
		b.setTable(&b.idtr, val, b.idtr.limit)
	case x86.IDTRLimit:
		b.setTable(&b.idtr, b.idtr.base, uint32(val&0xffff))
	case x86.PAT:
		b.setPAT(val)
	case x86.SpecCtrl:
		v.setSpecCtrl(val)
	case x86.BranchBarrier:
		if val&spec.PredIBPB != 0 && v.b.env.Spec.IBPB {
			v.b.wrmsr(spec.MSRPredCmd, spec.PredIBPB)
		}
	case x86.TPRThreshold:
	default:
		*v.plain(r) = val
	}
}

// setCR0 hides CD and NW from the CPU, drops translations as the instruction
// would have (the TLB is tagged: VMRUN does not do it), and has the guest's reads of CR0
// intercepted while that makes a difference.
func (v *VCPU) setCR0(val uint64) {
	b := v.vmcb
	if shadow := val & crHidden; shadow != v.crShadow {
		v.crShadow = shadow
		v.interceptRead(crRead0, shadow != 0)
	}
	val &^= crHidden
	if (b.cr0^val)&^cr0NoFlush != 0 {
		v.todo |= todoFlush
	}
	b.setCR0(val)
	v.setLMA()
}

// setCR4 keeps MCE set for the CPU, which would shut down at a machine check
// otherwise, and has the guest's reads of CR4 intercepted while that makes a
// difference. It also switches between the guest's XCR0 and the host's. XCR0 has
// an effect under CR4.OSXSAVE only: without it the guest runs under the host's,
// which spares two XSETBV per exit.
func (v *VCPU) setCR4(val uint64) {
	b := v.vmcb
	if forced := x86.CR4MCE &^ val; forced != v.cr4Forced {
		v.cr4Forced = forced
		v.interceptRead(crRead4, forced != 0)
	}
	val |= x86.CR4MCE
	if (b.cr4^val)&^cr4NoFlush != 0 {
		v.todo |= todoFlush // the guest's own MOV to CR4 may have (PGE)
	}
	if (b.cr4^val)&x86.CR4OSXSAVE == 0 {
		b.setCR4(val)
		return
	}
	was := *v.xcr0()
	b.setCR4(val)
	v.frame.xcr0 = uint32(v.b.f.xcr0)
	*v.xcr0() = was
}

// interceptRead intercepts reads of a control register, or does not.
func (v *VCPU) interceptRead(bit uint32, on bool) {
	b := v.vmcb
	if on {
		b.setIntercepts(&b.crIntercepts, bit, 0)
	} else {
		b.setIntercepts(&b.crIntercepts, 0, bit)
	}
}

// xcr0 is where the guest's XCR0 is kept at the moment.
func (v *VCPU) xcr0() *uint32 {
	if v.vmcb.cr4&x86.CR4OSXSAVE != 0 {
		return &v.frame.xcr0
	}
	return &v.parkedXCR0
}

// setLMA keeps EFER.LMA as the CPU would: LME and CR0.PG. VMRUN takes LMA from
// the VMCB.
func (v *VCPU) setLMA() {
	b := v.vmcb
	efer := b.efer &^ x86.EFERLMA
	if efer&x86.EFERLME != 0 && b.cr0&x86.CR0PG != 0 {
		efer |= x86.EFERLMA
	}
	if efer != b.efer {
		b.setEFER(efer)
		v.lens.forget() // see ask
	}
}
