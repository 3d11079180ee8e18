// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// The VMCB packs the attributes of a segment into 12 bits: type 3:0, S 4, DPL
// 6:5, P 7, AVL 8, L 9, D/B 10, G 11 (APM Vol. 2, "Segment State in the VMCB").
// The neutral form has Intel's gap (bits 11:8) and an unusable bit, for which
// AMD has no bit: a segment that is not present is unusable.
const attribPresent = 1 << 7

// toAttrib converts neutral access rights to VMCB attributes.
func toAttrib(access uint32) uint16 {
	a := uint16(access&0xff | access>>4&0xf00)
	if access&x86.SegUnusable != 0 {
		a &^= attribPresent
	}
	return a
}

// fromAttrib converts VMCB attributes to neutral access rights.
func fromAttrib(a uint16) uint32 {
	access := uint32(a&0xff) | uint32(a&0xf00)<<4
	if a&attribPresent == 0 {
		access |= x86.SegUnusable
	}
	return access
}

// segment returns the VMCB's field for s.
func (b *vmcb) segment(s x86.Seg) *segment {
	switch s {
	case x86.ES:
		return &b.es
	case x86.CS:
		return &b.cs
	case x86.SS:
		return &b.ss
	case x86.DS:
		return &b.ds
	case x86.FS:
		return &b.fs
	case x86.GS:
		return &b.gs
	case x86.LDTR:
		return &b.ldtr
	case x86.TR:
		return &b.tr
	}
	panic("svm: no such segment")
}

// Segment implements vcpu.VCPU. SS carries the privilege level in its DPL, as
// on VT-x; here it is a field of its own (APM Vol. 2, "State Saved to VMCB").
func (v *VCPU) Segment(s x86.Seg) x86.Segment {
	f := v.vmcb.segment(s)
	seg := x86.Segment{Selector: f.selector, Access: fromAttrib(f.attrib), Limit: f.limit, Base: f.base}
	if s == x86.SS {
		seg.Access = seg.Access&^(3<<x86.SegDPLShift) | uint32(v.vmcb.cpl&3)<<x86.SegDPLShift
	}
	return seg
}

// Snapshot implements vcpu.VCPU.
func (v *VCPU) Snapshot(s *vcpu.Snapshot) {
	b := v.vmcb
	s.RIP, s.RSP, s.RFLAGS = b.rip, b.rsp, b.rflags
	s.CR0, s.CR3, s.CR4, s.EFER = b.cr0|v.crShadow, b.cr3, b.cr4&^v.cr4Forced, b.efer&^x86.EFERSVME
	s.CSBase, s.CSAccess = b.cs.base, fromAttrib(b.cs.attrib)
}

// SetSegment implements vcpu.VCPU.
func (v *VCPU) SetSegment(s x86.Seg, seg x86.Segment) {
	v.vmcb.setSegment(v.vmcb.segment(s), segment{
		selector: seg.Selector, attrib: toAttrib(seg.Access), limit: seg.Limit, base: seg.Base,
	})
	if s == x86.SS {
		v.vmcb.setCPL(uint8(seg.Access >> x86.SegDPLShift & 3))
	}
}
