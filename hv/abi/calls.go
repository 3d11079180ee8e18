// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package abi

// Call is a hypercall number. Numbers start high so that they never meet KVM's,
// which an unmodified Linux may issue.
type Call uint64

// CallBase is the first number.
const CallBase Call = 0x5200

// The calls, with their arguments (in order) and result value. Those marked
// "any" are open to every guest, the others to dom0 only.
const (
	CallNop          Call = CallBase + iota // any; () -> Version
	CallHost                                // (gpa *HostInfo)
	CallPower                               // (op Power): does not return on success
	CallLog                                 // (gpa []byte, length, offset) -> bytes copied: the log from a running offset, bytes since boot; BadArg and the oldest offset kept if that is lost
	CallConsoleWrite                        // (gpa []byte, length <= 4096) -> bytes taken
	CallConsoleRead                         // (gpa []byte, length) -> ConsoleInput: bytes read, 0 when empty, and lost
	CallDebugKey                            // (key): the output goes to the log ring

	CallDomCreate    // (gpa *CreateArgs) -> domain id; paused, without memory
	CallDomPopulate  // (dom, gpa start, bytes, RAMKind): a multiple of 4 KiB; continued
	CallDomMap       // (dom, gpa *ExtentList): maps all RAM of dom into dom0 at GPA == HPA, until dom is destroyed, and lists it
	CallDomSetVCPU   // (dom, vcpu, gpa *VCPUContext): before the vCPU first runs, or paused; BadArg for values that its guest could not set
	CallDomGetVCPU   // (dom, vcpu, gpa *VCPUContext)
	CallDomClaim     // (dom, Space, start, bytes, cell): accesses there become IOReqs; the ports have the cells from number cell-1 on, with 0 none
	CallDomPause     // (dom)
	CallDomUnpause   // (dom)
	CallDomDestroy   // (dom); continued until all memory is scrubbed and free
	CallDomInfo      // (first id, gpa *DomainInfo): the first domain with id >= first
	CallDomRename    // (dom, gpa *[NameLen]byte)
	CallDomSetRecord // (dom, gpa []byte, length <= RecordLen): toolstack's opaque record
	CallDomGetRecord // (dom, gpa []byte, length) -> bytes
	CallDomIRQ       // (dom, gsi, level 0 or 1): sets an interrupt line of dom's IOAPIC and PIC
	CallDomMSI       // (dom, address, data): the message-signalled interrupt that a function's write of data, 32 bits, to address is
	CallDomBell      // (dom, bell, Space, start, bytes): makes a part of a claimed range doorbell number bell, or with 0 bytes none
	CallDomEnd       // (dom, Shutdown): dom stops as if by itself: a device model resets it
	CallDomTrigger   // (dom, Trigger, vcpu) -> 1 if the guest listens to the button
	CallDomSched     // (dom, weight, cap)
	CallDomShutdown  // any: (Shutdown): the calling domain stops

	CallEventSend // (port): from dom0, to itself; for tests and wake-ups
	CallIOReqDone // (dom, vcpu): the slot is Done, the vCPU may go on, before the caller if it is on its CPU
	CallVCPUStart // (vcpu, entry GVA, stack GVA, argument): dom0 starts its other vCPUs

	CallExitCounts // (dom or AllDomains, gpa *ExitCounts)
	CallTrace      // (cpu, gpa []TraceRecord, bytes) -> records copied, newest last

	CallDomAffinity // (dom, vcpu, mask of CPUs) -> where the vCPU may run: on those, with ^0 on all, with 0 as before; BadArg and the CPUs that run vCPUs if the mask has others

	CallPCIFunction // (n, gpa *PCIFunction) -> number of functions: the one of index n; NoDevice behind the last
	CallPCIRead     // (PCIAddr, register, bytes 1, 2 or 4) -> value of an aligned register of a function's configuration space
	CallSchedSlice  // (us) -> microseconds that a vCPU runs while others wait, from now on; 0 asks only, BadArg for less than MinSlice or more than MaxSlice

	CallPCIAssign  // (PCIAddr): the function is dom0's, quiet, in power state D0: see "PCI functions of the machine"; continued
	CallPCIMap     // (PCIAddr, base address 0 to 5) -> its address: memory is mapped into dom0 there, uncached, but for interrupt messages of MSI-X; ports are opened to it, unless they are the board's; continued
	CallPCIWrite   // (PCIAddr, register, bytes 1, 2 or 4, value): Denied where nothing of the register is dom0's
	CallPCIRelease // (PCIAddr): the function is nobody's, quiet, and reset if it can be; continued
	CallIRQBind    // (PCIAddr, IRQKind, message, port from PortDevice on) -> handle: the interrupt raises the port; NoDevice if the function has no such interrupt
	CallIRQMask    // (handle, 1 or 0): the interrupt waits, or not any more
	CallIRQUnbind  // (handle)
	CallIRQDone    // (handle): of IRQLine, that its interrupt has been seen to; it may come again

	CallSetWall // (ns since 1970, UTC): that is the time now; BadArg if the machine would have started before 1970
	CallEnd
)

