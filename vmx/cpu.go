// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"errors"

	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm/pt"
)

// cpu is the state of one physical CPU. Only the thread bound to it uses it.
type cpu struct {
	p    processor
	n    int // its number
	kick vcpu.KickWord
	xcr0 uint32
	// loaded is the vCPU whose VMCS is current. live is the one whose values
	// the MSRs of liveMSRs have; it may have left.
	loaded *VCPU
	live   *VCPU
	// tenant are the tables of the domain that ran last.
	tenant *pt.Tables
	tscAux uint64
	host   hostState
	oracle oracle
}

// hostState is what exits load, as it was when the CPU was enabled.
type hostState struct {
	es, cs, ss, ds, fs, gs, tr uint16
	cr0, cr3, cr4              uint64
	fsBase, gsBase, trBase     uint64
	gdt, idt                   uint64
	efer, pat                  uint64
}

var (
	errDiffers = errors.New("VT-x: this CPU differs from the first one")
	errHostNX  = errors.New("VT-x: the host runs without EFER.NXE")
	errHostSCE = errors.New("VT-x: the host runs with EFER.SCE: a guest's LSTAR could be called")
	errCPU     = errors.New("VT-x: too many CPUs")
	errControl = errors.New("VT-x: the host's CR0 or CR4 does not allow VMX operation")
	errVMXON   = errors.New("VT-x: VMXON failed")
	errTR      = errors.New("VT-x: the host has no task state segment")
)

// Enable implements vcpu.Backend.
func (b *Backend) Enable(n int) error {
	if uint(n) >= MaxCPUs {
		return errCPU
	}
	r := ReadRegisters()
	f, err := probe(&r)
	if err != nil {
		return err
	}
	efer := insn.RDMSR(x86.MSREFER)
	switch {
	case f != b.f:
		return errDiffers
	case efer&x86.EFERNXE == 0:
		return errHostNX
	case efer&x86.EFERSCE != 0:
		return errHostSCE
	}
	if r.FeatureControl&featureLock == 0 {
		insn.WRMSR(x86.MSRFeatureControl, r.FeatureControl|featureLock|featureVMXON)
	}
	insn.SetCR4(insn.CR4() | x86.CR4VMXE)
	if !allowed(insn.CR0(), f.cr0Fixed0, f.cr0Fixed1) || !allowed(insn.CR4(), f.cr4Fixed0, f.cr4Fixed1) {
		insn.SetCR4(insn.CR4() &^ x86.CR4VMXE)
		return errControl
	}
	c := &cpu{p: new(native), n: n, kick: b.env.Kick(n), xcr0: uint32(f.xcr0), host: readHost()}
	if c.host.tr&^7 == 0 {
		return errTR
	}
	if f.tscAux {
		c.tscAux = insn.RDMSR(x86.MSRTSCAux)
	}
	region, err := b.env.Pages(1) // the CPU's own, from VMXON on
	if err != nil {
		return err
	}
	b.env.Phys.Store64(region, uint64(f.revision))
	if vmxon(uint64(region)) == 0 {
		b.env.Phys.Store64(region, 0)
		b.env.Release(region, 1)
		return errVMXON
	}
	// What the TLB holds from before is unknown.
	b.flush(c, invAll, 0, 0)
	startSpec(c.p, &b.env.Spec)
	b.cpus[n] = c
	return nil
}

// allowed reports whether a control register has what VMX operation demands:
// the bits of fixed0, and none outside fixed1.
func allowed(cr, fixed0, fixed1 uint64) bool { return cr&fixed0 == fixed0 && cr&^fixed1 == 0 }

func readHost() hostState {
	h := hostState{
		cr0: insn.CR0(), cr3: insn.CR3(), cr4: insn.CR4(),
		fsBase: insn.RDMSR(x86.MSRFSBase), gsBase: insn.RDMSR(x86.MSRGSBase),
		efer: insn.RDMSR(x86.MSREFER), pat: insn.RDMSR(x86.MSRPAT),
	}
	h.es, h.cs, h.ss, h.ds, h.fs, h.gs, h.tr = selectors()
	h.gdt, _ = insn.SGDT()
	h.idt, _ = insn.SIDT()
	h.trBase = descriptorBase(h.gdt, h.tr)
	return h
}

// write puts h into the current VMCS. An exit loads selectors with RPL and TI
// clear only.
func (h *hostState) write(p processor) {
	for _, w := range [...]struct {
		field uint32
		val   uint64
	}{
		{uint32(hostES), uint64(h.es &^ 7)}, {uint32(hostCS), uint64(h.cs &^ 7)}, {uint32(hostSS), uint64(h.ss &^ 7)},
		{uint32(hostDS), uint64(h.ds &^ 7)}, {uint32(hostFS), uint64(h.fs &^ 7)}, {uint32(hostGS), uint64(h.gs &^ 7)},
		{uint32(hostTR), uint64(h.tr &^ 7)},
		{uint32(hostCR0), h.cr0}, {uint32(hostCR3), h.cr3}, {uint32(hostCR4), h.cr4},
		{uint32(hostFSBase), h.fsBase}, {uint32(hostGSBase), h.gsBase}, {uint32(hostTRBase), h.trBase},
		{uint32(hostGDTRBase), h.gdt}, {uint32(hostIDTRBase), h.idt},
		{uint32(hostEFER), h.efer}, {uint32(hostPAT), h.pat},
	} {
		p.write(w.field, w.val)
	}
}

// flush drops what c's TLB holds: everything (invAll), or what was derived from
// one vCPU's tables (eptp) and identifier (vpid), each if not 0. A CPU without
// the single form gets everything.
func (b *Backend) flush(c *cpu, kind, eptp, vpid uint64) {
	if eptp != 0 || kind == invAll {
		k := kind
		if !b.f.inveptSingle {
			k = invAll
		}
		c.p.invept(k, eptp)
		c.oracle.droppedEPT(k, eptp)
	}
	if b.f.vpid && (vpid != 0 || kind == invAll) {
		k := kind
		if !b.f.invvpidSingle {
			k = invAll
		}
		c.p.invvpid(k, vpid)
		c.oracle.droppedVPID(k, vpid)
	}
}
