// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package spec decides, from what the CPUs say about themselves, what hv does
// against attacks by speculative execution from guests: one plan per machine, made
// at boot. A CPU that says nothing, such as an emulator's, gets nothing.
//
// Sources: SDM Vol. 2, "CPUID", and Vol. 4, "IA32_ARCH_CAPABILITIES"; APM Vol. 3,
// Appendix E, and Vol. 2, "Speculation Control"; the vendors' guidance for each
// attack, by the names of the bits.
package spec

import "ringo/hv/insn"

// MSRs.
const (
	MSRSpecCtrl = 0x48  // IA32_SPEC_CTRL
	MSRPredCmd  = 0x49  // IA32_PRED_CMD
	MSRArchCaps = 0x10a // IA32_ARCH_CAPABILITIES
	MSRFlushCmd = 0x10b // IA32_FLUSH_CMD
)

// Bits of IA32_SPEC_CTRL that guests may have, and of the two commands.
const (
	CtrlIBRS  = 1 << 0
	CtrlSTIBP = 1 << 1
	CtrlSSBD  = 1 << 2

	PredIBPB  = 1 << 0
	FlushL1D  = 1 << 0
	EFERAIBRS = 1 << 21 // EFER: automatic IBRS
)

// CPUID leaf 7 subleaf 0 EDX.
const (
	d7MDClear  = 1 << 10
	d7IBRS     = 1 << 26 // IBRS and IBPB
	d7STIBP    = 1 << 27
	d7L1DFlush = 1 << 28
	d7ArchCaps = 1 << 29
	d7SSBD     = 1 << 31
)

// CPUID leaf 8000_0008 EBX, leaf 8000_0021 EAX and ECX (AMD).
const (
	b8IBPB  = 1 << 12
	b8IBRS  = 1 << 14
	b8STIBP = 1 << 15
	b8SSBD  = 1 << 24

	a21VERW  = 1 << 5 // VERW clears what TSA leaks
	a21AIBRS = 1 << 8
	c21TSASQ = 1 << 1 // not affected by TSA in the store queue
	c21TSAL1 = 1 << 2 // nor in the L1 cache
)

// IA32_ARCH_CAPABILITIES.
const (
	capRDCLNo    = 1 << 0 // no L1TF either
	capIBRSAll   = 1 << 1 // enhanced IBRS
	capRSBA      = 1 << 2 // RSB underflow uses other predictions
	capSkipL1D   = 1 << 3
	capSSBNo     = 1 << 4
	capMDSNo     = 1 << 5
	capTAANo     = 1 << 8
	capSBDRNo    = 1 << 13
	capFBSDPNo   = 1 << 14
	capPSDPNo    = 1 << 15
	capFBClear   = 1 << 17
	capRRSBA     = 1 << 19
	capBHINo     = 1 << 20
	capPBRSBNo   = 1 << 24
	capGDSNo     = 1 << 26
	capRFDSNo    = 1 << 27
	capRFDSClear = 1 << 28

	noMMIO = capSBDRNo | capFBSDPNo | capPSDPNo
)

// guestCaps is what is true for a guest if it is for the CPU: immunities, and how
// the buffers are emptied. Those of bits that the hypervisor does not switch, such
// as the control of transactional memory, are hidden.
const guestCaps = capRDCLNo | capIBRSAll | capRSBA | capSkipL1D | capSSBNo | capMDSNo | capTAANo | noMMIO |
	capFBClear | capRRSBA | capBHINo | capPBRSBNo | capGDSNo | capRFDSNo | capRFDSClear

// b7RTM is transactional memory: leaf 7 subleaf 0 EBX.
const b7RTM = 1 << 11

// Registers are the facts.
type Registers struct {
	Leaf7B, Leaf7D   uint32 // CPUID 7.0 EBX, EDX
	Ext8B            uint32 // CPUID 8000_0008 EBX
	Ext21A, Ext21C   uint32 // CPUID 8000_0021 EAX, ECX
	ArchCapabilities uint64 // if Leaf7D says that it exists
}

// Read asks the CPU that it runs on.
func Read() (r Registers) {
	top, _, _, _ := insn.CPUID(0, 0)
	if top >= 7 {
		_, r.Leaf7B, _, r.Leaf7D = insn.CPUID(7, 0)
	}
	ext, _, _, _ := insn.CPUID(0x8000_0000, 0)
	if ext >= 0x8000_0008 && ext <= 0x8000_ffff {
		_, r.Ext8B, _, _ = insn.CPUID(0x8000_0008, 0)
	}
	if ext >= 0x8000_0021 && ext <= 0x8000_ffff {
		r.Ext21A, _, r.Ext21C, _ = insn.CPUID(0x8000_0021, 0)
	}
	if r.Leaf7D&d7ArchCaps != 0 {
		r.ArchCapabilities = insn.RDMSR(MSRArchCaps)
	}
	return r
}

