// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"unsafe"

	"ringo/hv/abi"
)

// A partition of the hypervisor, in dom0's place: what the bare machine does with
// devices is done by hypercalls.

// startInfo is what the hypervisor handed over, nil on the bare machine.
var startInfo *abi.StartInfo

// bootPartition is called from startPartition with the GPA of StartInfo.
//
//go:nosplit
func bootPartition(gpa uint64) {
	si := (*abi.StartInfo)(ptr(phys(gpa)))
	startInfo = si
	imagePA = si.ImageStart
	if si.Magic != abi.StartMagic {
		dieEarly("\nringo: the hypervisor speaks another version of the start information")
	}
	for i := uint64(0); i < uint64(min(si.NumRanges, abi.MaxRanges)); i++ {
		r := (*abi.MemRange)(ptr(addr(unsafe.Pointer(&si.Ranges)) + i*uint64(unsafe.Sizeof(abi.MemRange{}))))
		memMap.add(r.Start, r.Start+r.Size, uint64(r.Type))
	}
	cmdLine.copy(addr(unsafe.Pointer(&si.CmdLine)), uint64(len(si.CmdLine)))
	frames.init(si.PoolStart, si.PoolEnd)
	bootCommon()
}

// partitionClock takes the hypervisor's word for the rates.
//
//go:nosplit
func partitionClock() {
	if credible(startInfo.TSCHz) == 0 {
		dieEarly("\nringo: the hypervisor gives no credible rate of the time-stamp counter")
	}
	setTSCRate(startInfo.TSCHz)
	wallOff = startInfo.EpochNS + scale(tscZero, nsPerTSC)
	if !tscDeadline {
		dieEarly("\nringo: the partition's local APIC has no TSC-deadline timer")
	}
}

// partitionPut is putNow; what p points to may be on a stack of the layer.
//
//go:nosplit
func partitionPut(p, n uint64) uint64 {
	pa, ok := virtToPhys(p)
	if !ok {
		return n
	}
	n = min(n, pageSize-pa&(pageSize-1))
	st, took := hypercall(startInfo.CallInsn, uint64(abi.CallConsoleWrite), pa, n, 0, 0)
	if st != uint64(abi.OK) && st != uint64(abi.Again) || took == 0 || took > n {
		return n
	}
	return took
}

// partitionKickOff makes a vCPU run startAP.
func partitionKickOff(c *cpu, number uint32) error {
	st, _ := hypercall(startInfo.CallInsn, uint64(abi.CallVCPUStart), uint64(number), addrStartAP(), c.ksp, c.self)
	if abi.Status(st) != abi.OK {
		return abi.Status(st)
	}
	return nil
}

// partitionEnd ends the partition and does not return.
//
//go:nosplit
func partitionEnd(how abi.Shutdown) {
	hypercall(startInfo.CallInsn, uint64(abi.CallDomShutdown), uint64(how), 0, 0, 0)
	haltForever()
}
