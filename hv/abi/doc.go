// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package abi is the contract between the hypervisor and dom0: hypercall
// numbers, structures, status codes and shared-page layouts. hv, dom0 and the
// tests share it; it imports nothing of ours.
//
// # Hypercalls
//
// The instruction is VMMCALL on AMD and VMCALL on Intel processors; both
// exit on either, and StartInfo.CallInsn says which is native. RAX holds the
// [Call], arguments go in RDI, RSI, RDX, R8 and R9. On return RAX is a
// [Status] and RDX a value; all other registers are kept. Structures are passed
// by guest physical address, must not cross a 4 KiB page unless said, and are
// read once before they are checked. Calls from CPL 1 to 3 get #UD.
//
// Long operations are continued by the caller: they return [Again] with the
// progress kept in the hypervisor, and the caller repeats the same call.
//
// # Accesses
//
// A guest's access to a claimed range waits in the slot of its vCPU until dom0
// answers: an instruction makes one access after the other, so one slot for each
// vCPU is enough. What need not wait is a doorbell ([CallDomBell]): a write
// there sets a bit of IOReqPage.Bell, whatever its value and size, and the vCPU
// goes on. When the bit was clear, the domain's event port is raised; any number
// of writes before dom0 clears it are one event. A doorbell may be moved within
// claimed ranges while the guest runs, as its base address register moves.
//
// A port that is polled, or to which a stream of bytes is written, may have a cell, a
// word in which dom0 says what the hypervisor may do by itself with accesses of one
// byte, at any time anew. CellRead answers reads. With CellPost writes go to the ring
// IOReqPage.Post, while there is room. dom0 carries them out, in order, before it
// answers an access that it has seen after them; the domain's event port is raised
// when the ring fills up, when the vCPU stops running, or when it is interrupted.
//
// # PCI configuration
//
// In a claim of all ports from PortPCI to PortPCI+7 the hypervisor keeps what a
// doubleword written to PortPCI selects, and accesses to the data ports are those of
// SpaceConfig: of functions that are claimed there they become IOReqs, all others do
// not exist and read as all ones. A claim may hold functions that do not exist, dom0
// then says so. The rest of these ports, such as PortReset, is dom0's as it is.
//
// # PCI functions of the machine
//
// dom0 reads the configuration space of all functions. One that it has been assigned it
// may use: its base addresses, of which the hypervisor keeps the values, are mapped one
// by one at GPA == HPA, which may be above StartInfo.Top; of its command register dom0
// has memory, ports and bus mastering. A function is assigned quiet: bus mastering is
// off, and no interrupt enabled. Interrupts are event ports. dom0 names message and port;
// the hypervisor chooses vector and CPU, and writes the message, which dom0 can neither
// see nor change: the capabilities MSI and MSI-X are read-only, and pages of a base
// address with messages of MSI-X are not mapped. A line (INTx) is level-triggered and may
// be shared: it raises the ports of all that have it, and is then masked until CallIRQDone
// has come of each, which it is to do when its device does not assert the line any more.
//
// Bridges, interrupt controllers, IOMMUs and displays are never assigned.
//
// # Changelog
//
//	1  first version; NoRecord was added to it
//	2  CallDomMSI, CallDomBell and IOReqPage.Bell, CallDomEnd; kinds of RAM;
//	   IOReq.Time; a domain's RAM stays mapped in dom0 (no CallDomUnmap);
//	   CallIOReqDone always hands the CPU over; ports 0x60, 0x64 and 0xcf8 to
//	   0xcff are dom0's; ExitCounts has what exits cost
//	3  SpaceConfig, cells and posted writes, CallDomTrigger
//	4  CreateArgs.Topology; CallDomAffinity, and then
//	   PCIFunction and NoDevice, were added to it
//	5  DomainInfo.Absent and Started, TriggerUnplug and TriggerPlug; CallSchedSlice,
//	   HostInfo.IOMMU, and CallPCIAssign to CallIRQDone were added to it
//	6  SharedInfo.Ready, and Masked in place of a mask for each port; CallSetWall was
//	   added to it
//	7  SharedInfo.Devices and DeviceVector: interrupts of devices are not among the
//	   words of Pending
package abi

// Version is the version of this contract. It changes with every incompatible
// change of a structure or call.
const Version = 7

// Status is the result of a hypercall.
type Status uint64

// Status values.
const (
	OK         Status = iota
	Again             // not finished: repeat the call
	BadCall           // no such call
	Denied            // the caller may not do this
	BadArg            // an argument is out of range
	BadAddress        // a guest physical address is not the caller's RAM
	NoDomain          // no such domain
	NoVCPU            // no such vCPU
	NoMemory          // not enough free memory
	NoSlot            // a table is full
	Exists            // a domain of that name exists, or the range is taken
	Busy              // not in a state that allows this
	TooBig            // the answer does not fit the buffer
	NoRecord          // no room for records in the hypervisor's own memory
	NoDevice          // no such device
	NumStatus
)

var statusText = [NumStatus]string{
	"ok", "not finished", "no such hypercall", "permission denied",
	"argument out of range", "bad guest physical address", "no such domain",
	"no such vCPU", "not enough free memory", "table full", "already exists",
	"domain is busy", "buffer too small", "the hypervisor's own memory is full",
	"no such device",
}

// Error makes a Status other than OK usable as an error.
func (s Status) Error() string {
	if s < NumStatus {
		return statusText[s]
	}
	return "unknown hypercall status"
}

// Release is the version of this tree, of hv and of dom0.
const Release = "0.1"

// Values of StartInfo.CallInsn: the instruction that makes a hypercall. The kernel
// layer's assembly knows that one of them is 0.
const (
	CallVMMCALL = 0
	CallVMCALL  = 1
)
