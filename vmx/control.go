// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// adjust makes want a value that the CPU accepts in a control field: bits of
// allowed0 must be 1, bits outside allowed1 must be 0 (SDM Vol. 3, Appendix "VMX
// Capability Reporting Facility"). missing are the bits of want that got lost.
func adjust(want, allowed0, allowed1 uint32) (got, missing uint32) {
	got = (want | allowed0) & allowed1
	return got, want &^ got
}

// control is one of the control fields with what its capability MSR allows:
// allowed0 in the low half, allowed1 in the high half.
func (r *Registers) control(plain, exact uint64, want uint32) (got, missing uint32) {
	c := plain
	if r.Basic&basicTrue != 0 {
		c = exact
	}
	return adjust(want, uint32(c), uint32(c>>32))
}

// IA32_VMX_BASIC: revision 30:0, size 44:32.
const (
	basicRevision = 1<<31 - 1
	basicTrue     = 1 << 55 // the TRUE capability MSRs exist
)

// Pin-based controls (SDM Vol. 3, "Pin-Based VM-Execution Controls").
const (
	pinInterrupts = 1 << 0
	pinNMI        = 1 << 3
	pinVirtualNMI = 1 << 5
	pinTimer      = 1 << 6 // preemption timer
)

// Primary processor-based controls.
const (
	procIRQWindow    = 1 << 2
	procTSCOffset    = 1 << 3
	procHLT          = 1 << 7
	procINVLPG       = 1 << 9
	procMWAIT        = 1 << 10
	procRDPMC        = 1 << 11
	procRDTSC        = 1 << 12
	procCR3Load      = 1 << 15
	procCR3Store     = 1 << 16
	procCR8Load      = 1 << 19
	procCR8Store     = 1 << 20
	procTPRShadow    = 1 << 21
	procNMIWindow    = 1 << 22
	procMOVDR        = 1 << 23
	procAllIO        = 1 << 24
	procIOBitmaps    = 1 << 25
	procMSRBitmaps   = 1 << 28
	procMONITOR      = 1 << 29
	procPAUSE        = 1 << 30
	procSecondary    = 1 << 31
	procMustNotForce = procINVLPG | procRDTSC | procCR3Load | procCR3Store | procCR8Load | procCR8Store | procAllIO | procPAUSE
)

// Secondary processor-based controls.
const (
	proc2EPT          = 1 << 1
	proc2RDTSCP       = 1 << 3
	proc2X2APIC       = 1 << 4 // virtualize x2APIC mode
	proc2VPID         = 1 << 5
	proc2WBINVD       = 1 << 6
	proc2Unrestricted = 1 << 7
	proc2APICRegs     = 1 << 8 // APIC-register virtualization
	proc2Interrupts   = 1 << 9 // virtual-interrupt delivery
	proc2PauseLoop    = 1 << 10
	proc2INVPCID      = 1 << 12
	proc2BusLock      = 1 << 30 // bus-lock detection
	proc2Notify       = 1 << 31 // notify VM exits
)

// Exit controls.
const (
	exitSaveDebug = 1 << 2
	exitHost64    = 1 << 9
	exitLoadPAT   = 1 << 19
	exitLoadEFER  = 1 << 21
)

// Entry controls.
const (
	entryLoadDebug = 1 << 2
	entryLongMode  = 1 << 9
	entryLoadPAT   = 1 << 14
	entryLoadEFER  = 1 << 15
)

// What this package cannot do without, and what it takes when the CPU has it.
//
// Every access to ports and MSRs exits but for the bitmaps of bitmap.go; HLT,
// MWAIT, MONITOR, RDPMC and WBINVD because they act on the real CPU; debug
// registers until their first touch (debug.go). RDTSC runs with the offset, CR3
// and INVLPG are the guest's under nested paging, CR8 is in the virtual-APIC
// page. Interrupts are not acknowledged at an exit: the host takes them through
// its IDT right after. EFER and PAT are loaded both ways, but not saved: the
// guest cannot write them without an exit.
const (
	wantPin   = pinInterrupts | pinNMI | pinVirtualNMI
	niceTimer = pinTimer
	wantProc  = procTSCOffset | procHLT | procMWAIT | procRDPMC | procTPRShadow | procMOVDR |
		procIOBitmaps | procMSRBitmaps | procMONITOR | procSecondary
	wantProc2 = proc2EPT | proc2WBINVD | proc2Unrestricted
	niceProc2 = proc2RDTSCP | proc2VPID | proc2PauseLoop | proc2INVPCID | proc2BusLock | proc2Notify | virtualAPIC
	wantExit  = exitSaveDebug | exitHost64 | exitLoadPAT | exitLoadEFER
	wantEntry = entryLoadDebug | entryLoadPAT | entryLoadEFER
)

// virtualAPIC is used all together or not at all. proc2X2APIC is on while the
// guest's local APIC is in that mode (apic.go).
const virtualAPIC = proc2X2APIC | proc2APICRegs | proc2Interrupts

// IA32_VMX_EPT_VPID_CAP.
const (
	capWalk4         = 1 << 6
	capWriteBack     = 1 << 14
	cap2M            = 1 << 16
	cap1G            = 1 << 17
	capINVEPT        = 1 << 20
	capAccessedDirty = 1 << 21
	capINVEPTSingle  = 1 << 25
	capINVEPTAll     = 1 << 26
	capINVVPID       = 1 << 32
	capINVVPIDSingle = 1 << 41
	capINVVPIDAll    = 1 << 42
)
