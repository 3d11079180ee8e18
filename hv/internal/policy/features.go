// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import "ringo/hv/x86"

// This file is the allow-list: a feature bit that is not named here is zero for
// every guest, whatever the host has. Bits and names: SDM Vol. 2, "CPUID—CPU
// Identification"; APM Vol. 3, "Obtaining Processor Information Via the CPUID
// Instruction".
//
// Denied on purpose, with the reason:
//
//	VMX, SVM, SMX, SKINIT     no nested virtualization
//	MONITOR, MONITORX         a guest must not hold a CPU in a wait state
//	PCID, INVPCID             hv does not tag guest contexts
//	PKU, CET, PKS             PKRU and shadow stacks are not switched
//	XSAVES                    IA32_XSS is not switched
//	LA57                      hv walks four-level guest tables
//	HLE, RTM, MPX, PT, SGX    withdrawn, or state that is not switched
//	IBRS, STIBP, SSBD, L1DFL  SPEC_CTRL and the flush commands are not switched
//	perfmon, IBS, LWP, DBEXT  counters and debug masks are not switched
//	WAITPKG, RDPRU, ENQCMD    intercepts or MSRs of their own
//	SMM, thermal, P-states    the host's affair

// Leaf 1 ECX.
const (
	c1SSE3        = 1 << 0
	c1PCLMUL      = 1 << 1
	c1SSSE3       = 1 << 9
	c1FMA         = 1 << 12 // AVX
	c1CX16        = 1 << 13
	c1SSE41       = 1 << 19
	c1SSE42       = 1 << 20
	c1X2APIC      = 1 << 21 // emulated
	c1MOVBE       = 1 << 22
	c1POPCNT      = 1 << 23
	c1TSCDeadline = 1 << 24 // emulated
	c1AES         = 1 << 25
	c1XSAVE       = 1 << 26
	c1OSXSAVE     = 1 << 27 // CR4.OSXSAVE of the guest
	c1AVX         = 1 << 28
	c1F16C        = 1 << 29 // AVX
	c1RDRAND      = 1 << 30
	c1Hypervisor  = 1 << 31 // always

	allow1C = c1SSE3 | c1PCLMUL | c1SSSE3 | c1FMA | c1CX16 | c1SSE41 | c1SSE42 | c1MOVBE |
		c1POPCNT | c1AES | c1XSAVE | c1AVX | c1F16C | c1RDRAND
	force1C = c1X2APIC | c1TSCDeadline | c1Hypervisor
)

// Leaf 1 EDX.
const (
	d1FPU   = 1 << 0
	d1VME   = 1 << 1
	d1DE    = 1 << 2
	d1PSE   = 1 << 3
	d1TSC   = 1 << 4
	d1MSR   = 1 << 5
	d1PAE   = 1 << 6
	d1MCE   = 1 << 7 // no banks: MCG_CAP is 0
	d1CX8   = 1 << 8
	d1APIC  = 1 << 9 // IA32_APIC_BASE.EN of the guest
	d1SEP   = 1 << 11
	d1MTRR  = 1 << 12 // storage without effect
	d1PGE   = 1 << 13
	d1MCA   = 1 << 14
	d1CMOV  = 1 << 15
	d1PAT   = 1 << 16
	d1PSE36 = 1 << 17
	d1CLFSH = 1 << 19
	d1MMX   = 1 << 23
	d1FXSR  = 1 << 24
	d1SSE   = 1 << 25
	d1SSE2  = 1 << 26
	d1HTT   = 1 << 28 // more than one APIC ID in the package

	allow1D = d1FPU | d1VME | d1DE | d1PSE | d1TSC | d1MSR | d1PAE | d1MCE | d1CX8 | d1SEP | d1PGE |
		d1MCA | d1CMOV | d1PAT | d1PSE36 | d1CLFSH | d1MMX | d1FXSR | d1SSE | d1SSE2
	force1D = d1APIC | d1MTRR
)

// Leaf 7, subleaf 0, EBX.
const (
	b7FSGSBASE   = 1 << 0
	b7TSCAdjust  = 1 << 1 // emulated
	b7BMI1       = 1 << 3
	b7AVX2       = 1 << 5 // AVX
	b7FDPExcept  = 1 << 6 // x87 behaviour
	b7SMEP       = 1 << 7
	b7BMI2       = 1 << 8
	b7ERMS       = 1 << 9
	b7NoFPUCS    = 1 << 13 // x87 behaviour
	b7AVX512F    = 1 << 16 // AVX-512, and so are the next
	b7AVX512DQ   = 1 << 17
	b7RDSEED     = 1 << 18
	b7ADX        = 1 << 19
	b7SMAP       = 1 << 20
	b7AVX512IFMA = 1 << 21
	b7CLFLUSHOPT = 1 << 23
	b7CLWB       = 1 << 24
	b7AVX512CD   = 1 << 28
	b7SHA        = 1 << 29
	b7AVX512BW   = 1 << 30
	b7AVX512VL   = 1 << 31

	avx512B = b7AVX512F | b7AVX512DQ | b7AVX512IFMA | b7AVX512CD | b7AVX512BW | b7AVX512VL
	allow7B = b7FSGSBASE | b7BMI1 | b7AVX2 | b7FDPExcept | b7SMEP | b7BMI2 | b7ERMS | b7NoFPUCS |
		b7RDSEED | b7ADX | b7SMAP | b7CLFLUSHOPT | b7CLWB | b7SHA | avx512B
	force7B = b7TSCAdjust
)

