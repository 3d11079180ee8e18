// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package policy is what guests see of the CPU: CPUID leaves, model-specific
// registers, and the control-register bits that follow from them. It is data:
// tables computed once per partition, looked up on an exit.
//
// Deny by default: a CPUID bit passes only if it is in the allow-list and the
// host has it; an MSR that is not in the table is #GP.
//
// What a hostile guest can do here:
//
//	any leaf, subleaf                 -> zeros outside the tables
//	use a feature that is hidden      -> what the CPU does; features with state
//	                                     that hv does not switch cannot be
//	                                     enabled: CR4, EFER and XCR0 are checked
//	MTRRs, HWCR and the like          -> storage of its own without effect
//	addresses that are not canonical  -> #GP, never reach the backend
package policy

import (
	"encoding/binary"

	"ringo/hv/abi"
	"ringo/hv/spec"
	"ringo/hv/x86"
)

// Result is what CPUID returns.
type Result struct{ EAX, EBX, ECX, EDX uint32 }

// View is what of CPUID depends on the state of one vCPU. hv keeps it current:
// it sees every write to CR4 and IA32_APIC_BASE, and XCR0 at each exit.
type View struct {
	ID     uint32 // APIC ID
	NoAPIC bool   // IA32_APIC_BASE.EN is clear
	CR4    uint64
	XCR0   uint64
}

// Config describes a partition.
type Config struct {
	// Host executes CPUID on this machine.
	Host func(leaf, sub uint32) Result
	// Topology is full (see abi.Topology).
	Topology abi.Topology
	TSCHz    uint64
	// XCR0 is the mask of states that the backend switches; 0 = no XSAVE.
	XCR0 uint64
	// Spec says which registers of speculation control the backend switches.
	Spec spec.Plan
	// PVClock: hv serves abi.MSRKVMSystemTime and abi.MSRKVMWallClock.
	PVClock bool
	// PVEOI: hv serves abi.MSRKVMEOI.
	PVEOI bool
	// KVMFirst: KVM's leaves are at abi.CPUIDBase.
	KVMFirst bool
}

// Sizes of the directly indexed tables. That of basic leaves is a power of two, so
// that the index of the most frequent ones needs a mask and no check.
const (
	numBasic = 0x20
	numExt   = 0x22
	numHyper = 0x11
	extBase  = 0x8000_0000
)

// fixup says what of an entry is computed at look-up.
type fixup uint8

const (
	plain fixup = iota
	fixFeatures
	fixExtFeatures // APIC bit of leaf 0x80000001
	fixCache       // leaves 4 and 0x8000001d: subleaf is an index
	fixSub         // leaf 7: subleaf is an index
	fixTopology    // leaves 0xb and 0x1f
	fixXSAVE       // leaf 0xd
	fixNode        // leaf 0x8000001e
)

type entry struct {
	r   Result
	fix fixup
}

// CPUID is the table of one partition. It does not change once made.
type CPUID struct {
	// constant has a bit for each basic leaf that depends on nothing.
	constant uint32
	cr4      uint64 // see CR4Allowed

	basic [numBasic]entry
	ext   [numExt]entry
	first [numHyper]entry // 0x40000000
	other [numHyper]entry // 0x40000100

	cache  [4]Result
	cacheX [4]Result
	leaf71 Result
	// Of a socket: its vCPUs and those of a core, and how many bits of the APIC ID
	// number them.
	vcpus, threads           uint32
	socketShift, threadShift uint32

	xsave xsave
	amd   bool
	clock bool // the paravirtual clock is there
	eoi   bool // the paravirtual EOI is there
	spec  spec.Plan
	host  func(leaf, sub uint32) Result // while building
}

// Constant reports whether leaf is a basic one that depends on nothing.
func (c *CPUID) Constant(leaf uint32) bool {
	return leaf < numBasic && c.constant>>(leaf%numBasic)&1 != 0
}

// Basic returns what [CPUID.Get] answers for a leaf that is Constant. The caller does
// not change it.
func (c *CPUID) Basic(leaf uint32) *Result { return &c.basic[leaf%numBasic].r }

// Get answers CPUID on the vCPU of v. It does not allocate.
func (c *CPUID) Get(v *View, leaf, sub uint32) Result {
	var e *entry
	switch {
	case leaf < numBasic:
		e = &c.basic[leaf]
	case leaf-extBase < numExt:
		e = &c.ext[leaf-extBase]
	case leaf-abi.CPUIDBase < numHyper:
		e = &c.first[leaf-abi.CPUIDBase]
	case leaf-abi.CPUIDKVMBase < numHyper:
		e = &c.other[leaf-abi.CPUIDKVMBase]
	default:
		return Result{}
	}
	if e.fix == plain {
		return e.r
	}
	return c.fix(e, v, sub)
}

func (c *CPUID) fix(e *entry, v *View, sub uint32) Result {
	r := e.r
	switch e.fix {
	case fixFeatures:
		r.EBX |= v.ID << 24
		if v.CR4&x86.CR4OSXSAVE != 0 {
			r.ECX |= c1OSXSAVE
		}
		if v.NoAPIC {
			r.EDX &^= d1APIC
		}
	case fixExtFeatures:
		if v.NoAPIC {
			r.EDX &^= d1APIC
		}
	case fixCache:
		t := &c.cache
		if e == &c.ext[0x1d] {
			t = &c.cacheX
		}
		if sub >= uint32(len(t)) {
			return Result{}
		}
		return t[sub]
	case fixSub:
		switch sub {
		case 0:
		case 1:
			return c.leaf71
		default:
			return Result{}
		}
	case fixTopology:
		return c.topology(v, sub)
	case fixXSAVE:
		return c.xsave.leaf(v.XCR0, sub)
	case fixNode:
		// APM Vol. 3, "Function 8000_001Eh": the core within the socket, of which each is a
		// node.
		r.EAX = v.ID
		r.EBX |= v.ID & (1<<c.socketShift - 1) >> c.threadShift
		r.ECX = v.ID >> c.socketShift
	}
	return r
}

// NewCPUID computes the table. It allocates.
func NewCPUID(cfg *Config) *CPUID {
	t := cfg.Topology
	c := &CPUID{vcpus: t.Cores * t.Threads, threads: t.Threads, spec: cfg.Spec, host: cfg.Host}
	c.threadShift, c.socketShift = t.Shifts()
	c.xsave.init(cfg.Host, cfg.XCR0)
	c.buildBasic()
	c.buildExt()
	c.buildTiming(cfg.TSCHz)
	c.buildHyper(cfg)
	c.cr4 = c.buildCR4()
	for leaf := range c.basic {
		if c.basic[leaf].fix == plain {
			c.constant |= 1 << leaf
		}
	}
	c.host = nil
	return c
}

// vendor packs a 12-byte signature into EBX, ECX, EDX in the order of the
// hypervisor leaves.
func vendor(max uint32, s string) Result {
	b := []byte(s)
	return Result{max, binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
}

// isAMD reports whether leaf 0 names AMD or its licensee Hygon.
func isAMD(r Result) bool {
	return r.EBX == 0x6874_7541 && r.EDX == 0x6974_6e65 || // Auth enti
		r.EBX == 0x6f67_7948 && r.EDX == 0x6e65_476e // Hygo nGen
}
