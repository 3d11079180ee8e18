// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Poke is a dom0 that breaks its walls: it reads, or with a boot module called
// "write" writes, memory that belongs to the hypervisor. It says "poke: stopped"
// when an access faults here, "poke: nothing" when it is answered as a bus
// without a device does, and "poke: NOT ISOLATED" when there was memory.
package main

import (
	"fmt"
	"runtime/debug"

	"ringo/boot/kernel"
	"ringo/boot/layout"
	"ringo/hv/abi"
)

func main() {
	si := kernel.StartInfo()
	if si == nil {
		fmt.Println("poke: not started by the hypervisor")
		return
	}
	write := false
	for _, m := range si.Modules[:min(si.NumModules, abi.MaxModules)] {
		write = write || string(m.Name[:6]) == "write\x00"
	}
	// hv's image lies where it is linked; its page tables and heap follow.
	for _, phys := range []uint64{layout.ImageBase, layout.ImageBase + 1<<20, layout.ImageBase + 4<<20, above(si)} {
		fmt.Printf("poke: access to %#x\n", phys)
		fmt.Printf("poke: %s at %#x\n", try(phys, write), phys)
	}
	fmt.Println("poke: done")
}

// above is the address behind dom0's memory: free frames of hv, or its tables.
func above(si *abi.StartInfo) uint64 { return (si.PoolEnd + 2<<20) &^ (1<<21 - 1) }

// words is how much is looked at: an image has more than one value in it.
const words = 64

// try accesses physical memory and says what came of it.
func try(phys uint64, write bool) (result string) {
	debug.SetPanicOnFault(true)
	defer func() {
		if recover() != nil {
			result = "stopped"
		}
	}()
	for i := range uint64(words) {
		if write {
			store(phys+4*i, 0xdead)
		}
		if load(phys+4*i) != ^uint32(0) {
			return "NOT ISOLATED"
		}
	}
	return "nothing"
}
