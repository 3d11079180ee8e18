// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Poke is a dom0 that breaks its walls: it reads, or with a boot module called
// "write" writes, memory that belongs to the hypervisor. It says "poke: stopped"
// when an access faults here, and "poke: NOT ISOLATED" when one succeeds. That
// the hypervisor ends it is as good.
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
	for _, phys := range []uint64{layout.ImageBase, layout.ImageBase + 1<<20, layout.ImageBase + 4<<20} {
		fmt.Printf("poke: access to %#x\n", phys)
		if try(phys, write) {
			fmt.Printf("poke: NOT ISOLATED at %#x\n", phys)
		} else {
			fmt.Printf("poke: stopped at %#x\n", phys)
		}
	}
	fmt.Println("poke: done")
}

// try reports whether the access to physical memory went through.
func try(phys uint64, write bool) (through bool) {
	debug.SetPanicOnFault(true)
	defer func() {
		if recover() != nil {
			through = false
		}
	}()
	access(phys, write)
	return true
}
