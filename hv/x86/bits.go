// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package x86

// Control register 0 (SDM Vol. 3, "Control Registers").
const (
	CR0PE = 1 << 0
	CR0MP = 1 << 1
	CR0EM = 1 << 2
	CR0TS = 1 << 3
	CR0ET = 1 << 4
	CR0NE = 1 << 5
	CR0WP = 1 << 16
	CR0AM = 1 << 18
	CR0NW = 1 << 29
	CR0CD = 1 << 30
	CR0PG = 1 << 31
)

// ExtDPage1G in EDX of CPUID leaf 0x80000001: the CPU has pages of 1 GiB.
const ExtDPage1G = 1 << 26

// Control register 4.
const (
	CR4VME        = 1 << 0
	CR4PVI        = 1 << 1
	CR4TSD        = 1 << 2
	CR4DE         = 1 << 3
	CR4PSE        = 1 << 4
	CR4PAE        = 1 << 5
	CR4MCE        = 1 << 6
	CR4PGE        = 1 << 7
	CR4PCE        = 1 << 8
	CR4OSFXSR     = 1 << 9
	CR4OSXMMEXCPT = 1 << 10
	CR4UMIP       = 1 << 11
	CR4LA57       = 1 << 12
	CR4VMXE       = 1 << 13
	CR4SMXE       = 1 << 14
	CR4FSGSBASE   = 1 << 16
	CR4PCIDE      = 1 << 17
	CR4OSXSAVE    = 1 << 18
	CR4SMEP       = 1 << 20
	CR4SMAP       = 1 << 21
	CR4PKE        = 1 << 22
)

// Extended feature enable register.
const (
	EFERSCE   = 1 << 0
	EFERLME   = 1 << 8
	EFERLMA   = 1 << 10
	EFERNXE   = 1 << 11
	EFERSVME  = 1 << 12
	EFERFFXSR = 1 << 14
)

// RFLAGS.
const (
	FlagCF       = 1 << 0
	FlagReserved = 1 << 1 // reads as one
	FlagPF       = 1 << 2
	FlagAF       = 1 << 4
	FlagZF       = 1 << 6
	FlagSF       = 1 << 7
	FlagTF       = 1 << 8
	FlagIF       = 1 << 9
	FlagDF       = 1 << 10
	FlagOF       = 1 << 11
	FlagRF       = 1 << 16
	FlagVM       = 1 << 17
	FlagAC       = 1 << 18
)

// Exception vectors (SDM Vol. 3, "Protected-Mode Exceptions and Interrupts").
const (
	VecDE  = 0
	VecDB  = 1
	VecNMI = 2
	VecNM  = 7
	VecBP  = 3
	VecUD  = 6
	VecDF  = 8
	VecTS  = 10
	VecNP  = 11
	VecSS  = 12
	VecGP  = 13
	VecPF  = 14
	VecMF  = 16
	VecAC  = 17
	VecMC  = 18
	VecXM  = 19
)

// Page-fault error code bits.
const (
	PFPresent = 1 << 0
	PFWrite   = 1 << 1
	PFUser    = 1 << 2
	PFRsvd    = 1 << 3
	PFFetch   = 1 << 4
)

// Model-specific registers.
const (
	MSRTSC              = 0x10
	MSRAPICBase         = 0x1b
	MSRFeatureControl   = 0x3a
	MSRTSCAdjust        = 0x3b
	MSRSpecCtrl         = 0x48
	MSRPredCmd          = 0x49
	MSRMicrocodeRev     = 0x8b
	MSRMTRRCap          = 0xfe
	MSRArchCapabilities = 0x10a
	MSRSysenterCS       = 0x174
	MSRSysenterESP      = 0x175
	MSRSysenterEIP      = 0x176
	MSRMCGCap           = 0x179
	MSRMCGStatus        = 0x17a
	MSRMiscEnable       = 0x1a0
	MSRDebugCtl         = 0x1d9
	MSRMTRRPhysBase0    = 0x200
	MSRMTRRFix64K       = 0x250
	MSRMTRRFix16K80     = 0x258
	MSRMTRRFix16KA0     = 0x259
	MSRMTRRFix4KC0      = 0x268
	MSRPAT              = 0x277
	MSRMTRRDefType      = 0x2ff
	MSRTSCDeadline      = 0x6e0
	MSRX2APICBase       = 0x800 // to 0x8ff
	MSRXSS              = 0xda0
	MSREFER             = 0xc000_0080
	MSRSTAR             = 0xc000_0081
	MSRLSTAR            = 0xc000_0082
	MSRCSTAR            = 0xc000_0083
	MSRSFMASK           = 0xc000_0084
	MSRFSBase           = 0xc000_0100
	MSRGSBase           = 0xc000_0101
	MSRKernelGSBase     = 0xc000_0102
	MSRTSCAux           = 0xc000_0103
)
