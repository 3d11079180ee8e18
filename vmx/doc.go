// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vmx is the VT-x backend of the vCPU seam: it enters guests under
// extended page tables, and translates their exits. It decides no policy.
//
// A vCPU is four things: its VMCS, which only the CPU can read while it is
// active there; its frame (what the entry code keeps: general-purpose registers,
// RIP, x87/SSE/AVX state); its virtual-APIC page (CR8, and the local APIC where
// the CPU virtualizes it, see apic.go); these three in physically backed pages of
// the hypervisor, since the entry code runs where a page fault would be fatal;
// and the Go object [VCPU] with the bookkeeping and a cache of guest-state fields
// (slot.go).
//
// One run, in the order of the code:
//
//	Run ─ prepare (only when something changed: CPU, fields, flushes, events,
//	      DRs, the virtual-APIC page)
//	    ─ enter_amd64.s: CLI, preemption and kick words, FPU in, CR2, RIP,
//	      GPRs, VMRESUME, GPRs, five or six VMREADs, XCR0, FPU out, STI
//	    ─ frequent exits are translated at once; the others by
//	      finish: event bookkeeping, exit reason table -> vcpu.Exit
//
// # Moving
//
// A VMCS is active on at most one CPU, and only that CPU can clear it (SDM Vol.
// 3, "Initializing a VMCS"). So it is cleared whenever the vCPU leaves its CPU:
// by Leave, which the run loop calls when the vCPU blocks, yields or parks, or
// when another vCPU is entered there. What is often looked at afterwards, and may
// be from any CPU (slot.go, fetching), is read first. Who wants more of a vCPU that
// does not run makes its VMCS the current one of his CPU for a moment. So no CPU ever
// has to interrupt another one, or wait for it, to run a vCPU or to inspect it.
//
// # MSRs
//
// The CPU does not switch STAR, LSTAR, CSTAR, SFMASK and KernelGSBase. The guest
// uses the real ones without exits. The host runs with EFER.SCE=0 (HOST_IA32_EFER
// at each exit), so that a SYSCALL of the Go runtime is an invalid opcode, which
// the kernel layer knows, and what a guest left in LSTAR is never jumped to.
//
// Manual: Intel 64 and IA-32 Architectures Software Developer's Manual Volume 3
// (SDM), chapters on virtual machine extensions, and appendices on capabilities,
// field encodings and exit reasons.
package vmx
