// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"ringo/hv/abi"
	"ringo/hv/spec"
	"ringo/hv/x86"
)

// maxBasic is the highest basic leaf of an AMD partition; an Intel one has the
// timing leaves and the second one of topology as well.
const (
	maxBasic      = 0x0d
	maxBasicIntel = 0x1f
)

// buildBasic fills leaves 0 to 0xd, and 0x1f.
func (c *CPUID) buildBasic() {
	h0 := c.host(0, 0)
	c.amd = isAMD(h0)
	h0.EAX = maxBasic
	if !c.amd {
		h0.EAX = maxBasicIntel
	}
	c.basic[0].r = h0
	c.buildFeatures()
	if !c.amd {
		c.basic[2].r = c.hostLeaf(2, 0) // cache descriptors
		c.basic[4].fix = fixCache
		for i := range c.cache {
			c.cache[i] = c.shareCache(c.hostLeaf(4, uint32(i)))
		}
		c.basic[0x1f].fix = fixTopology // no modules, tiles or dies: as leaf 0xb
	}
	c.basic[6].r = Result{EAX: a6ARAT}
	c.buildLeaf7()
	c.basic[0xb].fix = fixTopology
	if c.xsave.mask != 0 {
		c.basic[0xd].fix = fixXSAVE
	}
}

// hostLeaf is a leaf of the host, zero if it does not exist there.
func (c *CPUID) hostLeaf(leaf, sub uint32) Result {
	if leaf > c.host(leaf&extBase, 0).EAX {
		return Result{}
	}
	return c.host(leaf, sub)
}

// vector removes from a feature register the bits that need AVX or AVX-512
// state, where that state is not switched.
func (c *CPUID) vector(r, avx, avx512 uint32) uint32 {
	if c.xsave.mask&xAVX == 0 {
		r &^= avx | avx512
	}
	if c.xsave.mask&xAVX512 != xAVX512 {
		r &^= avx512
	}
	return r
}

func (c *CPUID) buildFeatures() {
	h := c.host(1, 0)
	r := Result{
		EAX: h.EAX &^ 0xf000_c000, // family, model, stepping; type and reserved bits zero
		EBX: h.EBX&0xff00 | c.vcpus<<16,
		ECX: c.vector(h.ECX&allow1C, c1AVX|c1FMA|c1F16C, 0) | force1C,
		EDX: h.EDX&allow1D | force1D,
	}
	if c.xsave.mask == 0 {
		r.ECX &^= c1XSAVE
	}
	if c.vcpus > 1 {
		r.EDX |= d1HTT
	}
	c.basic[1] = entry{r, fixFeatures}
}

func (c *CPUID) buildLeaf7() {
	h := c.hostLeaf(7, 0)
	r := Result{
		EBX: c.vector(h.EBX&allow7B, b7AVX2, avx512B) | force7B,
		ECX: c.vector(h.ECX&allow7C, avxC7, avx512C),
		EDX: c.vector(h.EDX&(allow7D|c.spec7D()), 0, d7VP2INTER),
	}
	if h.EAX >= 1 {
		r.EAX = 1
		c.leaf71.EAX = c.vector(c.host(7, 1).EAX&allow71A, a71AVXVNNI, a71BF16)
	}
	c.basic[7] = entry{r, fixSub}
}

// spec7D are the bits of leaf 7 EDX for the registers of speculation control that
// a guest has.
func (c *CPUID) spec7D() (bits uint32) {
	if c.spec.IBPB && c.spec.Guest&spec.CtrlIBRS != 0 {
		bits |= d7IBRS
	}
	if c.spec.Guest&spec.CtrlSTIBP != 0 {
		bits |= d7STIBP
	}
	if c.spec.Guest&spec.CtrlSSBD != 0 {
		bits |= d7SSBD
	}
	if c.spec.GuestCaps != 0 {
		bits |= d7ArchCaps
	}
	return bits
}

// spec8B are the bits of leaf 0x80000008 EBX, AMD's, for the same.
func (c *CPUID) spec8B() (bits uint32) {
	if c.spec.IBPB {
		bits |= b8IBPB
	}
	if c.spec.Guest&spec.CtrlIBRS != 0 {
		bits |= b8IBRS
	}
	if c.spec.Guest&spec.CtrlSTIBP != 0 {
		bits |= b8STIBP
	}
	if c.spec.Guest&spec.CtrlSSBD != 0 {
		bits |= b8SSBD
	}
	return bits
}

// shareCache is a cache leaf (4 or 0x8000001d): levels 1 and 2 are a core's, others
// shared by the socket. The field of the socket's cores exists on Intel only; AMD
// reserves it.
func (c *CPUID) shareCache(r Result) Result {
	if r.EAX&0x1f == 0 {
		return Result{}
	}
	shift := c.threadShift
	if r.EAX>>5&7 > 2 {
		shift = c.socketShift
	}
	r.EAX = r.EAX&0x3fff | (1<<shift-1)<<14
	if !c.amd {
		r.EAX |= (1<<(c.socketShift-c.threadShift) - 1) << 26
	}
	return r
}

