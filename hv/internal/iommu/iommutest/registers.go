// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package iommutest is what tests of IOMMUs have in common: registers with a script of
// what goes wrong, and a host whose memory is a test's.
package iommutest

import (
	"fmt"
	"testing"

	"ringo/hv/internal/iommu"
	"ringo/mm"
	"ringo/mm/phys/phystest"
)

// Registers are the registers of a unit. Behave is called for each store, after it;
// Script may replace what the nth load of a register (from 1) returns.
type Registers struct {
	Words  map[uint32]uint32
	Behave func(reg uint32, v uint64)
	Script func(reg uint32, n int, v uint64) uint64
	loads  map[uint32]int
	// Gone: nothing answers any more.
	Gone bool
}

var _ iommu.Registers = (*Registers)(nil)

// Get and Set are the words without script and behaviour.
func (r *Registers) Get(reg uint32) uint64 {
	return uint64(r.Words[reg]) | uint64(r.Words[reg+4])<<32
}

// Set is described at [Registers.Get].
func (r *Registers) Set(reg uint32, v uint64) {
	if r.Words == nil {
		r.Words = map[uint32]uint32{}
	}
	r.Words[reg], r.Words[reg+4] = uint32(v), uint32(v>>32)
}

func (r *Registers) script(reg uint32, v uint64) uint64 {
	if r.loads == nil {
		r.loads = map[uint32]int{}
	}
	r.loads[reg]++
	switch {
	case r.Gone:
		return ^uint64(0)
	case r.Script != nil:
		return r.Script(reg, r.loads[reg], v)
	}
	return v
}

// Load32 implements iommu.Registers.
func (r *Registers) Load32(reg uint32) uint32 { return uint32(r.script(reg, uint64(r.Words[reg]))) }

// Load64 implements iommu.Registers.
func (r *Registers) Load64(reg uint32) uint64 { return r.script(reg, r.Get(reg)) }

// Store32 implements iommu.Registers.
func (r *Registers) Store32(reg, v uint32) {
	if !r.Gone {
		r.Set(reg, uint64(v)|r.Get(reg)&^0xffffffff)
		r.Behave(reg, uint64(v))
	}
}

// Store64 implements iommu.Registers.
func (r *Registers) Store64(reg uint32, v uint64) {
	if !r.Gone {
		r.Set(reg, v)
		r.Behave(reg, v)
	}
}

// Base is where a [Host]'s pages begin.
const Base = mm.HPA(0x100_0000)

// Host is a hypervisor for units.
type Host struct {
	iommu.Host
	Mem *phystest.Memory
	// Back is what was written back since it was emptied, by the address of the
	// quadword.
	Back map[mm.HPA]bool
	next mm.HPA
}

// NewHost returns a host with 16 MiB for pages.
func NewHost(t testing.TB) *Host {
	h := &Host{Mem: phystest.New(t).Declare(Base, 16<<20), Back: map[mm.HPA]bool{}, next: Base}
	h.Mem.Quiet(true)
	h.Host = iommu.Host{
		Memory: h.Mem,
		WriteBack: func(a mm.HPA, n uint64) {
			for at := a &^ 7; at < a+mm.HPA(n); at += 8 {
				h.Back[at] = true
			}
		},
		Pages: func(n int) (mm.HPA, error) {
			a := mm.AlignUp(h.next, uint64(n)*mm.PageSize)
			h.next = a + mm.HPA(n)*mm.PageSize
			return a, nil
		},
		Within: func(done func() bool) bool {
			for range 10 {
				if done() {
					return true
				}
			}
			return false
		},
	}
	return h
}

// AllocTable and FreeTable make it a pt.Allocator.
func (h *Host) AllocTable() (mm.HPA, error) { return h.Pages(1) }

// FreeTable is described at [Host.AllocTable].
func (h *Host) FreeTable(a mm.HPA) {}

// Quads formats two quadwords of memory.
func (h *Host) Quads(a mm.HPA) string {
	return fmt.Sprintf("%#x %#x", h.Mem.Load64(a), h.Mem.Load64(a+8))
}
