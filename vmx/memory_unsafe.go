// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"unsafe"

	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
)

// The layout that the entry code relies on: a wrong offset is an index out of
// range at compile time.
//
// SAFETY: Offsetof and Sizeof read no memory.
var (
	_ = [vcpu.RecordBytes - unsafe.Sizeof(VCPU{})]struct{}{}
	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.fpu)%64]
	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.fpu)+vcpu.FPULegacy+vcpu.FPUHeader-unsafe.Sizeof(frame{})]
)

// frameAt gives typed access to pages of Env.Pages.
//
// Preconditions: a is page-aligned memory of this vCPU, enough for the frame and
// the FPU image at its end, mapped for as long as the result is used.
func frameAt(env *vcpu.Env, a mm.HPA) *frame {
	// SAFETY: Env.Virt returns the hypervisor's mapping of its own page, which
	// lies outside the Go heap; frame has no pointers.
	return (*frame)(unsafe.Add(nil, env.Virt(a)))
}

// virtualAPICAt does the same for the virtual-APIC page.
func virtualAPICAt(env *vcpu.Env, a mm.HPA) *x86.APICPage {
	// SAFETY: as above, for one page.
	return (*x86.APICPage)(unsafe.Add(nil, env.Virt(a)))
}

// costsAt does the same for the page of the costs.
func costsAt(env *vcpu.Env, a mm.HPA) *vcpu.Costs {
	// SAFETY: as above, for less than a page.
	return (*vcpu.Costs)(unsafe.Add(nil, env.Virt(a)))
}

// descriptorBase is the base of the TSS whose selector in the GDT at gdt is sel
// (SDM Vol. 3, "TSS Descriptor in 64-bit Mode").
func descriptorBase(gdt uint64, sel uint16) uint64 {
	// SAFETY: gdt and sel are the CPU's own, in use: the descriptor, 16 bytes,
	// is mapped.
	d := (*[2]uint64)(unsafe.Add(nil, uintptr(gdt)+uintptr(sel&^7)))
	return d[0]>>16&0xff_ffff | d[0]>>56<<24 | d[1]<<32
}
