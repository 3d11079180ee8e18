// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"ringo/boot/layout"
	"ringo/hv/insn"
	"ringo/hv/x86"
)

// The page tables of the layer, see package layout: the image with W^X, the
// direct map, the pool and the device window. The lower half in between is the Go
// program's.

// buildTables reports false when the pool has no frame left.
//
//go:nosplit
func buildTables() bool {
	if rootTable = frames.alloc(); rootTable == 0 {
		return false
	}
	frames.tables++
	return mapImage() && mapDirect() && mapPool() && mapDevices()
}

//go:nosplit
func mapImage() bool {
	text, etext := imageText()&^(pageSize-1), imageEtext()
	data := imageData() &^ (pageSize - 1)
	for va := uint64(layout.ImageBase); va < imageEnd(); va += pageSize {
		bits := uint64(pteP | pteG)
		switch {
		case va >= text && va < etext:
		case va < data:
			bits |= pteNX
		default:
			bits |= pteNX | pteW
		}
		e := entry(va, 1, true)
		if e == 0 {
			return false
		}
		*p64(e) = imagePA + va - layout.ImageBase | bits
	}
	return true
}

// mapDirect maps [0, max(4 GiB, top of memory)) at layout.DirectMap, but image and
// pool: by a wrong address nobody shall write code, page tables or the heap there.
// It takes the largest pages that fit, 1 GiB where all is RAM and the CPU has
// them, uncached where there is no memory. In a partition any frame of the machine
// may come to be mapped later, so all of it is cached here, and hv's tables and the
// MTRRs decide for devices.
//
//go:nosplit
func mapDirect() bool {
	_, _, _, d := insn.CPUID(0x8000_0001, 0)
	giant := d&x86.ExtDPage1G != 0
	top := directTop()
	for pa := uint64(0); pa < top; {
		size, level := directPage(pa, giant)
		if !private(pa, pa+size) {
			e := entry(layout.DirectMap+pa, level, true)
			if e == 0 {
				return false
			}
			bits := uint64(pteDevice | pteG)
			if cached, _ := memMap.kinds(pa, pa+size); cached || inPartition() {
				bits = pteP | pteW | pteNX | pteG
			}
			if level > 1 {
				bits |= ptePS
			}
			*p64(e) = pa | bits
		}
		pa += size
	}
	return true
}

// directPage returns the size of the page at pa in the direct map, and the level
// of its entry. A page that is partly private is a small one.
//
//go:nosplit
func directPage(pa uint64, giant bool) (size, level uint64) {
	if giant && pa&(size1G-1) == 0 && !private(pa, pa+size1G) {
		if _, all := memMap.kinds(pa, pa+size1G); all || inPartition() {
			return size1G, 3
		}
	}
	if pa&(size2M-1) == 0 && !private(pa, pa+size2M) {
		return size2M, 2
	}
	return pageSize, 1
}

// private reports whether image or pool overlap [start, end). The page in which
// the image ends is not counted: loaders put their information right behind.
//
//go:nosplit
func private(start, end uint64) bool {
	image := (imageEnd() - layout.ImageBase) &^ (pageSize - 1)
	return start < imagePA+image && imagePA < end || start < frames.end && frames.start < end
}

// mapPool maps the pool at layout.PoolMap.
//
//go:nosplit
func mapPool() bool {
	for pa := frames.start; pa < frames.end; {
		size, level, bits := uint64(pageSize), uint64(1), uint64(pteP|pteW|pteNX|pteG)
		if pa&(size2M-1) == 0 && frames.end-pa >= size2M {
			size, level, bits = size2M, 2, bits|ptePS
		}
		e := entry(layout.PoolMap+pa, level, true)
		if e == 0 {
			return false
		}
		*p64(e) = pa | bits
		pa += size
	}
	return true
}

//go:nosplit
func mapDevices() bool {
	for pa := uint64(layout.DeviceBase); pa < layout.DeviceEnd; pa += size2M {
		e := entry(pa, 2, true)
		if e == 0 {
			return false
		}
		*p64(e) = pa | pteDevice | pteG | ptePS
	}
	return true
}

// virtToPhys translates an address of the image, the direct map, a CPU's block or
// the Go program (if present), without locks.
//
//go:nosplit
func virtToPhys(va uint64) (pa uint64, ok bool) {
	switch {
	case va >= layout.ImageBase && va < imageEnd():
		return va - layout.ImageBase + imagePA, true
	case va >= layout.DirectMap && va < layout.DirectMap+layout.DirectMapSize:
		return va - layout.DirectMap, true
	case va >= layout.UserBase && va < layout.UserEnd, va >= layout.CPUMap && va < layout.CPUMap+maxCPU*layout.CPUSpan:
		if e, _ := lowest(va); e != 0 && *p64(e)&pteP != 0 {
			return *p64(e)&pteAddr | va&(pageSize-1), true
		}
	}
	return 0, false
}