// Plan is what is done. The zero value is nothing.
type Plan struct {
	// When a CPU turns from one domain to another: indirect branch predictions
	// of the old one are dropped, and the L1 data cache is emptied.
	IBPB, L1D bool
	// At each exit: the return stack buffer is filled with harmless entries. At
	// each entry: VERW empties the buffers that MDS, TAA, MMIO stale data, RFDS
	// or TSA leak.
	RSB, VERW bool
	// SpecCtrl is IA32_SPEC_CTRL while the hypervisor runs, and AutoIBRS says
	// that EFER has IBRS on instead.
	SpecCtrl uint64
	AutoIBRS bool
	// Guest are the bits of IA32_SPEC_CTRL that a guest may set; 0: it has no
	// such register. With IBPB it may write IA32_PRED_CMD. GuestCaps is what it
	// reads as IA32_ARCH_CAPABILITIES; 0: it has none.
	Guest, GuestCaps uint64
}

// Decide makes the plan for CPUs that all say r.
func Decide(r *Registers) Plan {
	caps := r.ArchCapabilities
	if r.Leaf7D&d7ArchCaps == 0 {
		caps = 0
	}
	p := Plan{
		IBPB:     r.Leaf7D&d7IBRS != 0 || r.Ext8B&b8IBPB != 0,
		L1D:      r.Leaf7D&d7L1DFlush != 0 && caps&(capRDCLNo|capSkipL1D) == 0,
		VERW:     verw(r, caps),
		AutoIBRS: r.Ext21A&a21AIBRS != 0,
		Guest:    guest(r),
	}
	p.GuestCaps = caps & guestCaps
	enhanced := caps&capIBRSAll != 0 && r.Leaf7D&d7IBRS != 0
	if enhanced && !p.AutoIBRS {
		p.SpecCtrl = CtrlIBRS
	}
	// Enhanced IBRS keeps a guest's returns out of the hypervisor, but for the
	// first one on some CPUs (PBRSB).
	knows := p.IBPB || r.Ext8B&b8IBRS != 0
	p.RSB = knows && !p.AutoIBRS && !(enhanced && caps&capPBRSBNo != 0)
	return p
}

// verw reports whether VERW has something to clear.
func verw(r *Registers, caps uint64) bool {
	clears := r.Leaf7D&d7MDClear != 0
	switch {
	case clears && caps&capMDSNo == 0:
		return true // MDS
	case clears && r.Leaf7B&b7RTM != 0 && caps&capTAANo == 0:
		return true // TAA
	case caps&capFBClear != 0 && caps&noMMIO != noMMIO:
		return true // MMIO stale data
	case caps&capRFDSClear != 0:
		return true // RFDS
	}
	const both = c21TSASQ | c21TSAL1
	return r.Ext21A&a21VERW != 0 && r.Ext21C&both != both // TSA
}

// guest is the bits of IA32_SPEC_CTRL that exist.
func guest(r *Registers) (bits uint64) {
	if r.Leaf7D&d7IBRS != 0 || r.Ext8B&b8IBRS != 0 {
		bits |= CtrlIBRS
	}
	if r.Leaf7D&d7STIBP != 0 || r.Ext8B&b8STIBP != 0 {
		bits |= CtrlSTIBP
	}
	if r.Leaf7D&d7SSBD != 0 || r.Ext8B&b8SSBD != 0 {
		bits |= CtrlSSBD
	}
	return bits
}

// PerRun reports whether an entry or an exit has something to do.
func (p *Plan) PerRun() bool { return p.RSB || p.VERW || p.Guest != 0 }

// String names the measures, for people.
func (p *Plan) String() string {
	s := ""
	for _, m := range [...]struct {
		on   bool
		name string
	}{
		{p.IBPB, "IBPB"}, {p.L1D, "L1D flush"}, {p.RSB, "RSB"}, {p.VERW, "VERW"},
		{p.SpecCtrl&CtrlIBRS != 0, "enhanced IBRS"}, {p.AutoIBRS, "automatic IBRS"},
	} {
		if m.on && s != "" {
			s += ", "
		}
		if m.on {
			s += m.name
		}
	}
	if s == "" {
		return "nothing that this CPU offers"
	}
	return s
}
