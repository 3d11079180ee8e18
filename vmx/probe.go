// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"errors"

	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// Capability MSRs (SDM Vol. 3, Appendix "VMX Capability Reporting Facility").
const (
	msrBasic     = 0x480
	msrPin       = 0x481
	msrProc      = 0x482
	msrExit      = 0x483
	msrEntry     = 0x484
	msrMisc      = 0x485
	msrCR0Fixed0 = 0x486
	msrCR0Fixed1 = 0x487
	msrCR4Fixed0 = 0x488
	msrCR4Fixed1 = 0x489
	msrProc2     = 0x48b
	msrEPTVPID   = 0x48c
	msrTruePin   = 0x48d
	msrTrueProc  = 0x48e
	msrTrueExit  = 0x48f
	msrTrueEntry = 0x490
)

// IA32_FEATURE_CONTROL.
const (
	featureLock  = 1 << 0
	featureVMXON = 1 << 2 // outside SMX
)

// ErrAbsent is returned by Probe on a CPU without the extension.
var ErrAbsent = errors.New("this CPU has no VT-x")

// Other ways in which a CPU cannot be used.
var (
	errFirmware     = errors.New("VT-x is off in the firmware (IA32_FEATURE_CONTROL is locked): enable Virtualization Technology in the BIOS set-up")
	errEPT          = errors.New("VT-x: this CPU has no nested paging (EPT)")
	errUnrestricted = errors.New("VT-x: this CPU cannot run real mode in a guest (no unrestricted guest)")
	errEPTForm      = errors.New("VT-x: this CPU's EPT lacks 4-level tables, write-back memory, 2 MiB pages or INVEPT")
	errNX           = errors.New("VT-x: this CPU has no NX page protection, or it is off in the firmware")
	errFXSR         = errors.New("VT-x: this CPU has no FXSAVE")
	errPin          = errors.New("VT-x: this CPU lacks virtual NMIs or exits for interrupts")
	errProc         = errors.New("VT-x: this CPU lacks bitmaps for ports and MSRs, a TPR shadow, or another basic control")
	errForced       = errors.New("VT-x: this CPU forces exits for CR3, CR8, INVLPG or RDTSC")
	errSwitch       = errors.New("VT-x: this CPU does not switch EFER and PAT at entries and exits")
	errXCR0         = errors.New("VT-x: the host's XCR0 needs more than 32 bits")
)

// Registers is what a CPU says about itself: all that the choice depends on.
// The MSRs are read only when CPUID says that they exist.
type Registers struct {
	Leaf1C  uint32 // CPUID 1 ECX
	Leaf1D  uint32
	LeafDB  uint32 // CPUID 0xD.0 EBX: size of the XSAVE area for the XCR0 in force
	LeafD1A uint32 // CPUID 0xD.1 EAX
	Ext1D   uint32 // CPUID 0x80000001 EDX
	XCR0    uint64 // only with OSXSAVE

	FeatureControl                         uint64
	Basic, Pin, Proc, Exit, Entry, Misc    uint64
	CR0Fixed0, CR0Fixed1                   uint64
	CR4Fixed0, CR4Fixed1                   uint64
	Proc2, EPTVPID                         uint64 // as Proc allows
	TruePin, TrueProc, TrueExit, TrueEntry uint64 // as Basic says
}

// CPUID bits (SDM Vol. 2, "CPUID").
const (
	leaf1VMX       = 1 << 5
	leaf1OSXSAVE   = 1 << 27
	leaf1FXSR      = 1 << 24
	leafD1XSAVEOPT = 1 << 0
	ext1NX         = 1 << 20
	ext1Page1G     = x86.ExtDPage1G
	ext1RDTSCP     = 1 << 27
)

// features is what this package does differently on different CPUs.
type features struct {
	revision             uint32
	pin, proc, proc2     uint32 // adjusted controls
	exit, entry          uint32
	cr0Fixed0, cr0Fixed1 uint64
	cr4Fixed0, cr4Fixed1 uint64
	accessedDirty        bool
	inveptSingle         bool
	vpid                 bool
	invvpidSingle        bool
	huge1G               bool
	timerShift           uint8 // of the preemption timer
	tscAux               bool
	virtualAPIC          bool // x2APIC mode, its registers, and interrupt delivery
	fpu                  vcpu.FPUKind
	fpuSize              int    // bytes of the x87/SSE/AVX image
	xcr0                 uint64 // the host's, which is all that guests may use
}

// ReadRegisters asks the CPU it runs on.
func ReadRegisters() Registers {
	var r Registers
	_, _, r.Leaf1C, r.Leaf1D = insn.CPUID(1, 0)
	if max, _, _, _ := insn.CPUID(0x8000_0000, 0); max >= 0x8000_0001 && max <= 0x8000_ffff {
		_, _, _, r.Ext1D = insn.CPUID(0x8000_0001, 0)
	}
	if r.Leaf1C&leaf1OSXSAVE != 0 {
		_, r.LeafDB, _, _ = insn.CPUID(0xd, 0)
		r.LeafD1A, _, _, _ = insn.CPUID(0xd, 1)
		r.XCR0 = insn.XGETBV(0)
	}
	if r.Leaf1C&leaf1VMX != 0 {
		r.readMSRs()
	}
	return r
}

