// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// prepare makes v ready to be entered on a CPU after something changed. It may run
// several times before an entry succeeds: whatever an entry consumes stays in
// todo until finish. It reports false when there is nothing to enter: x then
// holds the exit.
func (v *VCPU) prepare(n int, x *vcpu.Exit) bool {
	c := v.b.cpus[uint8(n)] // an index of this type needs no check
	switch {
	case v.todo&^(todoFresh|todoFlush) != 0, v.on != c, v.tables.Generation() != v.tablesGen,
		v.asidGen != c.asids.gen, c.flushAll, c.tscAux != v.tscAux:
		return v.prepareOn(c, x)
	}
	// Nothing has changed but what the guest's last exit has led to, and that others
	// ran here, and have left.
	switch {
	case v.at < 0 && c.loaded == nil:
		c.loaded, v.at = v, c.index
		if c.tenant != v.tables {
			c.admit(v)
		}
	case v.at != c.index:
		v.load(c)
	}
	if v.todo == 0 {
		return true
	}
	if v.todo&todoFresh != 0 {
		v.armNext()
	}
	if v.todo&todoFlush != 0 {
		if v.b.f.flushASID || !c.asids.left() {
			v.tag(c, true)
		} else {
			v.renew(c)
		}
	}
	return true
}

// prepareOn is prepare with all its questions; c is the CPU.
func (v *VCPU) prepareOn(c *cpu, x *vcpu.Exit) bool {
	if v.todo&todoShutdown != 0 {
		v.todo &^= todoShutdown
		*x = vcpu.Exit{Reason: vcpu.Shutdown, CPL: v.vmcb.cpl & 3, RIP: v.vmcb.rip, TSC: insn.RDTSC()}
		return false
	}
	v.load(c)
	if v.on != c {
		v.on, v.asidGen = c, 0
		v.vmcb.clean = 0 // APM Vol. 2, "VMCB Clean Field": another CPU
		v.frame.host, v.frame.hostXCR0, v.frame.fastXCR0 = c.host, c.xcr0, c.xcr0
		v.frame.cpuKick = c.kick.Address()
	}
	flush := v.todo&todoFlush != 0
	if g := v.tables.Generation(); g != v.tablesGen {
		v.tablesGen, flush = g, true
		v.lens.forget()
	}
	if c.tscAux != v.tscAux {
		c.tscAux = v.tscAux
		insn.WRMSR(x86.MSRTSCAux, c.tscAux)
	}
	v.todo &^= todoSwitch
	v.tag(c, flush)
	if v.todo&(todoEvents|todoFresh) != 0 {
		v.armEvents()
	}
	if v.todo&todoDebug != 0 {
		v.loadDebug()
	}
	return true
}

// load makes v the one that ran last on c.
func (v *VCPU) load(c *cpu) {
	switch {
	case v.at == c.index:
		return
	case v.at >= 0:
		panic("svm: a vCPU came to another CPU without Leave")
	case c.loaded != nil:
		c.loaded.Leave()
	}
	c.loaded, v.at = v, c.index
	if c.tenant != v.tables {
		c.admit(v)
	}
}

// admit turns c to the domain of v.
func (c *cpu) admit(v *VCPU) {
	c.tenant = v.tables
	if p := &v.b.env.Spec; p.IBPB || p.L1D {
		v.b.barrier()
	}
}

// renew is tag with flush, on a CPU that cannot flush one identifier but has one left,
// where nothing else is due.
func (v *VCPU) renew(c *cpu) {
	v.vmcb.setASID(c.asids.next)
	c.asids.next++
	v.vmcb.tlbControl = tlbNothing
	v.todo &^= todoFlush
}

// tag gives v an address-space identifier of c under which the TLB holds
// nothing outdated, and asks for the flushes that are due. A CPU that cannot
// flush one identifier abandons it for a fresh one.
func (v *VCPU) tag(c *cpu, flush bool) {
	control := uint32(tlbNothing)
	switch {
	case v.asidGen != c.asids.gen || v.asidGen == 0 || flush && !v.b.f.flushASID:
		asid, wrapped := c.asids.take()
		c.flushAll = c.flushAll || wrapped
		v.asidGen = c.asids.gen
		v.vmcb.setASID(asid)
	case flush:
		control = tlbFlushASID
	}
	// The new generation is valid once any vCPU has entered with this request:
	// until then every entry on c makes it.
	if c.flushAll {
		control = tlbFlushAll
	}
	v.vmcb.tlbControl = control
	if control != tlbNothing {
		v.todo |= todoFlush
	} else {
		v.todo &^= todoFlush
	}
}
