// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"unsafe"

	"ringo/hv/vcpu"
	"ringo/mm"
)

// vmcbAt, frameAt and costsAt give typed access to pages of Env.Pages.
//
// Preconditions: a is page-aligned memory of this vCPU (frameAt: at least
// frameBytes of it), mapped for as long as the result is used.
func vmcbAt(env *vcpu.Env, a mm.HPA) *vmcb {
	// SAFETY: Env.Virt returns the hypervisor's mapping of its own page, which
	// lies outside the Go heap; vmcb is one page without pointers.
	return (*vmcb)(unsafe.Add(nil, env.Virt(a)))
}

func frameAt(env *vcpu.Env, a mm.HPA) *frame {
	// SAFETY: as above; frame has no pointers, and the caller allocated
	// enough pages for it and the FPU image that begins at its end.
	return (*frame)(unsafe.Add(nil, env.Virt(a)))
}

func costsAt(env *vcpu.Env, a mm.HPA) *vcpu.Costs {
	// SAFETY: as above; the costs have no pointers and fit into a page.
	return (*vcpu.Costs)(unsafe.Add(nil, env.Virt(a)))
}

// saveWords is the state save area of b as words, for scrubbing.
func saveWords(b *vmcb) []uint64 {
	// SAFETY: vmcb is 4096 bytes and 8-byte aligned; saveEnd*8 is within.
	return (*[mm.PageSize / 8]uint64)(unsafe.Pointer(b))[saveStart:saveEnd]
}
