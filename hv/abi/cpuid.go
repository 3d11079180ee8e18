// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

// Hypervisor CPUID leaves. Ringo's own signature stands at the first base; the
// KVM-compatible paravirtual leaves, which every Linux knows, at the second; the
// other way round for domains created with CreateKVM.
const (
	CPUIDBase    = 0x4000_0000
	CPUIDKVMBase = 0x4000_0100

	// Signature is in EBX, ECX, EDX of leaf CPUIDBase.
	Signature = "RingoRingo\x00\x00"
	// SignatureKVM is in EBX, ECX, EDX of leaf CPUIDKVMBase.
	SignatureKVM = "KVMKVMKVM\x00\x00\x00"
)

// MSRs of KVM's paravirtual clock, of steal time and of PV EOI (Linux,
// Documentation/virt/kvm/x86/msr.rst).
const (
	MSRKVMWallClock  = 0x4b56_4d00
	MSRKVMSystemTime = 0x4b56_4d01
	MSRKVMStealTime  = 0x4b56_4d03
	MSRKVMEOI        = 0x4b56_4d04
)
