// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"ringo/hv/abi"
	"ringo/hv/spec"
	"ringo/hv/x86"
)

// Constants that MSRs read as.
const (
	zero = iota
	one
	mtrrCap // fixed ranges, write-combining, varMTRRs pairs
	ucode   // a revision newer than any list of errata
	nestOff // VM_CR: virtualization disabled
)

// consts has an entry per possible index.
var consts = [256]uint64{
	one:     1,
	mtrrCap: varMTRRs | 1<<8 | 1<<10,
	ucode:   0xffff_ffff_ffff_ffff, // AMD keeps it in the low half, Intel in the high
	nestOff: 1 << 4,
}

// Initial values of storage.
const (
	// Write-back everywhere, MTRRs and fixed MTRRs on: Linux ties PAT to MTRRs
	// being enabled. They have no effect: the guest's PAT and hv's second-level
	// tables decide.
	initMTRRDef = 6 | 1<<10 | 1<<11
	initFix     = 0x0606_0606_0606_0606
	// Fast strings on; BTS and PEBS unavailable.
	initMisc = 1<<0 | 1<<11 | 1<<12
	// The TSC counts at the P0 rate (bit 24): Linux reports a firmware bug if not.
	initHWCR = 1 << 24
	// LFENCE is dispatch-serializing (bit 1), where software cannot tell
	// otherwise. True of what hv sets up on every family that has the MSR.
	initDECfg = 1 << 1
)

// NewMSRs makes the policy that belongs to c. It allocates.
func NewMSRs(c *CPUID) *MSRs {
	m := &MSRs{phys: 1<<c.PhysBits() - 1<<12, kvm: c.clock, eoi: c.eoi}
	m.addCommon(c)
	m.addMTRRs()
	m.addSpec(&c.spec)
	if c.amd {
		m.addAMD()
	} else {
		m.addIntel()
	}
	return m
}

// addCommon adds what both vendors have. What a system reads at boot with
// rdmsr_safe and can do without is left out on purpose: #GP tells it so.
func (m *MSRs) addCommon(c *CPUID) {
	for msr, r := range map[uint32]rule{
		x86.MSRTSC:          {action, uint8(TSC)},
		x86.MSRAPICBase:     {action, uint8(LAPIC)},
		x86.MSRTSCAdjust:    {action, uint8(TSCAdjust)},
		x86.MSRMicrocodeRev: {ignored, ucode}, // written with 0 before it is read
		x86.MSRSysenterCS:   {low32, uint8(x86.SysenterCS)},
		x86.MSRSysenterESP:  {canonical, uint8(x86.SysenterESP)},
		x86.MSRSysenterEIP:  {canonical, uint8(x86.SysenterEIP)},
		x86.MSRMCGCap:       {constant, zero}, // no banks
		x86.MSRMCGStatus:    {mcg, slotMCG},
		x86.MSRDebugCtl:     {ignored, zero}, // no branch records
		x86.MSRPAT:          {pat, uint8(x86.PAT)},
	} {
		m.low[msr] = r
	}
	for msr, r := range map[uint32]rule{
		x86.MSREFER:         {action, uint8(EFER)},
		x86.MSRSTAR:         {register, uint8(x86.STAR)},
		x86.MSRLSTAR:        {canonical, uint8(x86.LSTAR)},
		x86.MSRCSTAR:        {canonical, uint8(x86.CSTAR)},
		x86.MSRSFMASK:       {low32, uint8(x86.SFMASK)},
		x86.MSRFSBase:       {segment, uint8(x86.FS)},
		x86.MSRGSBase:       {segment, uint8(x86.GS)},
		x86.MSRKernelGSBase: {canonical, uint8(x86.KernelGSBase)},
	} {
		m.amd[msr-amd1] = r
	}
	if c.ext[1].r.EDX&dxRDTSCP != 0 || c.basic[7].r.ECX&c7RDPID != 0 {
		m.amd[x86.MSRTSCAux-amd1] = rule{low32, uint8(x86.TSCAux)}
	}
}

// addSpec adds the registers of speculation control that the backend switches.
func (m *MSRs) addSpec(p *spec.Plan) {
	m.ctrl, m.caps = p.Guest, p.GuestCaps
	if p.Guest != 0 {
		m.low[spec.MSRSpecCtrl] = rule{specCtrl, uint8(x86.SpecCtrl)}
	}
	if p.IBPB {
		m.low[spec.MSRPredCmd] = rule{predCmd, uint8(x86.BranchBarrier)}
	}
	if p.GuestCaps != 0 {
		m.low[spec.MSRArchCaps] = rule{kind: archCaps}
	}
}

