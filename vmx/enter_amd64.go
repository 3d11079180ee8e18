// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// The entry code, one per way of saving the x87, SSE and AVX state. Each enters
// the guest of f and returns after an exit or a failed entry. When Go wants to
// preempt this goroutine, or f was kicked, it returns without trying, with the
// reason reasonRefused.
//
// Preconditions: the VMCS of f is current; interrupts are on; frame is mapped
// without demand paging.

//go:noescape
func enterFXSAVE(f *frame)

//go:noescape
func enterXSAVE(f *frame)

//go:noescape
func enterXSAVEOPT(f *frame)

// exitAddress is where exits continue: HOST_RIP; exitSecureAddress is that for
// enterXSAVE.
func exitAddress() uint64
func exitSecureAddress() uint64
