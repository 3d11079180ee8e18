// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

// debug is the guest's breakpoint addresses and DR6 while it does not run; DR7
// is in the VMCS. They are in the CPU only while a guest that uses them runs:
// from the first access (touched) to the next exit, and at every entry while DR7
// enables something. Otherwise every access exits, so no guest sees what another
// one left in DR0-DR3 and DR6. Exits disable them: they set DR7 to 0x400.
type debug struct {
	dr      [4]uint64
	dr6     uint64
	touched bool
	live    bool
	enabled bool // DR7 has an effect
}

const (
	// dr7Active are the bits of DR7 with an effect: the enable bits and GD.
	dr7Active = 0xff | 1<<13

	// DR6 (SDM Vol. 3, "Debug Status Register").
	dr6Traps = 15
	dr6BD    = 1 << 13
	dr6BS    = 1 << 14
)

// wanted reports whether the next entry needs the registers loaded.
func (d *debug) wanted() bool { return d.touched || d.live || d.enabled }

// loadDebug puts the registers into the CPU.
func (v *VCPU) loadDebug() {
	d := &v.dbg
	if !d.wanted() {
		return
	}
	v.on.p.setBreakpoints(d.dr[0], d.dr[1], d.dr[2], d.dr[3], d.dr6)
	d.live = true
	v.set(sProc, v.val[sProc]&^procMOVDR)
}

// saveDebug takes the registers out of the CPU after a run.
func (v *VCPU) saveDebug() {
	d := &v.dbg
	if !d.live {
		return
	}
	d.dr[0], d.dr[1], d.dr[2], d.dr[3], d.dr6 = v.on.p.breakpoints()
	d.live, d.touched = false, false
	d.enabled = v.get(sDR7)&dr7Active != 0
	v.set(sProc, v.val[sProc]|procMOVDR)
}
