// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package amdvi

import (
	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
	"ringo/mm"
)

// Events ("Event Logging").
const (
	evPageFault = 2
	evInvalid   = 8 // a request that is never allowed

	evInterrupt = 1 << 51
	evWrite     = 1 << 53
	evPermitted = 1 << 52 // PR: the entry was there, but not for this
)

var reasons = [...]string{
	1: "reserved bits in its device table entry", 2: "no memory is there for it",
	3: "the device table cannot be read", 4: "a table cannot be read", 5: "the unit does not understand a command",
	6: "a command cannot be read", 7: "the device's cache does not answer", 8: "a request that is never allowed",
}

// faults calls f for the events that the unit has logged.
func (u *unit) faults(o *Units, f func(iommu.Fault)) {
	status := u.regs.Load64(regStatus)
	if status == ^uint64(0) {
		return
	}
	head, tail := u.regs.Load64(regEventHead)/16%ringEntries, u.regs.Load64(regEventTail)/16%ringEntries
	m := o.host.Memory
	for ; head != tail; head = (head + 1) % ringEntries {
		at := u.events + mm.HPA(head*16)
		if m.Load64(at)>>60 == 0 {
			break // the tail has moved, but the entry is still on its way
		}
		u.event(m.Load64(at), m.Load64(at+8), f)
		m.Store64(at, 0)
	}
	u.regs.Store64(regEventHead, head*16)
	if status&stsOverflow != 0 {
		f(iommu.Fault{Lost: true, Reason: "more than the unit has records for"})
		// The log goes on when it is turned on again ("Event Log Restart Procedure").
		control := u.regs.Load64(regControl)
		u.regs.Store64(regControl, control&^ctlEvents)
		u.regs.Store64(regStatus, stsOverflow)
		u.regs.Store64(regControl, control)
	}
	u.regs.Store64(regStatus, stsEvent)
	if u.conf.Aborted != nil && u.conf.Aborted() {
		f(iommu.Fault{Lost: true, Reason: "a device's access, without a record of whose"})
	}
}

// event reports one entry of the log.
func (u *unit) event(lo, hi uint64, f func(iommu.Fault)) {
	code := uint8(lo >> 60)
	x := iommu.Fault{Addr: hi, Write: lo&evWrite != 0, Code: code, Reason: "reason unknown"}
	if int(code) < len(reasons) && reasons[code] != "" {
		x.Reason = reasons[code]
	}
	switch code {
	case 1, evPageFault, 4, evInvalid:
		x.Known, x.From = true, abi.PCIAddr(u.conf.Segment)<<16|abi.PCIAddr(lo&0xffff)
		x.Interrupt = lo&evInterrupt != 0
	case 5, 6:
		u.dead = true // it takes no more commands
	}
	if code == evPageFault && lo&evPermitted != 0 {
		x.Reason = "it is not allowed to do that there"
	}
	f(x)
}