// addMTRRs adds the memory-type range registers: Linux reads all of them without
// a guard when CPUID shows MTRR, and writes them on every CPU.
func (m *MSRs) addMTRRs() {
	m.low[x86.MSRMTRRCap] = rule{constant, mtrrCap}
	m.low[x86.MSRMTRRDefType] = rule{mtrrDef, slotMTRRDef}
	m.init[slotMTRRDef] = initMTRRDef
	fixed := []uint32{x86.MSRMTRRFix64K, x86.MSRMTRRFix16K80, x86.MSRMTRRFix16KA0}
	for i := range uint32(8) {
		fixed = append(fixed, x86.MSRMTRRFix4KC0+i)
	}
	for i, msr := range fixed {
		m.low[msr] = rule{mtrrFix, uint8(slotMTRRFix + i)}
		m.init[slotMTRRFix+i] = initFix
	}
	for i := range uint32(varMTRRs) {
		m.low[x86.MSRMTRRPhysBase0+2*i] = rule{mtrrBase, uint8(slotMTRRVar + 2*i)}
		m.low[x86.MSRMTRRPhysBase0+2*i+1] = rule{mtrrMask, uint8(slotMTRRVar + 2*i + 1)}
	}
}

// addAMD adds what Linux 6.1 (arch/x86/kernel/cpu/amd.c, mtrr, process.c) and
// Windows read unguarded on AMD processors (numbers and names: AMD Processor
// Programming References).
func (m *MSRs) addAMD() {
	m.init[slotHWCR], m.init[slotDECfg] = initHWCR, initDECfg
	for msr, r := range map[uint32]rule{
		0xc001_0010: {ignored, zero}, // SYSCFG: no memory encryption, no TOM2
		0xc001_0015: {stored, slotHWCR},
		0xc001_001a: {ignored, zero},     // TOP_MEM
		0xc001_001d: {ignored, zero},     // TOP_MEM2
		0xc001_001f: {ignored, zero},     // NB_CFG
		0xc001_0055: {ignored, zero},     // interrupt pending message: no C1E
		0xc001_0058: {ignored, zero},     // MMIO configuration base: disabled
		0xc001_0061: {constant, zero},    // P-state current limit
		0xc001_0062: {ignored, zero},     // P-state control
		0xc001_0063: {constant, zero},    // P-state status
		0xc001_0064: {constant, zero},    // P-state 0
		0xc001_0112: {ignored, zero},     // TSEG address
		0xc001_0113: {ignored, zero},     // TSEG mask
		0xc001_0114: {constant, nestOff}, // VM_CR
	} {
		m.ext[msr-amd2] = r
	}
	for i := range uint32(8) {
		// Performance event select and counters 0 to 3 of all families since K7:
		// no leaf of CPUID says that they are not there.
		m.ext[0xc001_0000+i-amd2] = rule{ignored, zero}
	}
	for msr, r := range map[uint32]rule{
		0xc001_1022: {ignored, zero}, // DC_CFG
		0xc001_1029: {stored, slotDECfg},
		0xc001_102a: {ignored, zero}, // BU_CFG2, written on family 10h
	} {
		m.cfg[msr-amd3] = r
	}
}

// addIntel adds what Linux 6.1 (verify_cpu.S, intel.c) and Windows read unguarded
// on Intel processors (SDM Vol. 4).
func (m *MSRs) addIntel() {
	m.init[slotMisc] = initMisc
	for msr, r := range map[uint32]rule{
		0x17:                  {constant, zero}, // platform ID
		0x2a:                  {ignored, zero},  // EBL_CR_POWERON
		x86.MSRFeatureControl: {constant, one},  // locked, VMX off
		0xce:                  {constant, zero}, // platform information
		0x198:                 {constant, zero}, // performance status
		x86.MSRMiscEnable:     {stored, slotMisc},
	} {
		m.low[msr] = r
	}
}

// findKVM is the MSRs of the paravirtual clock, steal time and EOI.
func (m *MSRs) findKVM(msr uint32) rule {
	switch {
	case msr == abi.MSRKVMEOI && m.eoi:
		return rule{action, uint8(EOIWord)}
	case !m.kvm:
		return rule{}
	}
	switch msr {
	case abi.MSRKVMSystemTime:
		return rule{action, uint8(SystemTime)}
	case abi.MSRKVMWallClock:
		return rule{action, uint8(WallClock)}
	case abi.MSRKVMStealTime:
		return rule{action, uint8(StealTime)}
	}
	return rule{}
}