// topology is leaf 0xb: threads, then cores (SDM Vol. 2, "INPUT EAX = 0BH: Returns
// Extended Topology Information").
func (c *CPUID) topology(v *View, sub uint32) Result {
	const thread, core = 1 << 8, 2 << 8
	r := Result{ECX: sub & 0xff, EDX: v.ID}
	switch sub {
	case 0:
		r.EAX, r.EBX, r.ECX = c.threadShift, c.threads, thread
	case 1:
		r.EAX, r.EBX, r.ECX = c.socketShift, c.vcpus, 1|core
	}
	return r
}

// buildExt fills leaves 0x80000000 to 0x80000021.
func (c *CPUID) buildExt() {
	h := c.host(extBase, 0)
	last := min(max(h.EAX, extBase+8), extBase+numExt-1)
	if !c.amd {
		last = extBase + 8
	}
	h.EAX = last
	c.ext[0].r = h
	for _, i := range []uint32{2, 3, 4, 5, 6} { // name and caches
		c.ext[i].r = c.hostLeaf(extBase+i, 0)
	}
	c.ext[7].r.EDX = d7InvariantT
	c.buildExtFeatures()
	c.buildSizes()
	if !c.amd {
		return
	}
	for _, i := range []uint32{0x19, 0x1a} { // TLBs, speed of SSE units
		c.ext[i].r = c.hostLeaf(extBase+i, 0)
	}
	c.ext[0x21].r.EAX = c.hostLeaf(extBase+0x21, 0).EAX & allow21A
	if c.ext[1].r.ECX&cxTopoExt != 0 {
		c.ext[0x1d].fix = fixCache
		c.ext[0x1e] = entry{Result{EBX: (c.threads - 1) << 8}, fixNode}
		for i := range c.cacheX {
			c.cacheX[i] = c.shareCache(c.hostLeaf(extBase+0x1d, uint32(i)))
		}
	}
}

func (c *CPUID) buildExtFeatures() {
	h := c.hostLeaf(extBase+1, 0)
	r := Result{ECX: c.vector(h.ECX&allowXC, cxXOP|cxFMA4, 0), EDX: h.EDX & allowXD}
	if c.amd {
		r.EAX = c.basic[1].r.EAX
		r.EBX = h.EBX
		r.EDX = r.EDX&^dup | c.basic[1].r.EDX&dup
		if c.vcpus > 1 {
			r.ECX |= cxCmpLegac
		}
		if c.threads > 1 {
			r.ECX |= cxTopoExt // nothing else tells threads from cores
		}
	} else {
		r.EDX &^= dup
		r.ECX &^= cxTopoExt
	}
	c.ext[1] = entry{r, fixExtFeatures}
	if !c.amd {
		c.ext[1].fix = plain
	}
}

// buildSizes fills leaf 0x80000008: address widths and core count.
func (c *CPUID) buildSizes() {
	h := c.hostLeaf(extBase+8, 0)
	if h.EAX == 0 {
		h.EAX = 48<<8 | 36
	}
	r := Result{EAX: min(h.EAX&0xff, 52)} // the architecture's limit
	r.EAX |= min(h.EAX>>8&0xff, 48) << 8  // no five-level paging
	if c.amd {
		r.EBX = h.EBX & (allow8B | c.spec8B())
		if c.xsave.mask == 0 {
			r.EBX &^= b8XSAVEERPTR
		}
		r.ECX = c.vcpus - 1 | c.socketShift<<12
	}
	c.ext[8].r = r
}

// buildTiming fills Intel's leaves 0x15 and 0x16. Linux takes leaf 0x15 for the
// rate of the TSC and of the APIC timer, on Intel only; both run at tscHz here,
// so the crystal does too. A rate that does not fit is left out.
func (c *CPUID) buildTiming(tscHz uint64) {
	if c.amd || tscHz == 0 || tscHz>>32 != 0 {
		return
	}
	mhz := uint32(tscHz / 1e6)
	c.basic[0x15].r = Result{EAX: 1, EBX: 1, ECX: uint32(tscHz)}
	c.basic[0x16].r = Result{EAX: mhz, EBX: mhz, ECX: 100}
}

