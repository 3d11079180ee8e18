// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"errors"

	"ringo/boot/layout"
)

// The bare machine: started by a multiboot loader, console at a serial port, processors
// by INIT and SIPI, power by ACPI.

// bootBare is called from start64 with the multiboot magic and the physical
// address of the information.
//
//go:nosplit
func bootBare(magic, info uint64) {
	mbMagic, mbInfo = magic, info
	imagePA = layout.ImageBase
	end := (imageEnd() + pageSize - 1) &^ (pageSize - 1)
	taken.add(imagePA, end, 0)
	scanMultiboot(magic, info)
	if n, ok := cmdLine.number("console=com", 1); ok && n <= 4 {
		comPort = uint16(uint64(comPorts) >> (16 * (n - 1)))
	}
	uartInit(1)
	if memMap.lost+taken.lost != 0 {
		dieEarly("the memory map or the list of modules has too many entries; load fewer modules")
	}
	trampolinePage = memMap.lowPage(&taken)
	taken.add(0, 1<<20, 0) // firmware, trampoline
	a, size := placePool()
	if a == 0 {
		say("\nringo: not enough memory: need ")
		sayDec(size >> 20)
		dieEarly(" MiB in one piece below 4 GiB, modules aside; give the machine more memory or load smaller modules")
	}
	frames.init(a, a+size)
	picInit()
	bootCommon()
}

// poolAlign is the pool's alignment, in bytes.
const poolAlign = 64 << 10

// trampolinePage is the physical page below 1 MiB from which application
// processors start in real mode, 0 if there is none.
var trampolinePage uint64

// placePool finds room for the pool: as much as the machine's RAM suggests, but
// less rather than nothing. When there is no room, a is 0 and size what is
// needed.
//
//go:nosplit
func placePool() (a, size uint64) {
	if v, ok := cmdLine.number("pool=", 4); ok {
		size = v << 20
		return memMap.place(&taken, size, poolAlign, 1<<20, 1<<32), size
	}
	for size = poolSize(memMap.ram()); ; size = max(size/2, layout.PoolMin) {
		a = memMap.place(&taken, size, poolAlign, 1<<20, 1<<32)
		if a != 0 || size == layout.PoolMin {
			return a, size
		}
	}
}

// poolSize is the pool's size in bytes, whole MiB, on a machine with that much
// RAM.
//
//go:nosplit
func poolSize(ram uint64) uint64 {
	return min(max(ram/layout.PoolShare, layout.PoolMin), layout.PoolMax) &^ (1<<20 - 1)
}

// bareKickOff makes an application processor run startAP.
func bareKickOff(c *cpu, apicID uint32) error {
	if trampolinePage == 0 {
		return errors.New("kernel: no memory below 1 MiB to start it from")
	}
	page := phys(trampolinePage)
	for i, b := range trampoline {
		*p8(page + uint64(i)) = b
	}
	*p32(page + trJump) = uint32(trampolinePage) + tr64
	*p32(page + trGDTR + 2) = uint32(trampolinePage) + trGDT
	*p64(page + trCR3) = addrBootTables()
	*p64(page + trCPU) = c.self
	*p64(page + trEntry) = addrStartAP()
	sendLocked(apicID, icrInit|icrAssert|icrLevel)
	sleepNS(10_000_000)
	for i := 0; i < 2; i++ {
		sendLocked(apicID, icrStartup|icrAssert|uint32(trampolinePage>>12))
		sleepNS(300_000)
		if c.arrived() {
			break
		}
	}
	return nil
}

// bareEnd reboots, after 5 seconds or never where it is a crash.
//
//go:nosplit
func bareEnd(crash bool) {
	if crash && cmdLine.toggle("noreboot") {
		say("ringo: halted (noreboot)\n")
		haltForever()
	}
	if crash {
		say("ringo: reboot in 5 s\n")
		delay(5_000_000_000)
	}
	reset()
}
