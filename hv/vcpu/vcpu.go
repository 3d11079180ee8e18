// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package vcpu is the seam between the hypervisor and the two ways of running a
// guest (vmx, svm): one neutral exit record, one event to inject, two
// interfaces. Nothing above this package knows which backend runs. Backends
// translate; they never decide policy.
package vcpu

import (
	"errors"

	"ringo/hv/spec"
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/phys"
	"ringo/mm/pt"
)

// RecordBytes is what a backend's VCPU takes of the Go heap at most: the
// hypervisor accounts with it. Backends check it at compile time.
const RecordBytes = 1536

// ErrTooMany is the error, or the cause of it, of Backend.NewVCPU when a table
// of the processor is full.
var ErrTooMany = errors.New("too many vCPUs for this processor")

// Reason is why a guest stopped.
type Reason uint8

// The reasons. Each handler is named in hv/internal/run.
const (
	Interrupted Reason = iota // host interrupt, kick or preemption request: nothing for the guest
	Window                    // the guest can take the event that Inject refused
	CPUID
	RDMSR      // MSR number in Regs.RCX
	WRMSR      // value in Regs.RDX:RAX
	Hypercall  // VMMCALL or VMCALL
	IO         // see Exit.IO
	Memory     // second-level translation failed, see Exit.Mem
	HLT        //
	Pause      // spin-loop filter
	XSETBV     // XCR number in RCX, value in RDX:RAX
	CRWrite    // see Exit.CR
	CRRead     // see Exit.CR
	DRAccess   // debug register touched while they were not loaded: the backend has loaded them, resume
	Cache      // INVD, WBINVD
	Monitor    // MONITOR, MWAIT
	RDPMC      //
	TSC        // RDTSC, RDTSCP (only while intercepted)
	Privileged // an instruction of nested virtualization or SMM: answer with #UD
	Exception  // intercepted guest exception, see Exit.Event
	TaskSwitch //
	Shutdown   // triple fault
	Init       // INIT signal
	Invalid    // entry refused: hostile or broken guest state; Raw for the trace
	Unknown    // a code the backend does not know: kill the guest
	DRWrite    // MOV to debug register Exit.CR.CR that the CPU must not execute: decode at RIP, Set
	APICWrite  // the CPU has carried out a write to a local APIC register and wants the rest done, see Exit.APIC
	Tick       // a host interrupt was taken, or had its moment: if it wants anything, it has left a word
	BusLock    // a locked access held up all CPUs: the instruction is done, or will be
	Notify     // for a while the CPU could take no event: the guest may go on
	Lost       // the same, and nothing that the CPU says of the guest is true any more
	NumReasons
)

// IOExit describes a port access (Reason IO).
type IOExit struct {
	String bool // INS or OUTS: decode at RIP
	In     bool // from port to guest
	Port   uint16
	Size   uint8 // 1, 2 or 4 bytes
}

// MemExit describes a second-level fault (Reason Memory).
type MemExit struct {
	GPA   mm.GPA
	Write bool
	Fetch bool
	// Walk: the access was the CPU's own, to a guest page table.
	Walk bool
	// Present: a translation exists but forbids the access.
	Present bool
}

// CRExit describes a control-register access (Reasons CRWrite and CRRead). When
// Known is false the backend could not tell register and operand: decode at RIP.
type CRExit struct {
	Known bool
	CR    uint8
	GPR   uint8 // operand in instruction encoding order
}

// APICExit describes a write that a CPU with [Caps.VirtualAPIC] has carried out
// (Reason APICWrite). RIP is behind the instruction.
type APICExit struct {
	Reg uint8 // number of the register, see x86.APICPage
	// Vector is the interrupt that a write to EOI has ended: one whose bit in
	// the page's TMR was set at the last LoadAPIC.
	Vector uint8
}

