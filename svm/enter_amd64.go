// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

// The entry code, one per way of saving the x87, SSE and AVX state. Each enters
// the guest of f and returns after an exit. When Go wants to preempt this goroutine,
// or f was kicked, it returns without entering, with the exit code exitRefused.
//
// Preconditions: EFER.SVME, HSAVE and f.host are this CPU's (Backend.Enable);
// interrupts are on; VMCB and frame are mapped without demand paging.

//go:noescape
func enterFXSAVE(f *frame)

//go:noescape
func enterXSAVE(f *frame)

//go:noescape
func enterXSAVEOPT(f *frame)

// vmsave stores the host state that VMLOAD will restore to the page at physical
// address pa: FS, GS, TR, LDTR, KernelGSBase, STAR, LSTAR, CSTAR, SFMASK,
// SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP.
func vmsave(pa uint64)
