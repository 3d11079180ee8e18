// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/insn"
	"ringo/hv/vcpu"
)

// debug is the guest's breakpoint addresses while it does not run; DR6 and DR7
// are in the VMCB. They are in the CPU only while a guest that uses them runs:
// from the first access (touched) to the next exit, and at every entry while
// DR7 enables something. Otherwise every access exits, so no guest sees what
// another one left in DR0-DR3.
type debug struct {
	dr      [4]uint64
	touched bool
	live    bool
}

// dr7Active are the bits of DR7 with an effect: the enable bits and GD.
const dr7Active = 0xff | 1<<13

// wanted reports whether the next entry needs the registers loaded.
func (d *debug) wanted(b *vmcb) bool { return d.touched || d.live || b.dr7&dr7Active != 0 }

// loadDebug puts the registers into the CPU. The exit then takes the slow path
// of the entry code, which disables them: not every CPU clears DR7 at an exit
// (QEMU does not), and a guest could otherwise place a breakpoint in the
// hypervisor.
func (v *VCPU) loadDebug() {
	d, b := &v.dbg, v.vmcb
	if !d.wanted(b) {
		return
	}
	insn.SetDR0123(d.dr[0], d.dr[1], d.dr[2], d.dr[3])
	d.live = true
	if v.b.f.drWrites {
		b.setIntercepts(&b.drIntercepts, 0, drReads)
		return
	}
	b.setIntercepts(&b.drIntercepts, 0, drAll)
	v.frame.fastXCR0 = 0
}

// saveDebug takes the registers out of the CPU after a run.
func (v *VCPU) saveDebug() {
	d, b := &v.dbg, v.vmcb
	if !d.live {
		return
	}
	d.dr[0], d.dr[1], d.dr[2], d.dr[3] = insn.DR0123()
	d.live, d.touched = false, false
	b.setIntercepts(&b.drIntercepts, drAll, 0)
	v.frame.fastXCR0 = v.frame.hostXCR0
}

// accessDebug handles an exit at a MOV of a debug register: the next entry loads
// them, or the access becomes the receiver's.
func (v *VCPU) accessDebug(x *vcpu.Exit) {
	code := uint32(v.vmcb.exitCode)
	if v.b.f.drWrites && code >= exitDRWrite0 {
		x.Reason, x.CR = vcpu.DRWrite, vcpu.CRExit{CR: uint8(code & 15)}
		return
	}
	v.dbg.touched = true
}
