// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import "ringo/hv/vcpu"

// Exit codes (APM Vol. 2, Table C-1) that the package has a name for.
const (
	exitCRRead0   = 0x00
	exitCRWrite0  = 0x10
	exitDRRead0   = 0x20
	exitDRWrite0  = 0x30
	exitExcp0     = 0x40
	exitDB        = 0x41
	exitINTR      = 0x60
	exitNMI       = 0x61
	exitSMI       = 0x62
	exitVINTR     = 0x64
	exitCR0Sel    = 0x65
	exitCPUID     = 0x72
	exitIRET      = 0x74
	exitHLT       = 0x78
	exitIOIO      = 0x7b
	exitMSR       = 0x7c
	exitShutdown  = 0x7f
	exitVMMCALL   = 0x81
	exitICEBP     = 0x88
	exitNPF       = 0x400
	exitRefused   = 0x7fff_fff0 // ours: the guest was not entered
	exitBusLock   = 0xa5
	numSmallCodes = 0xa6
)

// form is what an exit code carries besides its reason.
type form uint8

const (
	fNone  form = iota // not a code of the table
	fEvent             // nothing
	fOwn               // finished by this package
	fInsn              // ended by an instruction: it has a length
	fMSR               // the same; EXITINFO1: 0 read, 1 write
	fCR                // the same; EXITINFO1 with decode assists
	fICEBP             // the same; a trap
	fIO
	fFERR
	fMem // a second-level fault
)

type codeInfo struct {
	reason vcpu.Reason
	form   form
}

// codes is Table C-1 from 60h on; below are the control registers, debug
// registers and exceptions. A zero form is a code that is not intercepted.
var codes = [numSmallCodes]codeInfo{
	exitINTR:     {vcpu.Interrupted, fEvent},
	exitNMI:      {vcpu.Interrupted, fEvent}, // the host's: taken at STGI
	exitSMI:      {vcpu.Interrupted, fEvent},
	0x63:         {vcpu.Init, fEvent},
	exitVINTR:    {vcpu.Window, fOwn},
	exitCR0Sel:   {vcpu.CRWrite, fCR},
	0x6e:         {vcpu.TSC, fInsn}, // RDTSC; on QEMU RDTSCP too
	0x6f:         {vcpu.RDPMC, fInsn},
	exitCPUID:    {vcpu.CPUID, fInsn},
	0x73:         {vcpu.Privileged, fInsn}, // RSM
	exitIRET:     {vcpu.Window, fOwn},
	0x76:         {vcpu.Cache, fInsn}, // INVD
	0x77:         {vcpu.Pause, fInsn},
	exitHLT:      {vcpu.HLT, fInsn},
	0x7a:         {vcpu.Privileged, fInsn}, // INVLPGA
	exitIOIO:     {vcpu.IO, fIO},
	exitMSR:      {vcpu.RDMSR, fMSR},
	0x7d:         {vcpu.TaskSwitch, fEvent},
	0x7e:         {vcpu.Exception, fFERR},
	exitShutdown: {vcpu.Shutdown, fEvent},
	0x80:         {vcpu.Privileged, fInsn}, // VMRUN
	exitVMMCALL:  {vcpu.Hypercall, fInsn},
	0x82:         {vcpu.Privileged, fInsn}, // VMLOAD
	0x83:         {vcpu.Privileged, fInsn}, // VMSAVE
	0x84:         {vcpu.Privileged, fInsn}, // STGI
	0x85:         {vcpu.Privileged, fInsn}, // CLGI
	0x86:         {vcpu.Privileged, fInsn}, // SKINIT
	0x87:         {vcpu.TSC, fInsn},        // RDTSCP
	exitICEBP:    {vcpu.Exception, fICEBP},
	0x89:         {vcpu.Cache, fInsn},   // WBINVD
	0x8a:         {vcpu.Monitor, fInsn}, // MONITOR
	0x8b:         {vcpu.Monitor, fInsn}, // MWAIT
	0x8c:         {vcpu.Monitor, fInsn}, // MWAIT, armed
	0x8d:         {vcpu.XSETBV, fInsn},
	0x8e:         {vcpu.Privileged, fInsn}, // RDPRU
	0xa0:         {vcpu.Privileged, fInsn}, // INVLPGB
	0xa1:         {vcpu.Privileged, fInsn}, // INVLPGB, illegal
	0xa3:         {vcpu.Privileged, fInsn}, // MCOMMIT
	0xa4:         {vcpu.Privileged, fInsn}, // TLBSYNC
	exitBusLock:  {vcpu.BusLock, fEvent},   // before the instruction
}

// quick has, at the low byte of a code, the reason of those that Run translates by
// itself: frequent ones of form fInsn, fMSR and fIO. What else has such a low byte is
// no code of instructions, and not here.
var quick = [256]uint64{
	exitCPUID:   uint64(vcpu.CPUID),
	exitHLT:     uint64(vcpu.HLT),
	exitIOIO:    uint64(vcpu.IO),
	exitMSR:     uint64(vcpu.RDMSR),
	exitVMMCALL: uint64(vcpu.Hypercall),
}
