// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"ringo/hv/spec"
	"ringo/hv/x86"
)

// Action says how hv completes an access to an MSR.
type Action uint8

const (
	Fault Action = iota // inject #GP(0)
	// Done: a read has its value, a write needs nothing more.
	Done
	Register   // backend register Where.Reg: vcpu.VCPU Get, or Set with the checked value
	Segment    // base of segment Where.Seg: vcpu.VCPU Segment, SetSegment
	EFER       // read: Get(x86.EFER); write: EFERWrite, then Set(x86.EFER)
	LAPIC      // vlapic.LAPIC ReadMSR, WriteMSR
	TSC        // guest TSC; a write changes the offset
	TSCAdjust  // IA32_TSC_ADJUST: a write moves the TSC by the difference
	SystemTime // pvclock.Clock
	WallClock  // pvclock.WallAddr
	StealTime  // pvclock.Steal
	EOIWord    // part.VCPU.SetEOIWord
)

// Where is the place that an [Action] names.
type Where struct {
	Reg x86.Reg
	Seg x86.Seg
}

// Slots of [Storage].
const (
	slotMTRRDef = iota
	slotMTRRFix // 11 registers
	slotMTRRVar = slotMTRRFix + 11
	slotMisc    = slotMTRRVar + 2*varMTRRs // IA32_MISC_ENABLE
	slotHWCR    = slotMisc + 1
	slotDECfg   = slotHWCR + 1
	slotMCG     = slotDECfg + 1 // MCG_STATUS
	numSlots    = slotMCG + 1
)

// varMTRRs is the number of pairs of variable-range MTRRs.
const varMTRRs = 8

// Storage is the MSRs of one vCPU that only remember what was written. Make it
// with [MSRs.Reset]. Its length is a power of two, so that an index needs a mask
// and no check.
type Storage [32]uint64

const slotMask = uint8(len(Storage{}) - 1)

// More slots than storage do not compile.
const _ = uint(len(Storage{}) - numSlots)

// kind is what an MSR is.
type kind uint8

const (
	none     kind = iota
	constant      // reads consts[arg]; writes #GP
	ignored       // reads consts[arg]; writes ignored
	stored        // storage slot arg, any value
	mtrrDef       // the MTRRs: storage, values checked
	mtrrFix
	mtrrBase
	mtrrMask
	mcg       // MCG_STATUS: only 0 and the three flags
	register  // backend register arg
	canonical // the same, an address that must be canonical
	low32     // the same, 32 bits
	pat       // the same, memory types checked
	specCtrl  // the same, bits that the backend switches
	predCmd   // a command of the backend's register arg
	archCaps  // reads MSRs.caps; writes #GP
	segment
	action // Action arg
)

// rule is one MSR.
type rule struct {
	kind kind
	arg  uint8
}

// The MSR numbers that exist are in four dense ranges, each a table. The
// x2APIC's and the few single ones are found by comparison.
const (
	lowLen = 0x300
	amd1   = 0xc000_0080
	amdLen = 0x84
	amd2   = 0xc001_0000
	extLen = 0x120
	amd3   = 0xc001_1000
	cfgLen = 0x30
)

// MSRs is the policy of one partition. It does not change once made.
type MSRs struct {
	low  [lowLen]rule
	amd  [amdLen]rule
	ext  [extLen]rule
	cfg  [cfgLen]rule
	phys uint64 // mask of valid physical address bits
	init Storage
	kvm  bool   // the paravirtual clock is there
	eoi  bool   // the paravirtual EOI is there
	ctrl uint64 // bits of IA32_SPEC_CTRL
	caps uint64 // IA32_ARCH_CAPABILITIES
}

// find returns the rule of an MSR; its kind is none if there is no such MSR.
func (m *MSRs) find(msr uint32) rule {
	if msr < lowLen {
		return m.low[msr]
	}
	return m.findHigh(msr)
}

func (m *MSRs) findHigh(msr uint32) rule {
	switch {
	case msr-x86.MSRX2APICBase < 0x100:
		return rule{action, uint8(LAPIC)}
	case msr-amd1 < amdLen:
		return m.amd[msr-amd1]
	case msr == x86.MSRTSCDeadline:
		return rule{action, uint8(LAPIC)}
	case msr-amd2 < extLen:
		return m.ext[msr-amd2]
	case msr-amd3 < cfgLen:
		return m.cfg[msr-amd3]
	}
	return m.findKVM(msr)
}

// IsLAPIC reports whether an MSR is one of the x2APIC or its deadline, which
// are action [LAPIC] in every partition and by far the most frequent.
func IsLAPIC(msr uint32) bool {
	return msr-x86.MSRX2APICBase < 0x100 || msr == x86.MSRTSCDeadline
}

