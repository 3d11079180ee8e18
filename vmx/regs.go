// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/spec"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// crHidden are the bits of CR0 that only the guest sees: caches stay on for the
// real CPU whatever the guest says, and CD=0 with NW=1 would fail the entry.
const crHidden = x86.CR0CD | x86.CR0NW

// freeCR0 and freeCR4 are the bits that the guest changes without an exit: the
// CPU needs nothing for them but what the guest's own writes do, and every guest
// may set them, since every CPU with VT-x has them. (The hypervisor's other bits it
// reads in the shadows.)
const (
	freeCR0 = x86.CR0MP | x86.CR0EM | x86.CR0TS | x86.CR0WP | x86.CR0AM
	freeCR4 = x86.CR4TSD | x86.CR4DE | x86.CR4PGE | x86.CR4OSFXSR | x86.CR4OSXMMEXCPT
)

// Get implements vcpu.VCPU.
func (v *VCPU) Get(r x86.Reg) uint64 {
	switch r {
	case x86.RIP:
		if v.todo&todoWrap != 0 {
			v.wrap()
		}
		return v.frame.rip
	case x86.CR0:
		return v.get(sCR0)&freeCR0 | v.val[sCR0Shadow]&^freeCR0
	case x86.CR2:
		return v.frame.cr2
	case x86.CR4:
		return v.get(sCR4)&freeCR4 | v.val[sCR4Shadow]&^freeCR4
	case x86.RSP:
		return v.get(sRSP)
	case x86.CR8:
		return uint64(*v.apic.Reg(x86.APICTPR) >> 4 & 15)
	case x86.DR0, x86.DR1, x86.DR2, x86.DR3:
		return v.dbg.dr[r-x86.DR0]
	case x86.DR6:
		return v.dbg.dr6
	case x86.XCR0:
		return uint64(*v.xcr0())
	case x86.TSCAux:
		return v.tscAux
	case x86.SpecCtrl:
		return v.specCtrl
	case x86.BranchBarrier:
		return 0
	}
	if i, ok := liveIndex(r); ok {
		return v.getLive(i)
	}
	return v.get(plain(r))
}

// plain returns the slot of a register that needs nothing but being loaded.
func plain(r x86.Reg) slot {
	switch r {
	case x86.RFLAGS:
		return sRFLAGS
	case x86.CR3:
		return sCR3
	case x86.DR7:
		return sDR7
	case x86.EFER:
		return sEFER
	case x86.PAT:
		return sPAT
	case x86.TSCOffset:
		return sTSCOffset
	case x86.TPRThreshold:
		return sTPRThreshold
	case x86.SysenterCS:
		return sSysenterCS
	case x86.SysenterESP:
		return sSysenterESP
	case x86.SysenterEIP:
		return sSysenterEIP
	case x86.GDTRBase:
		return sGDTRBase
	case x86.GDTRLimit:
		return sGDTRLimit
	case x86.IDTRBase:
		return sIDTRBase
	case x86.IDTRLimit:
		return sIDTRLimit
	}
	panic("vmx: no such register")
}

// Set implements vcpu.VCPU.
func (v *VCPU) Set(r x86.Reg, val uint64) {
	switch r {
	case x86.RIP:
		v.frame.rip = val
	case x86.RSP:
		v.putNew(sRSP, val)
	case x86.RFLAGS:
		v.putNew(sRFLAGS, val|x86.FlagReserved)
	case x86.CR0:
		v.setCR0(val)
	case x86.CR2:
		v.frame.cr2 = val
	case x86.CR3:
		v.put(sCR3, val)
		v.todo |= todoPaging | todoFlush
	case x86.CR4:
		v.setCR4(val)
	case x86.CR8:
		v.setCR8(val)
	case x86.DR0, x86.DR1, x86.DR2, x86.DR3:
		v.dbg.dr[r-x86.DR0] = val
	case x86.DR6:
		v.dbg.dr6 = val & 0xffff_ffff
	case x86.DR7:
		v.put(sDR7, val&0xffff_ffff)
		v.dbg.enabled = val&dr7Active != 0
		v.todo |= todoDebug
	default:
		v.setRare(r, val)
	}
}