// Exit is one guest exit. Raw is for traces only. What a frequent exit sets to
// constants lies together, from Reason to IO.String: one store does for all.
type Exit struct {
	// Len is the length of the instruction in bytes; 0 means unknown: decode.
	Len    uint8
	Reason Reason
	// CPL is the privilege level at the exit, 0 to 3. Of CPUID, RDMSR, WRMSR, HLT, IN
	// and OUT, whose right the CPU has checked, it may be told as 0.
	CPL uint8
	// Ahead says that the vCPU's RIP is behind the instruction, Len bytes beyond
	// RIP here, and the interrupt shadow over: there is nothing to skip. Whoever
	// raises a fault, or has the instruction executed again, puts RIP back.
	Ahead bool
	IO    IOExit
	CR    CRExit
	Mem   MemExit
	APIC  APICExit
	Event Event // Reason Exception
	RIP   uint64
	// TSC is the host's time-stamp counter as Run saw it after the exit.
	TSC uint64
	// Raw is the exit code, and two words of information; of the frequent exits
	// only the first word of information.
	Raw [3]uint64
}

// EventType has Intel's encoding (SDM Vol. 3, "VM-Entry Controls for Event
// Injection").
type EventType uint8

// Event types.
const (
	ExternalInterrupt EventType = 0
	NMI               EventType = 2
	HardException     EventType = 3
	SoftInterrupt     EventType = 4
	SoftException     EventType = 6
)

// Event is an interrupt or exception to deliver through the guest's IDT.
type Event struct {
	Type   EventType
	Vector uint8
	HasErr bool
	Err    uint32
}

// Caps is what the CPU's virtualization can do. New hardware features become a
// field here, not a method of the interfaces.
type Caps struct {
	Name        string // "AMD-V" or "VT-x", for people
	Short       string // the word for virt_caps in the toolstack's info
	HugePages1G bool   // second-level tables may use 1 GiB leaves
	// VirtualAPIC: the CPU delivers the guest's interrupts and executes its
	// writes to TPR and EOI without exits; every VCPU is a LocalAPIC.
	VirtualAPIC bool
	XSAVE       bool // host runs with CR4.OSXSAVE; guests may use XCR0Mask
	XCR0Mask    uint64
}

// Env is what a backend needs of the hypervisor.
type Env struct {
	Phys phys.Memory
	// Pages returns n contiguous zeroed 4 KiB pages that belong to the
	// hypervisor; Release gives them back, scrubbed by the caller.
	Pages   func(n int) (mm.HPA, error)
	Release func(a mm.HPA, n int)
	// Virt is the hypervisor's own virtual address of physical address a.
	Virt func(a mm.HPA) uintptr
	// KickWord is the address of a word of a CPU that is not 0 when an interrupt
	// came that the runner there must see: the entry code stays out then, and
	// Run clears it. nil: there is no such word.
	KickWord func(cpu int) *uint32
	// TSCHz is the rate of the time-stamp counter.
	TSCHz uint64
	// Spec is what is done against attacks by speculative execution.
	Spec spec.Plan
}

// Backend is one way of running guests on this machine's CPUs.
type Backend interface {
	Caps() *Caps
	// Enable turns virtualization on for the calling CPU and prepares its host
	// state. It is called once per CPU, on the thread that will run guests
	// there: a thread bound to that CPU for good.
	Enable(cpu int) error
	TableFormat() *pt.Format
	// NewVCPU makes a vCPU in the architectural reset state (SDM Vol. 3,
	// "Processor State After Reset") over the second-level tables t.
	NewVCPU(t *pt.Tables) (VCPU, error)
}

