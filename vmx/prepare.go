// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/insn"
	"ringo/hv/vcpu"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/pt"
)

// prepare makes v ready to be entered on a CPU after something changed. It may run
// several times before an entry succeeds. It reports false when there is nothing
// to enter: x then holds the exit.
func (v *VCPU) prepare(cpu int, x *vcpu.Exit) bool {
	c := v.b.cpus[cpu]
	if v.todo&todoShutdown != 0 {
		v.todo &^= todoShutdown
		*x = vcpu.Exit{Reason: vcpu.Shutdown, CPL: v.frame.cpl(), RIP: v.frame.rip, TSC: insn.RDTSC()}
		return false
	}
	if c.loaded != v {
		v.load(c)
	}
	if g := v.tables.Generation(); g != v.tablesGen {
		v.tablesGen = g
		v.b.flush(c, invSingle, v.eptp, 0)
	}
	if v.todo == 0 {
		return true
	}
	if v.todo&^(todoEvents|todoDebug|todoWrite) != 0 {
		v.prepareRare(c)
	}
	if v.todo&todoEvents != 0 {
		v.armEvents()
	}
	if v.todo&todoDebug != 0 {
		v.loadDebug()
	}
	if v.frame.interrupt&blockedOnce != 0 {
		v.settle()
	}
	v.settleThreshold()
	v.writeDirty()
	v.todo &= todoEvents | todoDebug | todoNet
	return true
}

// prepareRare is prepare for what few entries need.
func (v *VCPU) prepareRare(c *cpu) {
	if v.todo&todoPaging != 0 {
		v.loadPDPTEs()
	}
	if v.todo&todoFlush != 0 {
		v.b.flush(c, invSingle, 0, uint64(v.vpid))
	}
	if v.todo&todoWrap != 0 {
		v.wrap()
	}
	if v.todo&todoMSRs != 0 {
		v.loadMSRs(c)
	}
	if v.todo&todoAPIC != 0 {
		v.loadAPIC()
	}
	if v.todo&todoNet != 0 {
		v.takeNet()
	}
}

// load makes v's VMCS the current one of c.
func (v *VCPU) load(c *cpu) {
	if v.loaded {
		panic("vmx: a vCPU came to another CPU without Leave")
	}
	if c.loaded != nil {
		c.loaded.Leave()
	}
	if !v.configured {
		c.p.clear(v.pages)
	}
	if c.live == v && !v.liveSet {
		c.p.load(v.pages)
	} else {
		c.p.enter(v.pages, &v.live)
		c.live, v.liveSet = v, false
	}
	v.loadTSCAux(c)
	c.loaded, v.loaded, v.at = v, true, c.n
	if c.tenant != v.tables {
		c.tenant = v.tables
		if s := &v.b.env.Spec; s.IBPB || s.L1D {
			barrier(c.p, s)
		}
	}
	v.frame.launched = 0
	if v.on != c {
		v.on = c
		if !v.configured {
			v.configure()
			v.configured = true
		}
		c.host.write(c.p)
		v.frame.hostSP = 0
		v.frame.hostXCR0, v.frame.cpuKick = c.xcr0, c.kick.Address()
		// The TLB may hold what v, or a dead vCPU with its identifier or
		// tables, left here.
		v.tablesGen = v.tables.Generation()
		v.b.flush(c, invSingle, v.eptp, uint64(v.vpid))
	}
}

// Leave implements vcpu.VCPU.
func (v *VCPU) Leave() {
	if !v.loaded {
		return
	}
	c := v.on
	v.writeDirty() // most often one: HLT behind STI has ended that shadow
	c.p.leave(&v.val, &v.live, v.pages)
	v.valid |= fetching
	c.loaded, v.loaded, v.at = nil, false, -1
}

// settle, under such blocking, keeps an entry from failing for a combination that several harmless
// changes made: blocking by STI needs IF, and a single step that waits behind a
// blocked instruction is a pending debug exception (SDM Vol. 3, "Checks on Guest
// Non-Register State").
func (v *VCPU) settle() {
	s := v.frame.interrupt
	flags := v.get(sRFLAGS)
	if s&blockedSTI != 0 && flags&x86.FlagIF == 0 {
		v.setInterrupt(s &^ blockedSTI)
	}
	pending := v.get(sPendingDebug) &^ pendingBS
	if flags&x86.FlagTF != 0 {
		pending |= pendingBS
	}
	v.set(sPendingDebug, pending)
}

const pendingBS = 1 << 14

// loadPDPTEs reads the four page-directory-pointer entries that the CPU keeps
// under PAE paging, as MOV to CR3 would have (SDM Vol. 3, "PDPTE Registers"). A
// table outside the guest's memory reads as absent.
func (v *VCPU) loadPDPTEs() {
	if v.val[sCR0]&x86.CR0PG == 0 || v.val[sCR4]&x86.CR4PAE == 0 || v.val[sEFER]&x86.EFERLMA != 0 {
		return
	}
	at := mm.GPA(v.get(sCR3) & 0xffff_ffe0)
	for i := range slot(4) {
		e := uint64(0)
		if pa, _, attr, ok := v.tables.Lookup(pt.Addr(at) + pt.Addr(8*i)); ok && attr&pt.Uncached == 0 {
			e = v.b.env.Phys.Load64(pa)
		}
		v.put(sPDPTE0+i, e)
	}
}
