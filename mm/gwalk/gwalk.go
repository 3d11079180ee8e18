// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package gwalk translates guest virtual addresses as the guest's CPU would:
// no paging, 32-bit, PAE, 4-level and 5-level paging, with permissions, reserved
// bits and the error code of the page fault (SDM Vol. 3, "Paging"; APM Vol. 2,
// "Page Translation and Protection"). Protection keys are not modelled: guests
// are not offered them.
//
//	CR3 -> PML4 [47:39] -> PDPT [38:30] -> PD [29:21] -> PT [20:12] -> page [11:0]
//	                                 \ 1 GiB     \ 2 MiB
//	CR3 -> PDPT [31:30] (4 entries) -> PD [29:21] -> PT [20:12]          (PAE)
//	CR3 -> PD [31:22] (4-byte entries; 4 MiB leaf) -> PT [21:12]         (32-bit)
//
// Nothing here allocates. Tables are guest memory: every entry is read once.
package gwalk

import (
	"ringo/hv/x86"
	"ringo/mm"
)

// Memory is a guest's RAM. All methods report false where there is none (a
// device, a hole), and accept any address.
type Memory interface {
	Read64(a mm.GPA) (v uint64, ok bool)
	Read32(a mm.GPA) (v uint32, ok bool)
	// Read copies len(b) bytes at a, which do not cross a 4 KiB boundary.
	Read(a mm.GPA, b []byte) bool
}

// Marker sets bits of a table entry of 4 or 8 bytes at a atomically, if it
// still is old. It reports false if it is not. An entry in memory that cannot be
// written stays as it is.
type Marker interface {
	Mark(a mm.GPA, size uint8, old, bits uint64) bool
}

// Regime is the state of a CPU that decides how it translates.
type Regime struct {
	CR0, CR3, CR4, EFER uint64
	PhysBits            uint8 // MAXPHYADDR of the guest's CPUID, 32 to 52
	Page1G              bool  // 1 GiB pages exist
	// Marker, if not nil, sets accessed and dirty bits of successful walks.
	Marker Marker
}

// Access is what is attempted: a combination of bits, none meaning a read by
// the supervisor.
type Access uint8

// Bits of [Access]. Write and Fetch exclude each other.
const (
	Write Access = 1 << iota
	Fetch
	User   // CPL is 3
	AC     // RFLAGS.AC is set, which lifts SMAP
	System // an access that is the supervisor's whatever CPL and AC are: to GDT, IDT, TSS
)

// Kind is how a translation ended.
type Kind uint8

// Kinds.
const (
	OK           Kind = iota
	PageFault         // inject #PF with Fault.Err, CR2 = Fault.Addr
	NonCanonical      // inject #GP(0), or #SS(0) for an access through SS
	Unbacked          // Fault.GPA is not RAM: a table there, or the data of ReadVirtual
)

// Fault is why a translation did not succeed; the zero value means it did.
type Fault struct {
	Kind Kind
	Err  uint32 // error code of the page fault
	Addr mm.GVA // first address that fails
	GPA  mm.GPA // Kind Unbacked
}

// Bits of entries, the same in all formats (SDM Vol. 3, Tables "Format of a
// Page-Table Entry that Maps a 4-KByte Page" and neighbours).
const (
	entryP  = 1 << 0
	entryRW = 1 << 1
	entryUS = 1 << 2
	entryA  = 1 << 5
	entryD  = 1 << 6
	entryPS = 1 << 7
	entryNX = 1 << 63
)

// Long reports whether addresses have 64 bits (a 64-bit code segment assumed).
func (r *Regime) Long() bool { return r.CR0&x86.CR0PG != 0 && r.EFER&x86.EFERLMA != 0 }

// Path is the entries that a successful walk has read, from the root down, as
// it left them. While all of them keep their values, the walk has the same end.
type Path struct {
	Entry [5]Entry
	Len   int
}

// Entry is a table entry of Size bytes, 4 or 8, at At.
type Entry struct {
	At    mm.GPA
	Value uint64
	Size  uint8
	noA   bool // it has no accessed bit (PDPT of PAE)
}

// Translate returns the guest physical address of va.
func (r *Regime) Translate(m Memory, va mm.GVA, acc Access) (mm.GPA, Fault) {
	var w walk
	return w.translate(r, m, va, acc)
}

// Walk is Translate, and tells in p which way it went: no way without paging.
func (r *Regime) Walk(m Memory, va mm.GVA, acc Access, p *Path) (mm.GPA, Fault) {
	var w walk
	gpa, f := w.translate(r, m, va, acc)
	*p = w.path
	return gpa, f
}

func (w *walk) translate(r *Regime, m Memory, va mm.GVA, acc Access) (mm.GPA, Fault) {
	if !r.Long() {
		va &= 0xffff_ffff
	} else if !canonical(va, r.levels()) {
		return 0, Fault{Kind: NonCanonical, Addr: va}
	}
	if r.CR0&x86.CR0PG == 0 {
		return mm.GPA(va), Fault{}
	}
	w.r, w.m, w.va, w.acc = r, m, va, acc
	// Another vCPU may change entries between reading and marking them.
	for range 8 {
		w.start()
		w.run()
		if w.fault.Kind == OK && r.Marker != nil && !w.mark() {
			continue
		}
		break
	}
	if w.fault.Kind != OK {
		w.fault.Addr = va
		return 0, w.fault
	}
	return w.gpa, Fault{}
}

// The bits of the control registers that decide about a translation. They are at
// different places, so that one word holds all of them, and the access.
const (
	keyCR0    = x86.CR0PG | x86.CR0WP
	keyCR4    = x86.CR4PSE | x86.CR4PAE | x86.CR4LA57 | x86.CR4SMEP | x86.CR4SMAP
	keyEFER   = x86.EFERLMA | x86.EFERNXE
	keyAccess = 32
)

// Compile-time check: no two of them share a bit.
var _ = [1]struct{}{}[keyCR0&keyCR4|keyCR0&keyEFER|keyCR4&keyEFER]

// Key is all that decides about a walk besides the address, CR3, the tables and
// what the processor is: PhysBits and Page1G.
func (r *Regime) Key(acc Access) uint64 {
	return r.CR0&keyCR0 | r.CR4&keyCR4 | r.EFER&keyEFER | uint64(acc)<<keyAccess
}

func (r *Regime) levels() int {
	if r.CR4&x86.CR4LA57 != 0 {
		return 5
	}
	return 4
}

func canonical(va mm.GVA, levels int) bool {
	shift := 64 - (12 + 9*levels)
	return mm.GVA(int64(va)<<shift>>shift) == va
}

// nx reports whether bit 63 of entries forbids execution (and is not reserved).
func (r *Regime) nx() bool {
	return r.EFER&x86.EFERNXE != 0 && (r.CR4&x86.CR4PAE != 0 || r.EFER&x86.EFERLMA != 0)
}

// errorCode returns the part of the error code that the access alone decides
// (SDM Vol. 3, "Page-Fault Exceptions").
func (r *Regime) errorCode(acc Access) uint32 {
	var e uint32
	if acc&Write != 0 {
		e |= x86.PFWrite
	}
	if acc.user() {
		e |= x86.PFUser
	}
	if acc&Fetch != 0 && (r.nx() || r.CR4&x86.CR4SMEP != 0) {
		e |= x86.PFFetch
	}
	return e
}

func (a Access) user() bool { return a&(User|System) == User }
