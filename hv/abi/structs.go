// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

// All structures have the same layout in every Go program for amd64: fields are
// naturally aligned, padding is explicit, strings are NUL-padded.

// Sizes of arrays in the structures, in elements.
const (
	NameLen    = 64
	WhyLen     = 160
	RecordLen  = 4096
	MaxRanges  = 64
	MaxModules = 32
	MaxExtents = 254
	MaxVCPUs   = 32
	MaxDomains = 256 // dom0 included
	MaxPorts   = 1024
	MaxBells   = 128 // doorbells of a domain
	MaxCells   = 64  // cells of a domain
	MaxPosts   = 64  // a power of two
)

// MemType is the type of a [MemRange], with the e820 numbers (ACPI
// specification, "Address Range Types").
type MemType uint32

// Memory types.
const (
	MemRAM      MemType = 1
	MemReserved MemType = 2
	MemACPI     MemType = 3
	MemNVS      MemType = 4
	// MemDevice is a window of device registers that dom0 may touch.
	MemDevice MemType = 0x1000
)

// MemRange is a range of dom0's guest physical addresses; Size is in bytes.
type MemRange struct {
	Start, Size uint64
	Type        MemType
	_           uint32
}

// Module is a boot module: Size bytes at GPA Start, page aligned.
type Module struct {
	Start, Size uint64
	Name        [NameLen]byte
}

// StartMagic is StartInfo.Magic: "RINGOHV" and the version.
const StartMagic = 0x52494e474f485600 | Version

// StartInfo tells dom0 what it was started with. Its GPA is in RDI at the first
// instruction; dom0's RAM is at GPA == HPA.
type StartInfo struct {
	Magic   uint64
	TSCHz   uint64 // rate of the time-stamp counter
	EpochNS uint64 // wall time at TSC 0, ns since 1970, UTC
	// The image lies at GPA ImageStart and is seen at its link address.
	ImageStart, ImageSize uint64
	// Top is the end of the machine's memory. The direct map must reach it:
	// frames of other domains are mapped at GPA == HPA later.
	Top uint64
	// PoolStart to PoolEnd is free RAM for dom0's runtime.
	PoolStart, PoolEnd uint64
	SharedInfo         uint64 // GPA of the page
	RSDP               uint64 // GPA of the host's ACPI root pointer, 0 = none
	NumCPUs            uint32 // dom0's vCPUs
	CallInsn           uint32 // CallVMMCALL or CallVMCALL
	NumRanges          uint32
	NumModules         uint32
	CmdLine            [1024]byte
	Ranges             [MaxRanges]MemRange
	Modules            [MaxModules]Module
}

// SharedInfo is a page that hv and dom0 share. Words are changed with atomic
// operations only. hv sets a port's bit in Pending and, when it was clear, the bit of
// that word in Ready; when Ready was zero and Masked is, it raises UpcallVector on
// dom0's vCPU 0. dom0 takes Ready first, and then the words that it names. Ports of
// devices are in Devices alone: when it was zero, hv raises DeviceVector there.
type SharedInfo struct {
	Ready   uint64 // bit w: Pending[w] may have bits
	Masked  uint64 // not zero: dom0 looks by itself
	Pending [MaxPorts / 64]uint64
	Devices uint64 // bit n: port PortDevice+n
}

// UpcallVector and DeviceVector are the interrupt vectors of event notifications in
// dom0. Their delivery ends them: they are never in service, and dom0 writes no EOI for
// them.
const (
	DeviceVector = 0xef
	UpcallVector = 0xf0
)

// Fixed event ports; CreateArgs.Port is PortDomain + the domain's slot. From PortDevice
// on are those that dom0 chooses for interrupts of devices.
const (
	PortConsole     = 1 // input on the host console
	PortDomainState = 2 // a domain stopped, crashed or went away
	PortDomain      = 64
	PortDevice      = PortDomain + MaxDomains
	NumDevicePorts  = 64
)

// CreateArgs is the operand of CallDomCreate.
type CreateArgs struct {
	Name     [NameLen]byte
	UUID     [16]byte
	VCPUs    uint32
	Weight   uint32 // 1-65535; 0 = 256
	Cap      uint32 // percent of one CPU, 0 = none
	Flags    uint32 // CreateKVM; other bits must be 0
	MaxBytes uint64 // of RAM
	Affinity uint64 // bit per CPU, 0 = all
	Topology Topology
	// Results.
	ID    uint32
	Port  uint32 // event port that announces the domain's IOReqs
	IOReq uint64 // GPA in dom0 of the IOReqPage
}

// CreateKVM in CreateArgs.Flags makes KVM's CPUID leaves the first: some systems
// look for a hypervisor at CPUIDBase only.
const CreateKVM = 1 << 0

// Extent is a part of a domain's RAM that is contiguous in both address spaces.
type Extent struct {
	GPA, HPA, Size uint64
}

// ExtentList is the operand of CallDomMap. A domain with more extents answers
// Again until First reaches the end.
type ExtentList struct {
	First uint32 // index of the first extent wanted
	Count uint32 // result
	Total uint32 // result
	_     uint32
	E     [MaxExtents / 2]Extent
}

// IOReqState is the life of an [IOReq] slot.
const (
	IOReqFree  = 0
	IOReqReady = 1 // hv filled it; dom0 must answer
	IOReqDone  = 2 // dom0 filled Data and calls CallIOReqDone
)

