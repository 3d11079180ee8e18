// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package frame is the hypervisor's allocator of physical memory: a buddy
// system from 4 KiB to 1 GiB that knows the owner of every frame and accounts
// to the byte.
//
//	pool, err := frame.Boot(direct, usable)       // metadata goes into the RAM itself
//	a, err := pool.Pages(1, frame.HV, frame.Control)
//	b, err := pool.Extent(gpa, left, frame.Domain(3), frame.RAM)
//	for pool.Scrub(&b) {}                          // bounded steps
//	for size > 0 { n := pool.Free(a, size, owner); a += n; size -= n }
//
// # Metadata
//
// The address space is cut into sections of 1 GiB; those with RAM are numbered,
// and a frame's index is its section's number times 2^18 plus its place there.
// So holes cost nothing, and no block crosses a section.
//
//	frame words   4 bytes per frame: owner 16, type 4, references 12 bits
//	bitmaps       one per order: bit i says that block i is free (2 bits a frame)
//
// Nothing else grows with the RAM, and nothing is linear in the RAM but
// clearing the metadata at the start.
//
// # Life of a frame
//
// Every frame has a count of references: one of its owner, and one for each
// [Pool.Ref], by which the hypervisor notes that it has mapped the frame
// elsewhere too (a domain's memory in dom0). It is freed when the last one
// goes. Free clears memory before it can be allocated again. Memory that was
// never allocated holds whatever the firmware left: blocks know whether they
// are clear.
//
// Freeing what is free already, or what belongs to somebody else, is a broken
// invariant and panics. With -tags invariants, free memory is filled with a
// pattern, which is checked when it is allocated.
package frame

import "errors"

// Owner is who a frame belongs to.
type Owner uint16

// The owners that are no domains.
const (
	Free Owner = 0 // nobody: free, or no RAM at all
	HV   Owner = 1 // the hypervisor
	// Lent has the frames that their owner has freed while others still hold
	// references.
	Lent Owner = 2

	domains Owner = 16
)

// Domain returns the owner that stands for domain id, 0 to 65519.
func Domain(id int) Owner {
	if id < 0 || id > 0xffff-int(domains) {
		panic("frame: domain number out of range")
	}
	return domains + Owner(id)
}

// Type says what a frame is used for, 1 to 15.
type Type uint8

// The types. Only RAM can be referenced by others, so that tables and control
// structures are never mapped into a guest.
const (
	RAM     Type = 1 // memory of a guest
	Table   Type = 2 // page tables
	Control Type = 3 // structures of the CPU: VMCB, bitmaps, save areas
	Data    Type = 4 // other data of the hypervisor
	Meta    Type = 5 // the metadata of this package
	Failed  Type = 6 // memory that is never used again, see [Pool.Retire]
)

// MaxOrder is the order of the largest block: 4 KiB << 18 = 1 GiB.
const MaxOrder = 18

// Step is the most memory in bytes that Free, Unref and Scrub work on per call.
const Step = 2 << 20

// Errors.
var (
	ErrNoMemory = errors.New("frame: not enough free memory")
	ErrRange    = errors.New("frame: range empty, unaligned, overlapping or out of bounds")
	ErrOwner    = errors.New("frame: not memory of that owner")
	ErrRefs     = errors.New("frame: too many references to a frame")
)

// A frame word. The word of a free block's first frame is 0 or freeClear; of
// all other free frames it is 0.
const (
	ownerShift = 16
	typeShift  = 12
	refMask    = 1<<typeShift - 1
	maxRefs    = refMask

	freeClear = 1
)

func word(o Owner, t Type, refs uint32) uint32 {
	return uint32(o)<<ownerShift | uint32(t&15)<<typeShift | refs
}

func ownerOf(w uint32) Owner { return Owner(w >> ownerShift) }
func typeOf(w uint32) Type   { return Type(w >> typeShift & 15) }
func refsOf(w uint32) uint32 { return w & refMask }
