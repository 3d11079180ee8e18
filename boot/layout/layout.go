// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package layout is the virtual address space of the two Ringo images (hv on
// the bare machine, dom0 in its partition): one layout for both.
package layout

const (
	// ImageBase is the link address of both images: the ELF header page, from
	// which the linker's -T (text start) is one page further on. hv is loaded
	// there physically as well; dom0's image may lie anywhere in its RAM and
	// is mapped there by hv.
	ImageBase = 0x100000
	TextBase  = ImageBase + 0x1000

	// UserBase to UserEnd is what the Go runtime gets from mmap: demand-zero
	// pages below the canonical hole.
	UserEnd = 0x7fff_ffff_0000

	// DirectMap is where physical address 0 is seen: virtual address v of the
	// direct map is physical address v-DirectMap. RAM and device windows,
	// never executable, but neither the image nor the pool of its runtime.
	DirectMap     = 0xffff_8000_0000_0000
	DirectMapSize = 1 << 46

	// PoolMap is where the pool of the runtime and the kernel layer is seen:
	// virtual address v is physical address v-PoolMap. Page tables lie there.
	PoolMap = 0xffff_c000_0000_0000

	// CPUMap is where the kernel layer has its structures and stacks, CPUSpan
	// bytes for each CPU, with pages between that are not mapped.
	CPUMap  = 0xffff_e000_0000_0000
	CPUSpan = 1 << 17

	// DeviceBase to DeviceEnd (the top of the low 4 GiB: IOAPIC, LAPIC, HPET,
	// firmware windows) is also mapped at virtual == physical, uncached, for
	// the drivers that know 32-bit register addresses only (TamaGo's).
	DeviceBase = 0xfec0_0000
	DeviceEnd  = 0x1_0000_0000

	// PoolMin, PoolMax and PoolShare are the RAM that hv's runtime and kernel
	// layer live from, unless the command line has pool=MiB: one byte in
	// PoolShare of the machine's RAM, within these bounds in bytes. The records
	// of a domain take some 30 KiB, and 3.5 more for each vCPU, of a bit less
	// than half of it (hv/internal/part, Records): PoolMin is enough for some 130
	// domains with one vCPU or 40 with 32, PoolMax for all that there can be.
	PoolMin   = 12 << 20
	PoolMax   = 96 << 20
	PoolShare = 128
)
