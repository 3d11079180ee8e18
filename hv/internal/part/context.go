// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package part

import (
	"ringo/hv/abi"
	"ringo/hv/internal/policy"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
)

// plainRegs pairs the fields of abi.VCPUContext with the registers they are.
// EFER comes before CR0, whose PG bit makes LMA of LME.
var plainRegs = [...]struct {
	reg   x86.Reg
	field func(c *abi.VCPUContext) *uint64
}{
	{x86.RIP, func(c *abi.VCPUContext) *uint64 { return &c.RIP }},
	{x86.RSP, func(c *abi.VCPUContext) *uint64 { return &c.GPR[4] }},
	{x86.RFLAGS, func(c *abi.VCPUContext) *uint64 { return &c.RFLAGS }},
	{x86.EFER, func(c *abi.VCPUContext) *uint64 { return &c.EFER }},
	{x86.CR4, func(c *abi.VCPUContext) *uint64 { return &c.CR4 }},
	{x86.CR3, func(c *abi.VCPUContext) *uint64 { return &c.CR3 }},
	{x86.CR0, func(c *abi.VCPUContext) *uint64 { return &c.CR0 }},
	{x86.CR2, func(c *abi.VCPUContext) *uint64 { return &c.CR2 }},
	{x86.CR8, func(c *abi.VCPUContext) *uint64 { return &c.CR8 }},
	{x86.PAT, func(c *abi.VCPUContext) *uint64 { return &c.PAT }},
	{x86.STAR, func(c *abi.VCPUContext) *uint64 { return &c.STAR }},
	{x86.LSTAR, func(c *abi.VCPUContext) *uint64 { return &c.LSTAR }},
	{x86.CSTAR, func(c *abi.VCPUContext) *uint64 { return &c.CSTAR }},
	{x86.SFMASK, func(c *abi.VCPUContext) *uint64 { return &c.FMASK }},
	{x86.KernelGSBase, func(c *abi.VCPUContext) *uint64 { return &c.KernelGSBase }},
	{x86.GDTRBase, func(c *abi.VCPUContext) *uint64 { return &c.GDTBase }},
	{x86.IDTRBase, func(c *abi.VCPUContext) *uint64 { return &c.IDTBase }},
}

// mayHave reports whether a vCPU of d can come to have the control registers and
// addresses of c by what its guest does: dom0 gives it no feature that it is not
// offered, and whose state is not switched.
func (d *Domain) mayHave(c *abi.VCPUContext) bool {
	cpu := d.Plat.CPUID
	switch {
	case c.CR4&^cpu.CR4Allowed() != 0, c.EFER&^cpu.EFERAllowed() != 0, c.CR8 > 15, c.CR3>>cpu.PhysBits() != 0:
		return false
	case !policy.IsCR0(c.CR0), !policy.IsPAT(c.PAT):
		return false
	}
	for _, a := range [...]uint64{c.LSTAR, c.CSTAR, c.KernelGSBase, c.GDTBase, c.IDTBase} {
		if !policy.IsCanonical(a) {
			return false
		}
	}
	for i := range c.Seg {
		base := c.Seg[i].Base
		if !policy.IsCanonical(base) || base>>32 != 0 && i < int(x86.FS) {
			return false
		}
	}
	return true
}

// SetContext loads all registers of a vCPU that does not run. A value that no
// guest can bring about is BadArg. What the CPU refuses to run nevertheless is
// dom0's mistake and crashes the domain at its first entry, not the hypervisor.
// Busy: it runs, or dom0 has still to answer an access of it.
func (v *VCPU) SetContext(c *abi.VCPUContext) abi.Status {
	d := v.Dom
	d.mu.Lock()
	defer d.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.State() != Parked || v.wait == WaitIO || d.destroy != destroyNone {
		return abi.Busy
	}
	if !d.mayHave(c) {
		return abi.BadArg
	}
	v.HW.ClearEvents()
	for i, r := range c.GPR {
		if i != 4 {
			*v.Regs.GPR(uint8(i)) = r
		}
	}
	for i := range plainRegs {
		p := &plainRegs[i]
		v.HW.Set(p.reg, *p.field(c))
	}
	v.HW.Set(x86.GDTRLimit, uint64(c.GDTLimit))
	v.HW.Set(x86.IDTRLimit, uint64(c.IDTLimit))
	for i := range c.Seg {
		s := &c.Seg[i]
		v.HW.SetSegment(x86.Seg(i), x86.Segment{Selector: s.Selector, Access: s.Access, Limit: s.Limit, Base: s.Base})
	}
	if c.VirtualWire != 0 {
		v.APIC.VirtualWire()
	}
	v.wait = WaitSIPI
	if c.Online != 0 {
		v.wait = WaitNothing
	}
	v.started.Store(c.Online != 0)
	return abi.OK
}

// Context stores all registers of a vCPU that does not run.
func (v *VCPU) Context(c *abi.VCPUContext) abi.Status {
	d := v.Dom
	d.mu.Lock()
	defer d.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.State() == Running || v.State() == Runnable || d.destroy != destroyNone {
		return abi.Busy
	}
	for i := range c.GPR {
		c.GPR[i] = *v.Regs.GPR(uint8(i))
	}
	for i := range plainRegs {
		p := &plainRegs[i]
		*p.field(c) = v.HW.Get(p.reg)
	}
	c.GDTLimit = uint32(v.HW.Get(x86.GDTRLimit))
	c.IDTLimit = uint32(v.HW.Get(x86.IDTRLimit))
	for i := range c.Seg {
		s := v.HW.Segment(x86.Seg(i))
		c.Seg[i] = abi.Segment{Selector: s.Selector, Access: s.Access, Limit: s.Limit, Base: s.Base}
	}
	c.Online = 1
	if v.wait == WaitSIPI {
		c.Online = 0
	}
	return abi.OK
}

// Peek calls f, which only copies, with v's registers. It reports false, and does not, when v is gone
// or runs: then they are in its CPU, and only its runner, which may be the caller,
// can get at them.
func (v *VCPU) Peek(f func(vcpu.VCPU)) bool {
	v.Dom.mu.Lock()
	defer v.Dom.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Dom.destroy == destroyDone || v.State() == Running && v.cpu.ID != v.Dom.machine.ThisCPU() {
		return false
	}
	f(v.HW)
	return true
}

// StartDirect starts a vCPU that waits to be started, with the registers that
// setup gives it. It reports false, and does nothing, when it was started before.
func (v *VCPU) StartDirect(setup func(hw vcpu.VCPU)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.State() == Running || v.State() == Runnable || v.wait != WaitSIPI {
		return false
	}
	setup(v.HW)
	v.wait = WaitNothing
	v.started.Store(true)
	if v.State() == Blocked {
		v.cpu.Timers.Remove(&v.timer)
	}
	v.enqueue()
	return true
}

// StartAt gives v the state after a start-up message: real mode at page<<12
// (SDM Vol. 3, "SIPI").
func (v *VCPU) StartAt(page uint8) {
	v.HW.SetSegment(x86.CS, x86.Segment{
		Selector: uint16(page) << 8, Base: uint64(page) << 12, Limit: 0xffff,
		Access: x86.SegP | x86.SegS | 0xb,
	})
	v.HW.Set(x86.RIP, 0)
	v.started.Store(true)
}
