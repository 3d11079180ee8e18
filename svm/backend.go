// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"errors"

	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// MaxCPUs is the number of CPUs a backend can serve, and all that an index of 8 bits
// can name: prepare relies on it.
const MaxCPUs = 256

// PAUSE filter: an exit after a spin of this many PAUSEs, each within the
// threshold of cycles from the last one (APM Vol. 2, "Pause Intercept
// Filtering"). Without the filter PAUSE is not intercepted.
const (
	pauseCount     = 3000
	pauseThreshold = 128
)

// Backend implements vcpu.Backend.
type Backend struct {
	env    *vcpu.Env
	f      features
	caps   *vcpu.Caps
	format *pt.Format
	iopm   mm.HPA
	msrpm  mm.HPA
	cpus   [MaxCPUs]*cpu
	wrmsr  func(msr uint32, val uint64) // insn.WRMSR, but in tests
}

var _ vcpu.Backend = (*Backend)(nil)

// cpu is the state of one physical CPU. Only the thread bound to it uses it.
type cpu struct {
	index    int
	host     uint64 // what VMLOAD restores after a run
	asids    asids
	flushAll bool // no entry has flushed for asids.gen yet
	// loaded is the vCPU that ran last, if it has not left. Only it may enter
	// without prepare.
	loaded *VCPU
	kick   vcpu.KickWord
	// tenant are the tables of the domain that ran last.
	tenant *pt.Tables
	tscAux uint64
	xcr0   uint32
	// To recognize host state in a VMCB (see scrub).
	cr3, gdtBase, idtBase uint64
	oracle                oracle
}

var (
	errDiffers  = errors.New("AMD-V: this CPU differs from the first one")
	errHostNX   = errors.New("AMD-V: the host runs without EFER.NXE")
	errCPU      = errors.New("AMD-V: too many CPUs")
	errHostXCR0 = errors.New("AMD-V: the host's XCR0 needs more than 32 bits")
)

// New returns the backend for the machine whose CPUs all say r. It takes five
// pages of env for the permission maps.
func New(env *vcpu.Env, r Registers) (*Backend, error) {
	f, err := probe(r)
	if err != nil {
		return nil, err
	}
	caps, err := Probe(r)
	if err != nil {
		return nil, err
	}
	if f.xcr0>>32 != 0 {
		return nil, errHostXCR0
	}
	b := &Backend{env: env, f: f, caps: caps, format: pt.NPT(caps.HugePages1G), wrmsr: insn.WRMSR}
	if b.iopm, err = env.Pages(iopmPages); err != nil {
		return nil, err
	}
	if b.msrpm, err = env.Pages(msrpmPages); err != nil {
		env.Release(b.iopm, iopmPages)
		return nil, err
	}
	writeIOPM(env.Phys, b.iopm)
	writeMSRPM(env.Phys, b.msrpm)
	return b, nil
}

// Caps implements vcpu.Backend.
func (b *Backend) Caps() *vcpu.Caps { return b.caps }

// TableFormat implements vcpu.Backend.
func (b *Backend) TableFormat() *pt.Format { return b.format }

// Enable implements vcpu.Backend.
func (b *Backend) Enable(n int) error {
	if uint(n) >= MaxCPUs {
		return errCPU
	}
	f, err := probe(ReadRegisters())
	if err != nil {
		return err
	}
	efer := insn.RDMSR(x86.MSREFER)
	switch {
	case f != b.f:
		return errDiffers
	case efer&x86.EFERNXE == 0:
		return errHostNX
	}
	pages, err := b.env.Pages(2)
	if err != nil {
		return err
	}
	c := &cpu{
		index:  n,
		host:   uint64(pages) + mm.PageSize,
		asids:  newASIDs(f.asids),
		kick:   b.env.Kick(n),
		cr3:    insn.CR3(),
		xcr0:   uint32(f.xcr0),
		oracle: newOracle(f.asids),
	}
	c.gdtBase, _ = insn.SGDT()
	c.idtBase, _ = insn.SIDT()
	if f.tscAux {
		c.tscAux = insn.RDMSR(x86.MSRTSCAux)
	}
	insn.WRMSR(x86.MSREFER, efer|x86.EFERSVME)
	startSpec(&b.env.Spec)
	insn.WRMSR(msrHSAVE, uint64(pages)) // the CPU's own, between VMRUN and #VMEXIT
	vmsave(c.host)
	b.cpus[n] = c
	return nil
}

// NewVCPU implements vcpu.Backend.
func (b *Backend) NewVCPU(t *pt.Tables) (vcpu.VCPU, error) {
	n := 2 + (frameHead+b.f.fpuSize+mm.PageSize-1)/mm.PageSize
	costs := mm.HPA(n-1) * mm.PageSize
	pages, err := b.env.Pages(n)
	if err != nil {
		return nil, err
	}
	v := &VCPU{
		b:      b,
		vmcb:   vmcbAt(b.env, pages),
		frame:  frameAt(b.env, pages+vmcbAbove),
		costs:  costsAt(b.env, pages+costs),
		cost:   uint64(b.env.Virt(pages + costs)),
		at:     -1,
		tables: t,
		pages:  pages,
		npages: n,
		fpu:    vcpu.EntryKind(b.f.fpu, b.f.xcr0, &b.env.Spec),
		nrips:  b.f.nextRIP,
		clean:  b.f.cleanMask,
	}
	v.frame.vmcb = uint64(pages)
	v.frame.fpu.Reset()
	v.frame.xcr0 = uint32(b.f.xcr0) // see setCR4
	v.frame.meter.Start(v.cost)
	v.frame.secure = vcpu.Secure(b.f.fpu, &b.env.Spec)
	v.control()
	v.tablesGen = t.Generation()
	vcpu.Reset(v)
	return v, nil
}

// control fills the control area of a VMCB but for what changes from entry to
// entry.
func (v *VCPU) control() {
	c, b := v.vmcb, v.b
	c.crIntercepts = baseCR
	c.drIntercepts = baseDR
	c.exceptions = baseExceptions
	c.misc1, c.misc2, c.misc3 = baseMisc1, baseMisc2, baseMisc3
	if b.f.pauseFilter {
		c.misc1 |= iPAUSE
		c.pauseCount = pauseCount
		if b.f.pauseThresh {
			c.pauseThreshold = pauseThreshold
		}
	}
	if b.f.busLock {
		c.misc3 |= iBusLock // the first one; see finishSlow
	}
	c.iopm, c.msrpm = uint64(b.iopm), uint64(b.msrpm)
	c.vintr = vIntrMasking
	c.nested, c.nCR3 = nestedPaging, uint64(v.tables.Root())
}