// Bits of KVM's feature leaf (Linux, Documentation/virt/kvm/x86/cpuid.rst). Asynchronous
// page faults and the others need work that hv does not do.
const (
	kvmNoIODelay    = 1 << 1  // port 0x80 delays are not needed
	kvmClocksource2 = 1 << 3  // abi.MSRKVMSystemTime, abi.MSRKVMWallClock
	kvmStealTime    = 1 << 5  // abi.MSRKVMStealTime
	kvmPVEOI        = 1 << 6  // abi.MSRKVMEOI
	kvmUnhalt       = 1 << 7  // a hypercall ends a HLT, see part.Domain.KickCPU
	kvmStableClock  = 1 << 24 // the same on all vCPUs
)

// buildHyper fills the hypervisor leaves. Linux looks for KVM's signature at
// each multiple of 0x100 and then takes its clock, and x2APIC mode without
// interrupt remapping, for safe.
//
// Leaf 0x10 of either base is the timing leaf of VMware and KVM: TSC and APIC
// bus in kHz. FreeBSD, macOS and iPXE read it at 0x40000010; Linux does so under
// some hypervisors' signatures only.
func (c *CPUID) buildHyper(cfg *Config) {
	own, kvm, ownBase, kvmBase := &c.first, &c.other, uint32(abi.CPUIDBase), uint32(abi.CPUIDKVMBase)
	if cfg.KVMFirst {
		own, kvm, ownBase, kvmBase = kvm, own, kvmBase, ownBase
	}
	own[0].r = vendor(ownBase+numHyper-1, abi.Signature)
	own[1].r.EAX = abi.Version
	kvm[0].r = vendor(kvmBase+numHyper-1, abi.SignatureKVM)
	f := uint32(kvmNoIODelay)
	if cfg.PVClock {
		f |= kvmClocksource2 | kvmStableClock | kvmStealTime | kvmUnhalt
	}
	if cfg.PVEOI {
		f |= kvmPVEOI
	}
	c.clock, c.eoi = cfg.PVClock, cfg.PVEOI
	kvm[1].r.EAX = f
	if khz := cfg.TSCHz / 1000; khz>>32 == 0 {
		timing := Result{EAX: uint32(khz), EBX: uint32(khz)}
		own[0x10].r, kvm[0x10].r = timing, timing
	}
}

// CR4Allowed returns the bits of CR4 that a guest may set: those of the features
// that it sees. Others are #GP.
func (c *CPUID) CR4Allowed() uint64 { return c.cr4 }

// buildCR4 computes CR4Allowed.
func (c *CPUID) buildCR4() uint64 {
	m := uint64(x86.CR4TSD | x86.CR4PCE)
	for _, f := range []struct {
		have uint32
		bits uint64
	}{
		{c.basic[1].r.EDX & d1VME, x86.CR4VME | x86.CR4PVI},
		{c.basic[1].r.EDX & d1DE, x86.CR4DE},
		{c.basic[1].r.EDX & d1PSE, x86.CR4PSE},
		{c.basic[1].r.EDX & d1PAE, x86.CR4PAE},
		{c.basic[1].r.EDX & d1MCE, x86.CR4MCE},
		{c.basic[1].r.EDX & d1PGE, x86.CR4PGE},
		{c.basic[1].r.EDX & d1FXSR, x86.CR4OSFXSR},
		{c.basic[1].r.EDX & d1SSE, x86.CR4OSXMMEXCPT},
		{c.basic[1].r.ECX & c1XSAVE, x86.CR4OSXSAVE},
		{c.basic[7].r.EBX & b7FSGSBASE, x86.CR4FSGSBASE},
		{c.basic[7].r.EBX & b7SMEP, x86.CR4SMEP},
		{c.basic[7].r.EBX & b7SMAP, x86.CR4SMAP},
		{c.basic[7].r.ECX & c7UMIP, x86.CR4UMIP},
	} {
		if f.have != 0 {
			m |= f.bits
		}
	}
	return m
}

// EFERAllowed returns the bits of EFER that a guest may set.
func (c *CPUID) EFERAllowed() uint64 {
	m := uint64(0)
	d := c.ext[1].r.EDX
	if d&dxSYSCALL != 0 || !c.amd { // Intel shows SYSCALL in 64-bit mode only
		m |= x86.EFERSCE
	}
	if d&dxLM != 0 {
		m |= x86.EFERLME | x86.EFERLMA
	}
	if d&dxNX != 0 {
		m |= x86.EFERNXE
	}
	return m
}

// XCR0Allowed reports whether XSETBV may load v into XCR0 (SDM Vol. 2,
// "XSETBV—Set Extended Control Register").
func (c *CPUID) XCR0Allowed(v uint64) bool {
	return v&xX87 != 0 && v&^c.xsave.mask == 0 &&
		(v&xAVX == 0 || v&xSSE != 0) &&
		(v&xAVX512 == 0 || v&(xAVX512|xAVX) == xAVX512|xAVX)
}

// PhysBits is the width of the guest physical addresses that the guest expects.
func (c *CPUID) PhysBits() uint8 { return uint8(c.ext[8].r.EAX) }
