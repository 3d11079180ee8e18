// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vtd

import (
	"errors"

	"ringo/hv/internal/iommu"
	"ringo/mm"
)

// Registers ("Register Descriptions").
const (
	regVersion   = 0x00
	regCap       = 0x08
	regECap      = 0x10
	regGCmd      = 0x18
	regGSts      = 0x1c
	regRoot      = 0x20
	regCCmd      = 0x28
	regFSts      = 0x34
	regFECtl     = 0x38
	regFEData    = 0x3c
	regFEAddr    = 0x40
	regFEUAddr   = 0x44
	regPMEn      = 0x64
	regQueueTail = 0x88
	regQueue     = 0x90
	regQueueHead = 0x80
	regIRTA      = 0xb8
)

// Global commands, and the states of the same bits ("Global Command Register").
const (
	gTranslate  = 1 << 31
	gSetRoot    = 1 << 30
	gWriteBack  = 1 << 27
	gQueue      = 1 << 26
	gRemap      = 1 << 25
	gSetIRTA    = 1 << 24
	gCompatible = 1 << 23 // messages of the format without an index pass
	// gSticky are the states that a command must repeat.
	gSticky = 0x96ffffff
)

// Capabilities.
const (
	capRWBF    = 1 << 4  // tables must be flushed by a command
	capCaching = 1 << 7  // absent entries are remembered as well
	cap39      = 1 << 9  // SAGAW: three levels
	cap48      = 1 << 10 // four levels
	cap2M      = 1 << 34
	cap1G      = 1 << 35

	ecapCoherent = 1 << 0 // tables are snooped
	ecapQueue    = 1 << 1
	ecapRemap    = 1 << 3
	ecapX2APIC   = 1 << 4
	ecapSnoop    = 1 << 7
)

// queueEntries is the length of the invalidation queue: one page of 16 bytes each.
const queueEntries = mm.PageSize / 16

// unit is one remapping unit.
type unit struct {
	regs      iommu.Registers
	base      mm.HPA
	segment   uint16
	cap, ecap uint64
	queue     mm.HPA
	status    mm.HPA // what wait descriptors write
	tail      uint64
	dead      bool
}

// probe reads what a unit can do, and refuses those that are not used.
func (u *unit) probe() error {
	u.cap, u.ecap = u.regs.Load64(regCap), u.regs.Load64(regECap)
	switch {
	case u.regs.Load32(regVersion) == ^uint32(0) || u.cap == 0 || u.cap == ^uint64(0):
		return errors.New("does not answer")
	case u.ecap&ecapQueue == 0:
		return errors.New("has no queued invalidation")
	case u.cap&(cap39|cap48) == 0:
		return errors.New("walks no tables of three or four levels")
	}
	return nil
}

// command changes one global setting and waits until it is so.
func (u *unit) command(bit uint32, on bool, h *iommu.Host) bool {
	state := u.regs.Load32(regGSts) & gSticky
	if on {
		u.regs.Store32(regGCmd, state|bit)
	} else {
		u.regs.Store32(regGCmd, state&^bit)
	}
	if bit == gWriteBack {
		on = false // the state is on while it is being done
	}
	return h.Within(func() bool { return u.regs.Load32(regGSts)&bit != 0 == on })
}

// stop ends what firmware has left on.
func (u *unit) stop(h *iommu.Host) bool {
	for _, bit := range [...]uint32{gTranslate, gRemap, gQueue} {
		if u.regs.Load32(regGSts)&bit != 0 && !u.command(bit, false, h) {
			return false
		}
	}
	u.regs.Store32(regFECtl, faultMasked)
	u.faults(func(iommu.Fault) {}) // old ones
	return true
}

// setRoot gives the unit its tables, and makes it forget others.
func (u *unit) setRoot(root mm.HPA, h *iommu.Host) bool {
	const (
		ccInvalidate, ccGlobal = 1 << 63, 1 << 61
		tlbInvalidate          = 1 << 63
		tlbGlobal              = 1 << 60
		tlbDrain               = 3 << 48
	)
	u.regs.Store64(regRoot, uint64(root))
	if !u.command(gSetRoot, true, h) {
		return false
	}
	if u.cap&capRWBF != 0 && !u.command(gWriteBack, true, h) {
		return false
	}
	u.regs.Store64(regCCmd, ccInvalidate|ccGlobal)
	if !h.Within(func() bool { return u.regs.Load64(regCCmd)&ccInvalidate == 0 }) {
		return false
	}
	iotlb := uint32(u.ecap>>8&0x3ff)*16 + 8
	u.regs.Store64(iotlb, tlbInvalidate|tlbGlobal|tlbDrain)
	return h.Within(func() bool { return u.regs.Load64(iotlb)&tlbInvalidate == 0 })
}

// openQueue starts queued invalidation.
func (u *unit) openQueue(h *iommu.Host) bool {
	u.tail, u.dead = 0, false
	u.regs.Store64(regQueueTail, 0)
	u.regs.Store64(regQueue, uint64(u.queue))
	return u.command(gQueue, true, h)
}

// submit puts a descriptor into the queue. A queue that stays full for a second is
// that of a unit that has stopped.
func (u *unit) submit(lo, hi uint64, o *Units) {
	if u.dead {
		return
	}
	next := (u.tail + 1) % queueEntries
	room := func() bool { return u.regs.Load64(regQueueHead)/16 != next }
	if !room() && !o.host.Within(room) {
		u.dead = true
		return
	}
	at := u.queue + mm.HPA(u.tail*16)
	o.mem.Store64(at, lo)
	o.mem.Store64(at+8, hi)
	u.tail = next
	u.regs.Store64(regQueueTail, u.tail*16)
}
