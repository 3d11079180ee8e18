// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vtd

import (
	"ringo/hv/abi"
	"ringo/hv/internal/iommu"
)

// Faults ("Fault Status Register", "Fault Recording Registers").
const (
	faultMasked = 1 << 31 // of FECTL

	fstsOverflow = 1 << 0
	fstsPending  = 1 << 1
	fstsQueue    = 1 << 4 // the invalidation queue has stopped at an error
	fstsClear    = fstsOverflow | 7<<4

	frcdFault = 1 << 31 // of the last doubleword
	frcdRead  = 1 << 62 // of the high quadword
)

// reasons are the words for fault reasons ("Fault Reason Encodings").
var reasons = [...]string{
	1: "no device of its bus may", 2: "it may access no memory", 3: "its tables are not understood",
	4: "the address is beyond the tables", 5: "writing there is not allowed", 6: "reading there is not allowed",
	7: "a table cannot be read", 8: "the root table cannot be read", 9: "the context table cannot be read",
	10: "reserved bits in the root table", 11: "reserved bits in the context table", 12: "reserved bits in a table",
	13: "translated requests are not allowed",
}

// remapReasons are those of interrupts, from 0x20 on ("Interrupt Remapping Fault
// Conditions").
var remapReasons = [...]string{
	"reserved bits in the message", "the index is beyond the table", "the interrupt was given to nobody",
	"the table cannot be read", "reserved bits in the table's entry", "a message without an index", "the interrupt is another device's",
}

func reason(code uint8) string {
	switch r := int(code) - 0x20; {
	case int(code) < len(reasons) && reasons[code] != "":
		return reasons[code]
	case r >= 0 && r < len(remapReasons):
		return remapReasons[r]
	}
	return "reason unknown"
}

// faults calls f for what the unit has recorded, oldest first.
func (u *unit) faults(f func(iommu.Fault)) {
	status := u.regs.Load32(regFSts)
	if status == ^uint32(0) {
		return
	}
	if status&(fstsPending|fstsOverflow) != 0 {
		base, n := uint32(u.cap>>24&0x3ff)*16, uint32(u.cap>>40&0xff)+1
		first := status >> 8 & 0xff
		for i := range n {
			u.fault(base+(first+i)%n*16, f)
		}
	}
	if status&fstsQueue != 0 {
		u.dead = true
		f(iommu.Fault{Reason: "the unit does not understand a command"})
	}
	if status&fstsOverflow != 0 {
		f(iommu.Fault{Lost: true, Reason: "more than the unit has records for"})
	}
	u.regs.Store32(regFSts, status&fstsClear)
}

// fault reads the record at a register, and frees it.
func (u *unit) fault(at uint32, f func(iommu.Fault)) {
	if u.regs.Load32(at+12)&frcdFault == 0 {
		return
	}
	lo, hi := u.regs.Load64(at), u.regs.Load64(at+8)
	u.regs.Store32(at+12, frcdFault)
	code := uint8(hi >> 32)
	x := iommu.Fault{
		From: abi.PCIAddr(u.segment)<<16 | abi.PCIAddr(hi&0xffff), Known: true,
		Addr: lo &^ 0xfff, Write: hi&frcdRead == 0, Code: code, Reason: reason(code),
	}
	if code >= 0x20 && code < 0x30 {
		x.Interrupt, x.Addr = true, lo>>48
	}
	f(x)
}
