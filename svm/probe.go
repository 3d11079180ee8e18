// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"errors"

	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// MSRs of the extension (APM Vol. 2, "SVM Related MSRs").
const (
	msrVMCR    = 0xc001_0114
	msrHSAVE   = 0xc001_0117
	vmcrSVMDis = 1 << 4
)

// ErrAbsent is returned by Probe on a CPU without the extension.
var ErrAbsent = errors.New("this CPU has no AMD-V")

// Other ways in which a CPU cannot be used.
var (
	errFirmware = errors.New("AMD-V is off in the firmware (VM_CR.SVMDIS): enable SVM in the BIOS set-up")
	errNPT      = errors.New("AMD-V: this CPU has no nested paging")
	errNX       = errors.New("AMD-V: this CPU has no NX page protection, or it is off in the firmware")
	errASID     = errors.New("AMD-V: this CPU has no address-space identifiers")
	errFXSR     = errors.New("AMD-V: this CPU has no FXSAVE")
)

// Registers is what a CPU says about itself: all that the choice depends on.
type Registers struct {
	Leaf1C  uint32 // CPUID 1 ECX
	Leaf1D  uint32
	LeafDB  uint32 // CPUID 0xD.0 EBX: size of the XSAVE area for the XCR0 in force
	LeafD1A uint32 // CPUID 0xD.1 EAX
	MaxExt  uint32 // CPUID 0x80000000 EAX
	Ext1C   uint32 // CPUID 0x80000001 ECX
	Ext1D   uint32
	ExtAB   uint32 // CPUID 0x8000000A EBX: number of ASIDs
	ExtAD   uint32 // CPUID 0x8000000A EDX: features
	// Hyper is EBX of CPUID 0x40000000 when a hypervisor says it is there.
	Hyper uint32
	VMCR  uint64 // read only if Ext1C says that the MSR exists
	XCR0  uint64 // read only with OSXSAVE
}

// CPUID bits (APM Vol. 3, Appendix E).
const (
	leaf1Hypervisor = 1 << 31
	leaf1OSXSAVE    = 1 << 27
	leaf1FXSR       = 1 << 24
	leafD1XSAVEOPT  = 1 << 0
	ext1SVM         = 1 << 2
	ext1NX          = 1 << 20
	ext1Page1G      = x86.ExtDPage1G
	ext1RDTSCP      = 1 << 27
	extANPT         = 1 << 0
	extANRIPS       = 1 << 3
	extAClean       = 1 << 5
	extAFlushASID   = 1 << 6
	extADecode      = 1 << 7
	extAPause       = 1 << 10
	extAPauseThr    = 1 << 12
	extABusLock     = 1 << 29
)

// features is what this package does differently on different CPUs.
type features struct {
	decodeAssists bool
	nextRIP       bool
	cleanMask     uint32 // VMCB clean bits that the CPU honours
	flushASID     bool
	pauseFilter   bool
	pauseThresh   bool
	busLock       bool
	tscAux        bool
	fpu           vcpu.FPUKind
	fpuSize       int    // bytes of the x87/SSE/AVX image
	xcr0          uint64 // the host's, which is all that guests may use
	asids         uint32
	quirks
}

// ReadRegisters asks the CPU it runs on.
func ReadRegisters() Registers {
	var r Registers
	_, _, r.Leaf1C, r.Leaf1D = insn.CPUID(1, 0)
	r.MaxExt, _, _, _ = insn.CPUID(0x8000_0000, 0)
	if r.MaxExt >= 0x8000_0001 && r.MaxExt <= 0x8000_ffff {
		_, _, r.Ext1C, r.Ext1D = insn.CPUID(0x8000_0001, 0)
	}
	if r.Ext1C&ext1SVM != 0 && r.MaxExt >= 0x8000_000a {
		_, r.ExtAB, _, r.ExtAD = insn.CPUID(0x8000_000a, 0)
		r.VMCR = insn.RDMSR(msrVMCR)
	}
	if r.Leaf1C&leaf1Hypervisor != 0 {
		_, r.Hyper, _, _ = insn.CPUID(0x4000_0000, 0)
	}
	if r.Leaf1C&leaf1OSXSAVE != 0 {
		_, r.LeafDB, _, _ = insn.CPUID(0xd, 0)
		r.LeafD1A, _, _, _ = insn.CPUID(0xd, 1)
		r.XCR0 = insn.XGETBV(0)
	}
	return r
}

// Probe decides from r whether guests can run on this CPU. Precondition of the
// result's use: every CPU of the machine gives the same r.
func Probe(r Registers) (*vcpu.Caps, error) {
	f, err := probe(r)
	if err != nil {
		return nil, err
	}
	return &vcpu.Caps{
		Name:        "AMD-V",
		Short:       "svm",
		HugePages1G: r.Ext1D&ext1Page1G != 0,
		XSAVE:       f.fpu != vcpu.FXSAVE,
		XCR0Mask:    f.xcr0,
	}, nil
}

func probe(r Registers) (features, error) {
	switch {
	case r.Ext1C&ext1SVM == 0 || r.MaxExt < 0x8000_000a:
		return features{}, ErrAbsent
	case r.VMCR&vmcrSVMDis != 0:
		return features{}, errFirmware
	case r.ExtAD&extANPT == 0:
		return features{}, errNPT
	case r.Ext1D&ext1NX == 0:
		return features{}, errNX
	case r.ExtAB < 2: // ASID 0 is the host's
		return features{}, errASID
	case r.Leaf1D&leaf1FXSR == 0:
		return features{}, errFXSR
	}
	f := features{
		decodeAssists: r.ExtAD&extADecode != 0,
		nextRIP:       r.ExtAD&extANRIPS != 0,
		flushASID:     r.ExtAD&extAFlushASID != 0,
		pauseFilter:   r.ExtAD&extAPause != 0,
		pauseThresh:   r.ExtAD&extAPauseThr != 0,
		busLock:       r.ExtAD&extABusLock != 0,
		tscAux:        r.Ext1D&ext1RDTSCP != 0,
		fpuSize:       vcpu.FPULegacy + vcpu.FPUHeader,
		asids:         r.ExtAB,
		quirks:        quirkTable[r.Hyper],
	}
	if r.ExtAD&extAClean != 0 {
		f.cleanMask = cleanAll
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