func (v *VCPU) setRare(r x86.Reg, val uint64) {
	switch r {
	case x86.XCR0:
		*v.xcr0() = vcpu.LegalXCR0(uint32(val & v.b.f.xcr0))
	case x86.EFER:
		v.put(sEFER, val)
		v.setLMA()
		v.todo |= todoPaging | todoFlush
	case x86.TSCAux:
		v.tscAux = val & 0xffff_ffff
		v.todo |= todoMSRs
	case x86.GDTRLimit, x86.IDTRLimit:
		v.put(plain(r), val&0xffff)
	case x86.SysenterCS:
		v.put(sSysenterCS, val&0xffff_ffff)
	case x86.SpecCtrl:
		v.setSpecCtrl(val)
	case x86.BranchBarrier:
		if val&spec.PredIBPB != 0 && v.b.env.Spec.IBPB && v.on != nil {
			v.on.p.wrmsr(spec.MSRPredCmd, spec.PredIBPB)
		}
	case x86.TPRThreshold:
		v.put(sTPRThreshold, val&15)
	default:
		if i, ok := liveIndex(r); ok {
			v.setLive(i, val)
			v.todo |= todoMSRs
			return
		}
		v.put(plain(r), val)
	}
}

// setCR0 gives the guest its view in the shadow, and the CPU what runs it:
// caches on, and the bits that VMX operation demands, except for paging and
// protection, which an unrestricted guest may turn off.
func (v *VCPU) setCR0(val uint64) {
	v.put(sCR0Shadow, val)
	v.put(sCR0, val&^crHidden|v.b.f.cr0Fixed0&^(x86.CR0PE|x86.CR0PG))
	v.setLMA()
	v.todo |= todoPaging | todoFlush
}

// setCR4 does the same for CR4, keeps MCE set, without which the CPU would shut
// down at a machine check, and switches between the guest's XCR0 and the
// host's. XCR0 has an effect under CR4.OSXSAVE only: without it the guest runs
// under the host's, which spares two XSETBV per exit.
func (v *VCPU) setCR4(val uint64) {
	was := *v.xcr0()
	v.put(sCR4Shadow, val)
	v.put(sCR4, val|v.b.f.cr4Fixed0|x86.CR4MCE)
	v.frame.xcr0 = uint32(v.b.f.xcr0)
	*v.xcr0() = was
	v.todo |= todoPaging | todoFlush
}

// xcr0 is where the guest's XCR0 is kept at the moment.
func (v *VCPU) xcr0() *uint32 {
	if v.val[sCR4]&x86.CR4OSXSAVE != 0 {
		return &v.frame.xcr0
	}
	return &v.parkedXCR0
}

// setLMA keeps EFER.LMA, and the entry control that must equal it, as the CPU
// would: LME and CR0.PG.
func (v *VCPU) setLMA() {
	efer, entry := v.val[sEFER]&^x86.EFERLMA, v.val[sEntry]&^entryLongMode
	if efer&x86.EFERLME != 0 && v.val[sCR0]&x86.CR0PG != 0 {
		efer, entry = efer|x86.EFERLMA, entry|entryLongMode
	}
	v.putNew(sEFER, efer)
	v.putNew(sEntry, entry)
}

// Segment implements vcpu.VCPU.
func (v *VCPU) Segment(s x86.Seg) x86.Segment {
	n := slot(s)
	v.need(segmentSlots << n)
	return x86.Segment{
		Selector: uint16(v.val[sSelector+n]), Access: uint32(v.val[sAccess+n]),
		Limit: uint32(v.val[sLimit+n]), Base: v.val[sBase+n],
	}
}

// Snapshot implements vcpu.VCPU.
func (v *VCPU) Snapshot(s *vcpu.Snapshot) {
	if fetching&^v.valid != 0 {
		v.need(fetching)
	}
	if v.todo&todoWrap != 0 {
		v.wrap()
	}
	s.RIP, s.RSP, s.RFLAGS = v.frame.rip, v.val[sRSP], v.val[sRFLAGS]
	s.CR0 = v.val[sCR0]&freeCR0 | v.val[sCR0Shadow]&^freeCR0
	s.CR4 = v.val[sCR4]&freeCR4 | v.val[sCR4Shadow]&^freeCR4
	s.CR3, s.EFER = v.val[sCR3], v.val[sEFER]
	n := slot(x86.CS)
	s.CSBase, s.CSAccess = v.val[sBase+n], uint32(v.val[sAccess+n])
}

// segAccess are the bits of the access rights that are not reserved; others
// fail the entry.
const segAccess = 0x1_f0ff

// SetSegment implements vcpu.VCPU.
func (v *VCPU) SetSegment(s x86.Seg, seg x86.Segment) {
	n := slot(s)
	v.put(sSelector+n, uint64(seg.Selector))
	v.put(sAccess+n, uint64(seg.Access&segAccess))
	v.put(sLimit+n, uint64(seg.Limit))
	v.put(sBase+n, seg.Base)
	if s == x86.SS {
		v.frame.ssAccess = uint64(seg.Access & segAccess)
	}
}