// VCPU is one virtual CPU. No method but Free allocates or frees. From Run to
// Leave all methods are for the thread that runs the vCPU, except Kick; then for
// anybody, one at a time. But registers other than the general-purpose ones, RIP, RSP,
// RFLAGS, CR0, CR3, CR4 and CR8 are then for threads that have called Enable: they may
// be where only those reach them.
type VCPU interface {
	// Run enters the guest and returns at the first exit the backend cannot
	// finish itself (host NMI, TLB bookkeeping, exception re-injection). It
	// fills x. A host interrupt ends the run: as Interrupted, or, where it has been
	// taken by then, as Tick, and what it wants keeps the next run from entering.
	//
	// Preconditions: the calling thread is the one that called Enable on cpu.
	// v last ran on this CPU, or has left the other one. Run does not allocate.
	Run(cpu int, x *Exit)
	Regs() *x86.Regs
	Get(r x86.Reg) uint64
	// Set changes a register; v's guest sees it at the next Run. Set of CR0,
	// CR3, CR4 and EFER takes what the guest shall see: the backend adds the
	// bits the hardware needs. EFER.LMA is not taken from val: it follows
	// EFER.LME and CR0.PG, whichever of the two registers is set last.
	Set(r x86.Reg, val uint64)
	Segment(s x86.Seg) x86.Segment
	// Snapshot gets at once what a run left that decides how the instruction at
	// RIP is fetched and what it does.
	Snapshot(s *Snapshot)
	SetSegment(s x86.Seg, seg x86.Segment)
	// Inject delivers e at the next entry. It reports false when the guest
	// cannot take it now (interrupts off, shadow, another event pending): then
	// nothing is queued, and Run will return Window when it can. An exception
	// raised while another one was being delivered is merged with it (double
	// fault; the next Run returns Shutdown for a triple fault). Return RIP of
	// a soft event is the present RIP: Advance first.
	Inject(e Event) bool
	// ClearEvents forgets what is on its way to the guest (accepted or replayed
	// events, windows owed, a triple fault that was not yet returned) and what
	// holds events back (blocking of NMIs, the interrupt shadow, pending debug
	// exceptions). Whoever gives v another state instead of changing the one
	// it has calls it before the first Set.
	ClearEvents()
	// Advance skips n bytes at RIP and clears the interrupt shadow.
	Advance(n uint8)
	// Leave takes v off the CPU that it ran on last. The thread that ran it
	// there calls it when it will not run v next: v may then run on another
	// CPU, and anybody may call the other methods.
	Leave()
	// Kick makes the present or the next Run return Interrupted: it sets a word
	// that the entry code reads with interrupts off. Any thread may call it.
	// When v runs on another CPU the caller then sends that CPU an interrupt.
	// A caller that changed something Run must see (an event, a page table)
	// changes it first, then kicks, then interrupts.
	Kick()
	// Free returns v's memory, scrubbed. v must not run, and is dead after.
	Free()
}

// Metered is what every VCPU is besides: it knows what its exits cost. What Meter
// returns is gone after Free.
type Metered interface {
	Meter() (*Meter, *Costs)
}

// Snapshot is registers as Get and Segment return them.
type Snapshot struct {
	RIP, RSP, RFLAGS    uint64
	CR0, CR3, CR4, EFER uint64
	CSBase              uint64
	CSAccess            uint32
}

// LocalAPIC is what a VCPU is besides on a CPU with [Caps.VirtualAPIC]. Its
// methods are for those who may call VCPU's.
type LocalAPIC interface {
	// APIC is the page in which the CPU keeps the registers of the vCPU's local
	// APIC while it runs; nil says that it does not. The CPU moves interrupts
	// from IRR to ISR and delivers them, whenever RFLAGS.IF, the shadow and PPR
	// let it; Inject changes neither. Between runs the page is the caller's: the
	// CPU has kept TPR, PPR, ISR and IRR up to date.
	APIC() *x86.APICPage
	// LoadAPIC says that the caller has changed ISR, IRR or TMR in the page. PPR
	// must be what they and TPR make it: a CPU looks at both when it enters. With x2 the guest reaches the
	// registers as the MSRs of x2APIC mode: it reads, without exits, those of
	// the page that change by writes only, and writes TPR, EOI and SELF IPI. All
	// other accesses exit, as does, afterwards, an EOI of a vector in TMR.
	LoadAPIC(x2 bool)
}