// Read looks up RDMSR. With action Done val is the value.
func (m *MSRs) Read(s *Storage, msr uint32) (val uint64, a Action, w Where) {
	r := m.find(msr)
	switch r.kind {
	case constant, ignored:
		return consts[r.arg], Done, w
	case stored, mtrrDef, mtrrFix, mtrrBase, mtrrMask, mcg:
		return s[r.arg&slotMask], Done, w
	case register, canonical, low32, pat, specCtrl:
		w.Reg = x86.Reg(r.arg)
		return 0, Register, w
	case archCaps:
		return m.caps, Done, w
	case segment:
		w.Seg = x86.Seg(r.arg)
		return 0, Segment, w
	case action:
		return 0, Action(r.arg), w
	}
	return 0, Fault, w
}

// Write looks up WRMSR and checks val. Storage is written here; with actions
// Register and Segment hv passes val on as it is.
func (m *MSRs) Write(s *Storage, msr uint32, val uint64) (a Action, w Where) {
	r := m.find(msr)
	switch r.kind {
	case action:
		return Action(r.arg), w
	case ignored:
		return Done, w
	case register, canonical, low32, pat, specCtrl, predCmd:
		w.Reg = x86.Reg(r.arg)
		if m.checkRegister(r.kind, val) {
			return Register, w
		}
	case segment:
		w.Seg = x86.Seg(r.arg)
		if IsCanonical(val) {
			return Segment, w
		}
	case stored, mtrrDef, mtrrFix, mtrrBase, mtrrMask, mcg:
		if m.checkStored(r.kind, val) {
			s[r.arg&slotMask] = val
			return Done, w
		}
	}
	return Fault, w
}

func (m *MSRs) checkRegister(k kind, val uint64) bool {
	switch k {
	case canonical:
		return IsCanonical(val)
	case low32:
		return val>>32 == 0
	case pat:
		return IsPAT(val)
	case specCtrl:
		return val&^m.ctrl == 0
	case predCmd:
		return val&^spec.PredIBPB == 0
	}
	return true
}

// IsPAT reports whether val is a value that the PAT can have.
func IsPAT(val uint64) bool { return validTypes(val, 0b1111_0011) } // UC WC WT WP WB UC-

// IsCR0 reports whether val is a value that CR0 can have, reserved bits of its
// lower half aside (SDM Vol. 2, "MOV - Move to/from Control Registers").
func IsCR0(val uint64) bool {
	return val>>32 == 0 && (val&x86.CR0PG == 0 || val&x86.CR0PE != 0) && (val&x86.CR0NW == 0 || val&x86.CR0CD != 0)
}

// checkStored is the check of a storage register (SDM Vol. 3, "Memory Type Range
// Registers (MTRRs)" and "IA32_MCG_STATUS MSR").
func (m *MSRs) checkStored(k kind, val uint64) bool {
	const types = 0b0111_0011 // UC WC WT WP WB
	switch k {
	case mtrrDef:
		return val&^0xcff == 0 && validType(uint8(val), types)
	case mtrrFix:
		return validTypes(val, types)
	case mtrrBase:
		return val&^(m.phys|0xff) == 0 && validType(uint8(val), types)
	case mtrrMask:
		return val&^(m.phys|1<<11) == 0
	case mcg:
		return val&^7 == 0
	}
	return true
}

// validType reports whether memory type t is in set.
func validType(t uint8, set uint8) bool { return t < 8 && set>>t&1 != 0 }

// validTypes checks the eight memory types in val.
func validTypes(val uint64, set uint8) bool {
	for range 8 {
		if !validType(uint8(val), set) {
			return false
		}
		val >>= 8
	}
	return true
}

// IsCanonical reports whether a is a canonical address with 48 bits.
func IsCanonical(a uint64) bool { return uint64(int64(a)<<16>>16) == a }

// Reset gives a vCPU's storage its values after power-up.
func (m *MSRs) Reset(s *Storage) { *s = m.init }

// Import checks storage that comes from outside, as if a guest had written it
// register by register, and reports whether it is possible.
func (m *MSRs) Import(s *Storage) bool {
	for _, t := range [][]rule{m.low[:], m.ext[:], m.cfg[:]} {
		for _, r := range t {
			switch r.kind {
			case stored, mtrrDef, mtrrFix, mtrrBase, mtrrMask, mcg:
				if !m.checkStored(r.kind, s[r.arg&slotMask]) {
					return false
				}
			}
		}
	}
	return true
}

// EFERWrite computes what WRMSR to EFER does (SDM Vol. 3, "Extended Feature
// Enable Register"). allowed is CPUID.EFERAllowed, cr0 the guest's. ok is false
// for #GP.
func EFERWrite(old, val, allowed, cr0 uint64) (efer uint64, ok bool) {
	if val&^allowed != 0 {
		return 0, false
	}
	if cr0&x86.CR0PG != 0 && (old^val)&x86.EFERLME != 0 {
		return 0, false // long mode cannot change while paging is on
	}
	return val&^x86.EFERLMA | old&x86.EFERLMA, true // LMA is the CPU's
}
