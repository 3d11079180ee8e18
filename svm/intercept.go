// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

// Intercept bits of VMCB offsets 00c and 010 (APM Vol. 2, Table B-1).
const (
	iINTR       = 1 << 0
	iNMI        = 1 << 1
	iSMI        = 1 << 2
	iINIT       = 1 << 3
	iVINTR      = 1 << 4
	iRDTSC      = 1 << 14
	iRDPMC      = 1 << 15
	iCPUID      = 1 << 18
	iRSM        = 1 << 19
	iIRET       = 1 << 20
	iINVD       = 1 << 22
	iPAUSE      = 1 << 23
	iHLT        = 1 << 24
	iINVLPGA    = 1 << 26
	iIOIO       = 1 << 27
	iMSR        = 1 << 28
	iTaskSwitch = 1 << 29
	iFERRFreeze = 1 << 30
	iShutdown   = 1 << 31

	iVMRUN      = 1 << 0
	iVMMCALL    = 1 << 1
	iVMLOAD     = 1 << 2
	iVMSAVE     = 1 << 3
	iSTGI       = 1 << 4
	iCLGI       = 1 << 5
	iSKINIT     = 1 << 6
	iRDTSCP     = 1 << 7
	iICEBP      = 1 << 8
	iWBINVD     = 1 << 9
	iMONITOR    = 1 << 10
	iMWAIT      = 1 << 11
	iMWAITArmed = 1 << 12
	iXSETBV     = 1 << 13
	iRDPRU      = 1 << 14

	iINVLPGB        = 1 << 0
	iIllegalINVLPGB = 1 << 1
	iMCOMMIT        = 1 << 3
	iTLBSYNC        = 1 << 4
	iBusLock        = 1 << 5

	crRead0  = 1 << 0
	crRead4  = 1 << 4
	crWrite0 = 1 << 16
	crWrite4 = 1 << 20
	crWrite8 = 1 << 24

	drReads = 0xffff
	drAll   = 0xffff_ffff
)

// What every vCPU starts with. Everything that could touch the host or another
// guest ends the run; each bit that is absent here is explained below.
const (
	// INTR, NMI, SMI, INIT: the host's own events. MSR, IOIO: see bitmap.go.
	// RDPMC: counters are shared. INVD, RSM, task switches through a gate and
	// FERR: emulated or refused above. VINTR and IRET are armed on demand
	// (inject.go), PAUSE only with a filter (backend.go).
	baseMisc1 = iINTR | iNMI | iSMI | iINIT | iRDPMC | iCPUID | iRSM | iINVD | iHLT |
		iINVLPGA | iIOIO | iMSR | iTaskSwitch | iFERRFreeze | iShutdown
	// No nested virtualization: VMRUN's intercept is mandatory (APM Vol. 2,
	// "Canonicalization and Consistency Checks"). RDTSC and RDTSCP run with
	// the TSC offset; TSC_AUX is switched (backend.go).
	baseMisc2 = iVMRUN | iVMMCALL | iVMLOAD | iVMSAVE | iSTGI | iCLGI | iSKINIT |
		iICEBP | iWBINVD | iMONITOR | iMWAIT | iMWAITArmed | iXSETBV | iRDPRU
	// INVLPGB and TLBSYNC reach other CPUs' TLBs; MCOMMIT is not exposed.
	// INVPCID acts on the vCPU's own ASID: not intercepted.
	baseMisc3 = iINVLPGB | iIllegalINVLPGB | iMCOMMIT | iTLBSYNC
	// #DB and #AC: an event delivery that raises them forever would never end
	// the run (XSA-156, CVE-2015-5307). #MC belongs to the host.
	baseExceptions = 1<<1 | 1<<17 | 1<<18
	// CR0: CD, NW and PG need the hypervisor. CR4: its bits are features. CR8:
	// a lower task priority may let an interrupt through, which the virtual
	// local APIC decides; besides, QEMU 7.2 aborts when a guest writes CR8 while
	// V_IRQ is set. CR3 belongs to the guest under nested paging, CR2 is plain
	// storage. CR0 reads are intercepted while the guest's CD or NW differs
	// from the real one (regs.go).
	baseCR = crWrite0 | crWrite4 | crWrite8
	// Debug registers are loaded at the first touch (debug.go).
	baseDR = drAll
)
