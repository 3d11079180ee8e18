// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import "ringo/hv/abi"

// What differs between the two platforms, the bare machine (bare.go) and a
// partition of the hypervisor (partition.go): nothing else asks which one it is.

//go:nosplit
func inPartition() bool { return startInfo != nil }

// putNow writes n bytes of the layer's memory to the console and returns how many
// it took, at least one.
//
//go:nosplit
func putNow(p, n uint64) uint64 {
	if inPartition() {
		return partitionPut(p, n)
	}
	return uartPut(p, n)
}

// chunkMost bounds what one system call writes to the console: interrupts are off
// meanwhile.
//
//go:nosplit
func chunkMost() uint64 {
	if inPartition() {
		return pageSize
	}
	return fifoSize / 2
}

// kickOff makes the CPU run startAP. apicID is a vCPU's number in a partition.
func kickOff(c *cpu, apicID uint32) error {
	if inPartition() {
		return partitionKickOff(c, apicID)
	}
	return bareKickOff(c, apicID)
}

// endWorld reboots after 5 seconds, or halts when the command line has
// "noreboot". In a partition it reports the crash.
//
//go:nosplit
func endWorld(crash bool) {
	switch {
	case !inPartition():
		bareEnd(crash)
	case crash:
		partitionEnd(abi.ShutdownCrash)
	default:
		partitionEnd(abi.ShutdownReboot)
	}
}

// directTop is the end of what the direct map covers: in a partition all that the
// machine has, since frames of other domains come and go.
//
//go:nosplit
func directTop() uint64 {
	top := max(memMap.top(), 4*size1G)
	if inPartition() {
		top = max(top, startInfo.Top)
	}
	return top
}

// autoEOI reports whether a vector is never in service: the hypervisor's upcalls.
//
//go:nosplit
func autoEOI(vec uint64) bool {
	return inPartition() && vec-abi.DeviceVector <= abi.UpcallVector-abi.DeviceVector
}

// noMemory is what a page fault without a frame says.
//
//go:nosplit
func noMemory() string {
	if inPartition() {
		return "out of memory: dom0's RAM is used up; give it more (dom0_mem=)"
	}
	return "out of memory: the runtime's pool is used up; make it larger (pool=MiB)"
}