// IOReq is one access that dom0 must answer for a blocked vCPU.
type IOReq struct {
	State uint32 // atomic
	Space uint8  // Space
	Read  uint8  // 1: from the device to the guest
	Size  uint8  // bytes: 1, 2, 4 or 8
	_     uint8
	Addr  uint64
	Data  uint64
	Time  uint64 // host TSC at the exit
	_     [4]uint64
}

// IOReqPage holds a domain's slots, one per vCPU, its doorbells, cells and posted
// writes.
type IOReqPage struct {
	Slot [MaxVCPUs]IOReq
	Bell [MaxBells / 64]uint64 // bits of doorbells that were rung; atomic
	Cell [MaxCells]uint32      // what dom0 says of claimed ports; atomic
	// PostIn and PostOut count what hv has put into Post, and what dom0 has taken
	// out; atomic. Entry n is at n%MaxPosts.
	PostIn, PostOut uint32
	Post            [MaxPosts]Posted
	_               [744]byte
}

// Cell is what dom0 lets the hypervisor do with accesses of one byte to a port: bits
// of IOReqPage.Cell.
const (
	CellRead = 1 << 8 // reads are answered with the low byte of the cell
	CellPost = 1 << 9 // writes become Posted, and the vCPU goes on
)

// Posted is a write of one byte that dom0 has yet to carry out.
type Posted struct {
	Time  uint64 // host TSC at the exit
	Port  uint16
	Value uint8
	_     [5]uint8
}

// Segment is a segment register in Intel's access-right format (see package
// hv/x86).
type Segment struct {
	Selector uint16
	_        uint16
	Access   uint32
	Limit    uint32
	_        uint32
	Base     uint64
}

// VCPUContext is the register state of a vCPU.
type VCPUContext struct {
	// GPR is in instruction encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8-R15.
	GPR                       [16]uint64
	RIP, RFLAGS               uint64
	CR0, CR2, CR3, CR4, CR8   uint64
	EFER, PAT                 uint64
	STAR, LSTAR, CSTAR, FMASK uint64
	KernelGSBase              uint64
	Seg                       [8]Segment // ES CS SS DS FS GS LDTR TR
	GDTBase, IDTBase          uint64
	GDTLimit, IDTLimit        uint32
	Online                    uint32 // 0: waits for INIT and SIPI
	// VirtualWire is 1 when the local APIC is as firmware leaves that of the boot
	// processor: enabled, the 8259As on LINT0, NMIs on LINT1. Else it is reset.
	VirtualWire uint32
}

// Domain states, DomainInfo.State bits.
const (
	StateRunning  = 1 << iota // a vCPU runs now
	StateBlocked              // all vCPUs wait for an event
	StatePaused               // by the toolstack
	StateShutdown             // stopped by itself, see Shutdown
	StateCrashed              // killed, see Why
	StateDying                // memory is being freed
)

// DomainInfo is the hypervisor's record of a domain.
type DomainInfo struct {
	ID        uint32
	State     uint32
	Shutdown  Shutdown
	VCPUs     uint32
	Bytes     uint64 // RAM now
	MaxBytes  uint64
	Overhead  uint64 // bytes of hypervisor memory for this domain
	CPUTimeNS uint64
	Exits     uint64
	Forwards  uint64 // accesses answered by dom0
	Weight    uint32
	Cap       uint32
	Port      uint32
	RecordLen uint32
	Absent    uint32 // vCPUs that are unplugged, a bit for each
	Started   uint32 // vCPUs that execute: that do not wait for a start-up message
	IOReq     uint64 // GPA in dom0 of the IOReqPage
	UUID      [16]byte
	Name      [NameLen]byte
	Why       [WhyLen]byte // reason of a crash, for people
}

// HostInfo describes the machine and the hypervisor.
type HostInfo struct {
	NumCPUs       uint32
	NumDomains    uint32
	TSCHz         uint64
	UptimeNS      uint64
	TotalBytes    uint64 // RAM of the machine
	FreeBytes     uint64 // for new domains
	HVBytes       uint64 // image, heap, tables: everything that is hv's own
	Dom0Bytes     uint64
	HeapBytes     uint64 // Go heap in use in hv
	NumGC         uint64
	CPUVendor     [16]byte
	CPUModel      [64]byte
	VirtCaps      [32]byte  // "hvm hap svm"
	Version       [64]byte  // of the hypervisor
	Scheduler     [32]byte  //
	CmdLine       [256]byte // of the hypervisor
	CPUIDLeaf1ECX uint32
	CPUIDLeaf1EDX uint32
	Speculation   [96]byte // what is done against attacks by it
	IdleNS        uint64   // time during which CPUs were halted, their sum
	IOMMU         [96]byte // what confines devices; empty: nothing
}

// MaxReasons bounds ExitCounts.
const MaxReasons = 32

// ExitCounts is the number of exits by reason since boot, and what they cost: cycles
// of the time-stamp counter from the exit to the next entry, without those during
// which others had the CPU.
type ExitCounts struct {
	Count  [MaxReasons]uint64
	Cycles [MaxReasons]uint64 // sum
	P99    [MaxReasons]uint64 // 99 % of the exits cost at most so many cycles, a power of two less one
	Name   [MaxReasons][16]byte
	Time   uint64 // cycles during which the vCPUs had a CPU
}

// TraceRecord is one exit in a CPU's trace ring.
type TraceRecord struct {
	TSC    uint64
	RIP    uint64
	Info   uint64
	Domain uint16
	VCPU   uint16
	Reason uint16
	_      uint16
}
