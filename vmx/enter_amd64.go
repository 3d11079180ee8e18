// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// The entry code, one per way of saving the x87, SSE and AVX state. Each enters
// the guest of f and returns 1 after an exit or a failed entry, or returns 0
// without trying because Go wants to preempt this goroutine or f was kicked.
//
// Preconditions: the VMCS of f is current; interrupts are on; frame is mapped
// without demand paging.

//go:noescape
func enterFXSAVE(f *frame) uint64

//go:noescape
func enterXSAVE(f *frame) uint64

//go:noescape
func enterXSAVEOPT(f *frame) uint64

// exitAddress is where exits continue: HOST_RIP.
func exitAddress() uint64
