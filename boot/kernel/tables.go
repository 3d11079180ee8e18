// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package kernel

import (
	"ringo/boot/layout"
)

// The page tables of the layer, see package layout: the image with W^X, the
// direct map, and the device window. The lower half in between is the Go
// program's.

// buildTables reports false when the pool has no frame left.
//
//go:nosplit
func buildTables() bool {
	if rootTable = frames.alloc(); rootTable == 0 {
		return false
	}
	frames.tables++
	return mapImage() && mapDirect() && mapDevices()
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

// mapDirect maps [0, max(4 GiB, top of memory)) at layout.DirectMap: 1 GiB
// pages where all is RAM and the CPU has them, else 2 MiB pages, uncached where
// there is no memory. In a partition any frame of the machine may come to be
// mapped later, so all of it is cached here, and hv's tables and the MTRRs
// decide for devices.
//
//go:nosplit
func mapDirect() bool {
	_, _, _, d := cpuid(0x8000_0001, 0)
	giant := d>>26&1 != 0
	top := directTop()
	for pa := uint64(0); pa < top; {
		if giant && pa&(size1G-1) == 0 {
			if _, all := memMap.kinds(pa, pa+size1G); all || startInfo != nil {
				e := entry(layout.DirectMap+pa, 3, true)
				if e == 0 {
					return false
				}
				*p64(e) = pa | pteP | pteW | pteNX | pteG | ptePS
				pa += size1G
				continue
			}
		}
		e := entry(layout.DirectMap+pa, 2, true)
		if e == 0 {
			return false
		}
		bits := uint64(pteDevice | pteG | ptePS)
		if cached, _ := memMap.kinds(pa, pa+size2M); cached || startInfo != nil {
			bits = pteP | pteW | pteNX | pteG | ptePS
		}
		*p64(e) = pa | bits
		pa += size2M
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

// virtToPhys translates an address of the image, the direct map or the Go
// program (if present), without locks.
//
//go:nosplit
func virtToPhys(va uint64) (pa uint64, ok bool) {
	switch {
	case va >= layout.ImageBase && va < imageEnd():
		return va - layout.ImageBase + imagePA, true
	case va >= layout.DirectMap:
		return va - layout.DirectMap, true
	case va >= layout.UserBase && va < layout.UserEnd:
		if e, _ := lowest(va); e != 0 && *p64(e)&pteP != 0 {
			return *p64(e)&pteAddr | va&(pageSize-1), true
		}
	}
	return 0, false
}
