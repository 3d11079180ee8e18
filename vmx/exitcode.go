// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import "ringo/hv/vcpu"

// Exit reasons (SDM Vol. 3, Appendix "VMX Basic Exit Reasons") that the package
// has a name for.
const (
	reasonException    = 0
	reasonInterrupt    = 1
	reasonIRQWindow    = 7
	reasonNMIWindow    = 8
	reasonCPUID        = 10
	reasonHLT          = 12
	reasonVMCALL       = 18
	reasonCR           = 28
	reasonDR           = 29
	reasonIO           = 30
	reasonRDMSR        = 31
	reasonWRMSR        = 32
	reasonTPR          = 43
	reasonEOI          = 45
	reasonEPTViolation = 48
	reasonTimer        = 52
	reasonAPICWrite    = 56
	reasonBusLock      = 74
	reasonNotify       = 75
	numReasons         = 76

	// Bit 26: a bus lock came with an exit of another reason. It has happened, and
	// the guest has left: nothing more is to be done.
	reasonBusLocked = 1 << 26

	// Bit 31 of the exit reason: the entry failed, nothing of the guest was
	// loaded or run. reasonNotTried is ours: VMLAUNCH or VMRESUME refused.
	reasonEntryFailed = 1 << 31
	reasonNotTried    = reasonEntryFailed | 0xffff
	// reasonRefused is ours too: the entry code stayed out.
	reasonRefused = 0x7fff_0000
)

// form is what an exit reason carries besides its number.
type form uint8

const (
	fNone  form = iota // not a reason of the table
	fEvent             // nothing
	fOwn               // finished by this package
	fInsn              // ended by an instruction: it has a length
	fCR                // the same; qualification
	fIO                // the same; qualification
	fException
	fEPT  // qualification, guest physical address
	fAPIC // qualification
	fNotify
)

type reasonInfo struct {
	reason vcpu.Reason
	form   form
}

// reasons is the appendix. A zero form is a reason that cannot happen with the
// controls of this package.
var reasons = [numReasons]reasonInfo{
	reasonException:    {vcpu.Exception, fException},
	reasonInterrupt:    {vcpu.Tick, fEvent},     // it is taken before Run returns
	2:                  {vcpu.Shutdown, fEvent}, // triple fault
	3:                  {vcpu.Init, fEvent},
	5:                  {vcpu.Interrupted, fEvent}, // I/O SMI
	6:                  {vcpu.Interrupted, fEvent}, // other SMI
	reasonIRQWindow:    {vcpu.Window, fOwn},
	reasonNMIWindow:    {vcpu.Window, fOwn},
	9:                  {vcpu.TaskSwitch, fEvent},
	reasonCPUID:        {vcpu.CPUID, fInsn},
	11:                 {vcpu.Privileged, fInsn}, // GETSEC
	reasonHLT:          {vcpu.HLT, fInsn},
	13:                 {vcpu.Cache, fInsn},      // INVD
	15:                 {vcpu.RDPMC, fInsn},      //
	16:                 {vcpu.TSC, fInsn},        // RDTSC
	17:                 {vcpu.Privileged, fInsn}, // RSM
	reasonVMCALL:       {vcpu.Hypercall, fInsn},  //
	19:                 {vcpu.Privileged, fInsn}, // VMCLEAR
	20:                 {vcpu.Privileged, fInsn}, // VMLAUNCH
	21:                 {vcpu.Privileged, fInsn}, // VMPTRLD
	22:                 {vcpu.Privileged, fInsn}, // VMPTRST
	23:                 {vcpu.Privileged, fInsn}, // VMREAD
	24:                 {vcpu.Privileged, fInsn}, // VMRESUME
	25:                 {vcpu.Privileged, fInsn}, // VMWRITE
	26:                 {vcpu.Privileged, fInsn}, // VMXOFF
	27:                 {vcpu.Privileged, fInsn}, // VMXON
	reasonCR:           {vcpu.CRWrite, fCR},
	reasonDR:           {vcpu.DRAccess, fEvent},
	reasonIO:           {vcpu.IO, fIO},
	reasonRDMSR:        {vcpu.RDMSR, fInsn},
	reasonWRMSR:        {vcpu.WRMSR, fInsn},
	36:                 {vcpu.Monitor, fInsn}, // MWAIT
	39:                 {vcpu.Monitor, fInsn}, // MONITOR
	40:                 {vcpu.Pause, fInsn},
	reasonTPR:          {vcpu.Window, fOwn},
	reasonEOI:          {vcpu.APICWrite, fAPIC},
	reasonEPTViolation: {vcpu.Memory, fEPT},
	50:                 {vcpu.Privileged, fInsn}, // INVEPT
	51:                 {vcpu.TSC, fInsn},        // RDTSCP
	reasonTimer:        {vcpu.Tick, fEvent},      // see configure
	53:                 {vcpu.Privileged, fInsn}, // INVVPID
	54:                 {vcpu.Cache, fInsn},      // WBINVD
	55:                 {vcpu.XSETBV, fInsn},
	reasonAPICWrite:    {vcpu.APICWrite, fAPIC},
	59:                 {vcpu.Privileged, fInsn}, // VMFUNC
	reasonBusLock:      {vcpu.BusLock, fEvent},   // a trap: RIP is behind the instruction
	reasonNotify:       {vcpu.Notify, fNotify},
}

// quick has, at the low byte of an exit reason, the neutral reason of those that Run
// translates by itself: frequent ones of form fInsn, IN and OUT. Of those that have
// higher bits, failed entries and ours, none is here.
var quick = [256]uint64{
	reasonCPUID:  uint64(vcpu.CPUID),
	reasonHLT:    uint64(vcpu.HLT),
	reasonVMCALL: uint64(vcpu.Hypercall),
	reasonRDMSR:  uint64(vcpu.RDMSR),
	reasonWRMSR:  uint64(vcpu.WRMSR),
	reasonIO:     uint64(vcpu.IO), // but for INS and OUTS
}
