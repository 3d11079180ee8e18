// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package amdvi

import (
	"fmt"

	"ringo/hv/internal/iommu/iommutest"
	"ringo/mm"
)

// fake is a unit as the manual has it: it works off its commands when the tail moves,
// keeps a log of them, and logs events where it was told to.
type fake struct {
	iommutest.Registers
	h     *iommutest.Host
	log   []string
	stuck bool
	sts   uint64
}

// fakeFeatures are QEMU 7.2's.
const fakeFeatures = 0x29d3

func newFake(h *iommutest.Host, features uint64) *fake {
	f := &fake{h: h}
	f.Set(regFeatures, features)
	f.Behave = f.behave
	return f
}

func (f *fake) behave(reg uint32, v uint64) {
	switch reg {
	case regControl:
		f.log = append(f.log, fmt.Sprintf("control %#x", v))
		f.sts &^= stsRunning
		if v&ctlEnable != 0 && v&(ctlEvents|ctlCommands) == ctlEvents|ctlCommands {
			f.sts |= stsRunning
		}
	case regStatus:
		f.sts &^= v & (stsOverflow | stsEvent)
	case regCmdTail:
		f.work()
	}
	f.Set(regStatus, f.sts)
}

// work does what is in the ring.
func (f *fake) work() {
	if f.stuck || f.sts&stsRunning == 0 {
		return
	}
	ring := mm.HPA(f.Get(regCommands) & 0xf_ffff_ffff_f000)
	for at := f.Get(regCmdHead); at != f.Get(regCmdTail); at = (at + 16) % mm.PageSize {
		lo, hi := f.h.Mem.Load64(ring+mm.HPA(at)), f.h.Mem.Load64(ring+mm.HPA(at)+8)
		if lo>>60 == 1 {
			f.h.Mem.Store64(mm.HPA(lo&0xf_ffff_ffff_fff8), hi)
		} else {
			f.log = append(f.log, fmt.Sprintf("%#x %#x", lo, hi))
		}
		f.Set(regCmdHead, (at+16)%mm.PageSize)
	}
}

func (f *fake) take() []string {
	l := f.log
	f.log = nil
	return l
}

// event logs one; with late the tail moves before the entry is there.
func (f *fake) event(lo, hi uint64, late bool) {
	tail := f.Get(regEventTail)
	if !late {
		at := mm.HPA(f.Get(regEvents)&0xf_ffff_ffff_f000) + mm.HPA(tail)
		f.h.Mem.Store64(at+8, hi)
		f.h.Mem.Store64(at, lo)
	}
	f.Set(regEventTail, (tail+16)%mm.PageSize)
	f.sts |= stsEvent
	f.Set(regStatus, f.sts)
}
