// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package svm is the AMD-V backend of the vCPU seam: it enters guests under
// nested paging, and translates their exits. It decides no policy.
//
// A vCPU is three things: its VMCB (what the CPU defines), its frame (what the
// entry code keeps: general-purpose registers, x87/SSE/AVX state), both in
// physically backed pages of the hypervisor, since the entry code runs where a
// page fault would be fatal; and the Go object [VCPU] with the bookkeeping.
//
// One run, in the order of the code:
//
//	Run ─ prepare (only when something changed: CPU, ASID, events, DRs)
//	    ─ enter_amd64.s: CLGI, preemption and kick words, FPU in, VMLOAD,
//	      GPRs, VMRUN, VMSAVE, GPRs, XCR0, FPU out, VMLOAD host, STGI
//	    ─ finish: event bookkeeping, exit code table -> vcpu.Exit
//
// Manual: AMD64 Architecture Programmer's Manual Volume 2 (APM), chapter
// "Secure Virtual Machine" and Appendix B, "VMCB Layout".
package svm