// NumCalls is the size of a table indexed by Call-CallBase.
const NumCalls = int(CallEnd - CallBase)

// Dom0 is the domain id of dom0; AllDomains stands for every domain.
const (
	Dom0       = 0
	AllDomains = ^uint64(0)
)

// MinSlice and MaxSlice bound the operand of CallSchedSlice, in microseconds.
const (
	MinSlice = 500
	MaxSlice = 100_000
)

// Power is the operand of CallPower.
type Power uint64

// Power operations.
const (
	PowerOff Power = iota
	PowerReboot
	PowerCrash // panic the hypervisor, for tests of the crash dump
)

// ConsoleInput is the result value of CallConsoleRead. Input is lost when dom0's
// queue is full, or on the line: then no more is queued until dom0 has read what
// there is and been told, so that what was lost always stands behind bytes read.
type ConsoleInput uint64

// NewConsoleInput returns the value for n bytes read and lost bytes behind them;
// line says that the last of the lost ended a line.
func NewConsoleInput(n int, lost uint64, line bool) ConsoleInput {
	v := ConsoleInput(uint32(n)) | ConsoleInput(min(lost, 1<<31-1))<<32
	if line {
		v |= 1 << 63
	}
	return v
}

// Bytes is how many bytes were read.
func (v ConsoleInput) Bytes() int { return int(uint32(v)) }

// Lost is how many bytes were lost behind those, at least, and whether the last
// one ended a line.
func (v ConsoleInput) Lost() (n uint64, line bool) { return uint64(v) << 1 >> 33, v>>63 != 0 }

// Shutdown is why a domain stopped by itself.
type Shutdown uint32

// Shutdown reasons.
const (
	ShutdownNone Shutdown = iota
	ShutdownPoweroff
	ShutdownReboot // asked for, or a triple fault; see DomainInfo.Why
	ShutdownCrash  // killed by the hypervisor; see DomainInfo.Why
)

// Trigger is what [CallDomTrigger] does to a guest.
type Trigger uint64

// Triggers: the buttons of ACPI's fixed hardware, an NMI, and INIT, which for the
// boot processor is a reset. Unplug is an INIT after which start-up messages do
// nothing until Plug, which does nothing to a vCPU that is there. Neither is for the
// boot processor.
const (
	TriggerPower Trigger = iota
	TriggerSleep
	TriggerNMI
	TriggerInit
	TriggerUnplug
	TriggerPlug
)

// Space is an address space that a domain's device models claim ranges of.
type Space uint64

// RAMKind is what writes of the guest to its RAM do. dom0 may write all of it.
type RAMKind uint64

// Kinds of RAM.
const (
	RAMWritable  RAMKind = iota
	RAMReadOnly          // ROM: writes are ignored
	RAMForwarded         // ROM: writes become IOReqs, as in a claimed range
)

// Address spaces.
const (
	SpacePort Space = iota
	SpaceMemory
	// SpaceConfig is PCI configuration space: bus<<20 | device<<15 | function<<12 |
	// register. Whole functions are claimed.
	SpaceConfig
)
