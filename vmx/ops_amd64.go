// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// The instructions of the extension (SDM Vol. 3, "VMX Instruction Reference").
// Those with a result return 0 when the instruction failed. All need VMX
// operation, all but vmxon, vmclear and vmptrld a current VMCS as well.

func vmread(field uint64) uint64
func vmwrite(field, val uint64) uint64

// vmreads reads, for each bit i of mask, fields[i] to vals[i].
//
//go:noescape
func vmreads(fields *[numSlots]uint32, vals *[numSlots]uint64, mask uint64)

// vmleave reads the slots of fetching to vals, and the MSRs of list to live, and is
// vmclear then.
//
//go:noescape
func vmleave(vals *[numSlots]uint64, list *[numLive]uint32, live *[numLive]uint64, pa uint64) uint64

// vmpeek is vmreads, with a mask that is not 0, of the VMCS at physical address pa,
// which is on no CPU, and is on none afterwards. It returns 0, too, where the CPU is
// not in VMX operation.
//
//go:noescape
func vmpeek(fields *[numSlots]uint32, vals *[numSlots]uint64, mask, pa uint64) uint64

// vmenter writes the MSRs of list and is vmptrld then.
//
//go:noescape
func vmenter(list *[numLive]uint32, live *[numLive]uint64, pa uint64) uint64

// vmreadViolation reads the slots of fetching to vals, and to f the guest physical
// address, the IDT-vectoring information and the access rights of SS.
//
//go:noescape
func vmreadViolation(vals *[numSlots]uint64, f *frame)

// vmwrites writes, for each bit i of mask, vals[i] to fields[i]. mask is not 0.
//
//go:noescape
func vmwrites(fields *[numSlots]uint32, vals *[numSlots]uint64, mask uint64) uint64

// vmclear writes the VMCS at physical address pa back to memory: it is then on
// no CPU, and in the state clear. vmptrld makes it the current one.
func vmclear(pa uint64) uint64
func vmptrld(pa uint64) uint64

func vmxon(pa uint64) uint64

// Kinds of invept and invvpid.
const (
	invSingle = 1
	invAll    = 2
)

func invept(kind, eptp uint64)
func invvpid(kind, vpid uint64)

// selectors returns the segment selectors in force.
func selectors() (es, cs, ss, ds, fs, gs, tr uint16)