// Leaf 7, subleaf 0, ECX and EDX.
const (
	c7AVX512VBMI   = 1 << 1
	c7UMIP         = 1 << 2
	c7AVX512VBMI2  = 1 << 6
	c7GFNI         = 1 << 8
	c7VAES         = 1 << 9  // AVX
	c7VPCLMUL      = 1 << 10 // AVX
	c7AVX512VNNI   = 1 << 11
	c7AVX512BITALG = 1 << 12
	c7AVX512POPCNT = 1 << 14
	c7RDPID        = 1 << 22 // reads TSC_AUX
	c7MOVDIRI      = 1 << 27

	avx512C = c7AVX512VBMI | c7AVX512VBMI2 | c7AVX512VNNI | c7AVX512BITALG | c7AVX512POPCNT
	avxC7   = c7VAES | c7VPCLMUL
	allow7C = c7UMIP | c7GFNI | c7RDPID | c7MOVDIRI | avxC7 | avx512C

	d7FSRM      = 1 << 4
	d7VP2INTER  = 1 << 8  // AVX-512
	d7MDClear   = 1 << 10 // VERW behaviour
	d7Serialize = 1 << 14
	d7IBRS      = 1 << 26 // IBRS and IBPB: these four as the backend switches
	d7STIBP     = 1 << 27
	d7ArchCaps  = 1 << 29
	d7SSBD      = 1 << 31
	allow7D     = d7FSRM | d7VP2INTER | d7MDClear | d7Serialize
)

// Leaf 7, subleaf 1, EAX.
const (
	a71AVXVNNI = 1 << 4 // AVX
	a71BF16    = 1 << 5 // AVX-512
	a71FZRM    = 1 << 10
	a71FSRS    = 1 << 11
	a71FSRC    = 1 << 12
	allow71A   = a71AVXVNNI | a71BF16 | a71FZRM | a71FSRS | a71FSRC
)

// Leaf 0xd, subleaf 1, EAX.
const (
	aDXSAVEOPT = 1 << 0
	aDXSAVEC   = 1 << 1
	aDXGETBV1  = 1 << 2
	allowD1A   = aDXSAVEOPT | aDXSAVEC | aDXGETBV1
)

// Leaf 0x80000001 ECX.
const (
	cxLAHF     = 1 << 0
	cxCmpLegac = 1 << 1 // AMD: more than one core in the package
	cxABM      = 1 << 5
	cxSSE4A    = 1 << 6
	cxMisalign = 1 << 7
	cxPrefetch = 1 << 8
	cxXOP      = 1 << 11 // AVX
	cxFMA4     = 1 << 16 // AVX
	cxTBM      = 1 << 21
	cxTopoExt  = 1 << 22 // AMD: leaves 0x8000001d and 0x8000001e; emulated for threads

	allowXC = cxLAHF | cxABM | cxSSE4A | cxMisalign | cxPrefetch | cxXOP | cxFMA4 | cxTBM | cxTopoExt
)

// Leaf 0x80000001 EDX. AMD repeats most of leaf 1 in dup.
const (
	dxSYSCALL = 1 << 11
	dxNX      = 1 << 20
	dxMMXEXT  = 1 << 22
	dx1G      = x86.ExtDPage1G
	dxRDTSCP  = 1 << 27
	dxLM      = 1 << 29

	dup     = 0x0183_f3ff // APIC and MTRR included
	allowXD = dup | dxSYSCALL | dxNX | dxMMXEXT | dx1G | dxRDTSCP | dxLM
)

// Leaf 0x80000008 EBX and 0x80000021 EAX (AMD).
const (
	b8CLZERO     = 1 << 0
	b8XSAVEERPTR = 1 << 2
	b8IBPB       = 1 << 12 // these four as the backend switches
	b8IBRS       = 1 << 14
	b8STIBP      = 1 << 15
	b8SSBD       = 1 << 24
	allow8B      = b8CLZERO | b8XSAVEERPTR

	a21NestedBP  = 1 << 0 // behaviour
	a21LFENCE    = 1 << 2 // LFENCE always serializes
	a21NullSel   = 1 << 6 // null selector clears base
	allow21A     = a21NestedBP | a21LFENCE | a21NullSel
	d7InvariantT = 1 << 8 // leaf 0x80000007 EDX: constant TSC
	a6ARAT       = 1 << 2 // leaf 6 EAX: the APIC timer never stops
)

// State components of XCR0 (SDM Vol. 1, "XSAVE-Supported Features and
// State-Component Bitmaps").
const (
	xX87    = 1 << 0
	xSSE    = 1 << 1
	xAVX    = 1 << 2
	xAVX512 = 7 << 5
	xAllow  = xX87 | xSSE | xAVX | xAVX512
)
