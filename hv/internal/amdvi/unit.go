// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package amdvi

import (
	"ringo/hv/internal/iommu"
	"ringo/mm"
)

// Registers ("IOMMU MMIO Registers").
const (
	regDevices   = 0x00
	regCommands  = 0x08
	regEvents    = 0x10
	regControl   = 0x18
	regFeatures  = 0x30
	regCmdHead   = 0x2000
	regCmdTail   = 0x2008
	regEventHead = 0x2010
	regEventTail = 0x2018
	regStatus    = 0x2020
)

// Controls.
const (
	ctlEnable   = 1 << 0
	ctlEvents   = 1 << 2
	ctlCoherent = 1 << 10
	ctlCommands = 1 << 12

	stsOverflow = 1 << 0
	stsEvent    = 1 << 1
	stsRunning  = 3 << 3 // event log, command buffer

	featInvalidateAll = 1 << 6
)

// fromFlags is what of a unit's flags in the IVRS belongs into its control register
// (tunnel translation, posted writes, isochronous).
func fromFlags(flags uint8) (v uint64) {
	f := uint64(flags)
	return f&1<<1 | f>>1&1<<8 | f>>2&1<<9 | f>>3&1<<11
}

// Rings are one page of entries of 16 bytes; the length is 2^8.
const (
	ringEntries = mm.PageSize / 16
	ringLength  = 8 << 56
)

// unit is one IOMMU.
type unit struct {
	regs     iommu.Registers
	conf     Unit
	features uint64
	commands mm.HPA
	events   mm.HPA
	status   mm.HPA // what COMPLETION_WAIT writes
	tail     uint64
	dead     bool
}

// stop turns everything off.
func (u *unit) stop(h *iommu.Host) bool {
	u.regs.Store64(regControl, 0)
	return h.Within(func() bool { return u.regs.Load64(regStatus)&stsRunning == 0 })
}

// start gives the unit its tables and turns translation on. What it remembers from
// before goes at once: until then it has no devices to serve but those that firmware
// left, which hv has stopped.
func (u *unit) start(devices mm.HPA, o *Units) bool {
	u.tail, u.dead = 0, false
	u.regs.Store64(regDevices, uint64(devices)|devicePages-1)
	u.regs.Store64(regCommands, uint64(u.commands)|ringLength)
	u.regs.Store64(regEvents, uint64(u.events)|ringLength)
	for _, r := range [...]uint32{regCmdHead, regCmdTail, regEventHead, regEventTail} {
		u.regs.Store64(r, 0)
	}
	u.regs.Store64(regStatus, stsOverflow|stsEvent) // cleared by ones
	control := fromFlags(u.conf.Flags) | ctlEvents | ctlCommands | ctlCoherent
	u.regs.Store64(regControl, control)
	u.regs.Store64(regControl, control|ctlEnable)
	if !o.host.Within(func() bool { return u.regs.Load64(regStatus)&stsRunning == stsRunning }) {
		return false
	}
	u.forget(o)
	return true
}

// forget makes the unit forget all that it knows.
func (u *unit) forget(o *Units) {
	if u.features&featInvalidateAll != 0 {
		u.submit(cmdAll, 0, o)
		return
	}
	for id := range uint64(1 << 16) {
		u.submit(cmdDevice|id, 0, o)
		u.submit(cmdInterrupts|id, 0, o)
	}
	u.submit(cmdPages, wholeTag, o) // of tag 0; others have not been used
}

// submit puts a command into the ring. A ring that stays full for a second is that of
// a unit that has stopped.
func (u *unit) submit(lo, hi uint64, o *Units) {
	if u.dead {
		return
	}
	next := (u.tail + 1) % ringEntries
	room := func() bool { return u.regs.Load64(regCmdHead)/16 != next }
	if !room() && !o.host.Within(room) {
		u.dead = true
		return
	}
	at := u.commands + mm.HPA(u.tail*16)
	o.host.Memory.Store64(at, lo)
	o.host.Memory.Store64(at+8, hi)
	u.tail = next
	u.regs.Store64(regCmdTail, u.tail*16)
}