func (r *Registers) readMSRs() {
	r.FeatureControl = insn.RDMSR(x86.MSRFeatureControl)
	r.Basic = insn.RDMSR(msrBasic)
	r.Pin, r.Proc = insn.RDMSR(msrPin), insn.RDMSR(msrProc)
	r.Exit, r.Entry = insn.RDMSR(msrExit), insn.RDMSR(msrEntry)
	r.Misc = insn.RDMSR(msrMisc)
	r.CR0Fixed0, r.CR0Fixed1 = insn.RDMSR(msrCR0Fixed0), insn.RDMSR(msrCR0Fixed1)
	r.CR4Fixed0, r.CR4Fixed1 = insn.RDMSR(msrCR4Fixed0), insn.RDMSR(msrCR4Fixed1)
	if r.Basic&basicTrue != 0 {
		r.TruePin, r.TrueProc = insn.RDMSR(msrTruePin), insn.RDMSR(msrTrueProc)
		r.TrueExit, r.TrueEntry = insn.RDMSR(msrTrueExit), insn.RDMSR(msrTrueEntry)
	}
	if r.Proc>>32&procSecondary != 0 {
		r.Proc2 = insn.RDMSR(msrProc2)
		if r.Proc2>>32&(proc2EPT|proc2VPID) != 0 {
			r.EPTVPID = insn.RDMSR(msrEPTVPID)
		}
	}
}

// Probe decides from r whether guests can run on this CPU. Precondition of the
// result's use: every CPU of the machine gives the same r.
func Probe(r Registers) (*vcpu.Caps, error) {
	f, err := probe(&r)
	if err != nil {
		return nil, err
	}
	return &vcpu.Caps{
		Name:        "VT-x",
		Short:       "vmx",
		HugePages1G: f.huge1G,
		XSAVE:       f.fpu != vcpu.FXSAVE,
		XCR0Mask:    f.xcr0,
		VirtualAPIC: f.virtualAPIC,
	}, nil
}

func probe(r *Registers) (features, error) {
	switch {
	case r.Leaf1C&leaf1VMX == 0:
		return features{}, ErrAbsent
	case r.FeatureControl&featureLock != 0 && r.FeatureControl&featureVMXON == 0:
		return features{}, errFirmware
	case r.Ext1D&ext1NX == 0:
		return features{}, errNX
	case r.Leaf1D&leaf1FXSR == 0:
		return features{}, errFXSR
	case r.XCR0>>32 != 0:
		return features{}, errXCR0
	}
	f := features{
		revision:  uint32(r.Basic & basicRevision),
		cr0Fixed0: r.CR0Fixed0, cr0Fixed1: r.CR0Fixed1,
		cr4Fixed0: r.CR4Fixed0, cr4Fixed1: r.CR4Fixed1,
		tscAux:  r.Ext1D&ext1RDTSCP != 0,
		fpuSize: vcpu.FPULegacy + vcpu.FPUHeader,
	}
	if err := f.controls(r); err != nil {
		return features{}, err
	}
	if r.Leaf1C&leaf1OSXSAVE != 0 {
		f.fpu, f.xcr0 = vcpu.XSAVE, r.XCR0
		f.fpuSize = max(f.fpuSize, int(r.LeafDB))
		if r.LeafD1A&leafD1XSAVEOPT != 0 {
			f.fpu = vcpu.XSAVEOPT
		}
	}
	return f, nil
}

// controls chooses the control fields.
func (f *features) controls(r *Registers) error {
	var missing uint32
	if f.proc2, missing = adjust(wantProc2|niceProc2, uint32(r.Proc2), uint32(r.Proc2>>32)); missing&proc2EPT != 0 {
		return errEPT
	}
	if missing&proc2Unrestricted != 0 {
		return errUnrestricted
	}
	const form = capWalk4 | capWriteBack | cap2M | capINVEPT
	if r.EPTVPID&form != form || r.EPTVPID&(capINVEPTSingle|capINVEPTAll) == 0 {
		return errEPTForm
	}
	if f.pin, missing = r.control(r.Pin, r.TruePin, wantPin|niceTimer); missing&wantPin != 0 {
		return errPin
	}
	if f.proc, missing = r.control(r.Proc, r.TrueProc, wantProc); missing != 0 {
		return errProc
	}
	if f.proc&procMustNotForce != 0 {
		return errForced
	}
	if f.exit, missing = r.control(r.Exit, r.TrueExit, wantExit); missing != 0 {
		return errSwitch
	}
	if f.entry, missing = r.control(r.Entry, r.TrueEntry, wantEntry); missing != 0 {
		return errSwitch
	}
	f.huge1G = r.EPTVPID&cap1G != 0
	f.accessedDirty = r.EPTVPID&capAccessedDirty != 0
	f.inveptSingle = r.EPTVPID&capINVEPTSingle != 0
	f.invvpidSingle = r.EPTVPID&capINVVPIDSingle != 0
	f.timerShift = uint8(r.Misc & 31)
	// A tag that cannot be flushed is of no use.
	flushable := r.EPTVPID&capINVVPID != 0 && r.EPTVPID&(capINVVPIDSingle|capINVVPIDAll) != 0
	f.vpid = flushable && f.proc2&proc2VPID != 0
	if !f.vpid {
		f.proc2 &^= proc2VPID
	}
	f.tscAux = f.tscAux && f.proc2&proc2RDTSCP != 0
	f.virtualAPIC = f.proc2&virtualAPIC == virtualAPIC
	f.proc2 &^= virtualAPIC
	if f.virtualAPIC {
		f.proc2 |= proc2APICRegs | proc2Interrupts
	}
	return nil
}
