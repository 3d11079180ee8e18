// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package pt walks and edits page tables of four levels, or three, in physical
// memory: one walker for the formats [NPT] (AMD second level), [EPT] (Intel second
// level), [Host] (long mode), and [VTD] and [AMDVi] (IOMMUs).
//
//	f := pt.NPT(caps.HugePages1G)
//	t, err := pt.New(f, mem, alloc)
//	err = t.Map(gpa, hpa, size, pt.RWX)             // all or nothing
//	flush, err := t.Unmap(gpa, size)                // all or nothing
//	if flush.Any() { ... }                          // flush every TLB that knows t, then:
//	t.Reap()                                        // frees emptied tables
//	hpa, size, attr, ok := t.Lookup(gpa)            // exit path: no lock, no allocation
//
// An edit has two phases. The first walks the range, finds every reason to
// refuse and reserves every table frame that the second will need; the second
// cannot fail. So an edit that returns an error has changed nothing.
//
// Concurrency: edits (Map, Replace, Unmap, Protect, Reap, Free) need the lock
// of the tree's owner. Hardware walks and [Tables.Lookup] run at the same time:
// entries are written with single 64-bit stores, and a table is complete before
// an entry points to it. Unmap, Replace and Protect do not flush anything: they
// return what caches may still hold, and bump [Tables.Generation], which
// backends compare before they enter a guest.
//
// A table that an edit takes out of the tree stays allocated until
// [Tables.Reap], because paging-structure caches may still point to it. After
// an upgrade of permissions, or a Replace, a CPU may see one spurious fault:
// fault handlers look the address up and resume the guest if it is allowed.
package pt

import (
	"errors"
	"sync/atomic"

	"ringo/mm"
	"ringo/mm/phys"
)

// Addr is an input address of a tree: a [mm.GPA] for the second-level formats,
// a virtual address for the host's.
type Addr uint64

// Allocator supplies the frames of tables.
type Allocator interface {
	// AllocTable returns a 4 KiB frame below 2^52, not at address 0, with any
	// contents.
	AllocTable() (mm.HPA, error)
	// FreeTable takes a frame of AllocTable back, with any contents.
	FreeTable(a mm.HPA)
}

// Errors of edits. An edit may also return the error of [Allocator].
var (
	ErrRange  = errors.New("pt: address range empty, unaligned or out of bounds")
	ErrAttr   = errors.New("pt: attributes impossible in this format")
	ErrMapped = errors.New("pt: address is mapped already")
	ErrAbsent = errors.New("pt: address is not mapped")
)

// Tables is one tree of page tables. Make it with [New].
type Tables struct {
	f    *Format
	m    phys.Memory
	a    Allocator
	root mm.HPA

	gen    atomic.Uint64
	frames atomic.Int64 // tables that are allocated, retired ones included

	// Chains of frames, linked through their first word; 0 ends a chain. The
	// links are frame addresses, so as entries they are not present.
	spare   mm.HPA // reserved for the edit that is going on
	retired mm.HPA // out of the tree, waiting for Reap
}

// New returns an empty tree of format f whose tables live in m.
func New(f *Format, m phys.Memory, a Allocator) (*Tables, error) {
	t := &Tables{f: f, m: m, a: a}
	if err := t.reserve(1); err != nil {
		return nil, err
	}
	t.root = t.take()
	t.clear(t.root)
	return t, nil
}

// Root is the physical address of the top-level table.
func (t *Tables) Root() mm.HPA { return t.root }

// Format is the format of the tree.
func (t *Tables) Format() *Format { return t.f }

// Generation counts removals and downgrades of translations. Whoever caches
// translations (a TLB under an address-space tag) remembers the value from
// before it started to, and flushes when the value is another one. It is safe
// from any CPU.
func (t *Tables) Generation() uint64 { return t.gen.Load() }

// Generations is where Generation is kept, for those who read it at every turn.
func (t *Tables) Generations() *atomic.Uint64 { return &t.gen }

// Bytes is the memory that the tables take, those included that wait for
// [Tables.Reap].
func (t *Tables) Bytes() uint64 { return uint64(t.frames.Load()) * mm.PageSize }

// Reap frees the tables that edits have taken out of the tree and returns
// their number.
//
// Preconditions: every TLB and paging-structure cache that knew the tree was
// flushed after the last edit.
func (t *Tables) Reap() int {
	n := 0
	for t.retired != 0 {
		a := t.retired
		t.retired = mm.HPA(t.m.Load64(a))
		t.release(a)
		n++
	}
	return n
}

// Free releases every table, the root included. The tree must not be used
// afterwards.
//
// Preconditions: no CPU walks the tree, no TLB remembers it.
func (t *Tables) Free() {
	if t.root == 0 {
		return
	}
	t.retire(t.root, t.f.levels)
	t.root = 0
	t.gen.Add(1)
	t.Reap()
	if t.frames.Load() != 0 {
		panic("pt: tables leaked")
	}
}

// reserve puts n frames on the spare chain, or none.
func (t *Tables) reserve(n int) error {
	for range n {
		a, err := t.a.AllocTable()
		if err != nil {
			t.unreserve()
			return err
		}
		if a == 0 || !mm.Aligned(a, mm.PageSize) || uint64(a)&^addrMask != 0 {
			panic("pt: allocator returned an impossible table address")
		}
		t.frames.Add(1)
		t.m.Store64(a, uint64(t.spare))
		t.spare = a
	}
	return nil
}

// unreserve gives the spare chain back.
func (t *Tables) unreserve() {
	for t.spare != 0 {
		t.release(t.take())
	}
}

// take removes a frame from the spare chain. Its contents are undefined.
func (t *Tables) take() mm.HPA {
	a := t.spare
	if a == 0 {
		panic("pt: more tables needed than planned")
	}
	t.spare = mm.HPA(t.m.Load64(a))
	return a
}

// clear makes a table of no entries.
func (t *Tables) clear(a mm.HPA) {
	t.m.Zero(a, mm.PageSize)
	for i := uint64(0); t.f.empty != 0 && i < entries; i++ {
		t.m.Store64(slot(a, i), t.f.empty)
	}
}

func (t *Tables) release(a mm.HPA) {
	t.frames.Add(-1)
	t.a.FreeTable(a)
}

// retire moves the table at a and all tables below it to the retired chain.
// The caller has unlinked a and bumped the generation.
func (t *Tables) retire(a mm.HPA, level int) {
	if level > 1 {
		for i := range uint64(entries) {
			e := t.m.Load64(slot(a, i))
			if t.f.isTable(e, level) {
				t.retire(target(e, 1), level-1)
			}
		}
	}
	t.m.Store64(a, uint64(t.retired))
	t.retired = a
}
