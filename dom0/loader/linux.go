// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"ringo/dom0/board"
	"ringo/hv/abi"
)

// Offsets in the zero page (Linux, Documentation/arch/x86/zero-page.rst).
const (
	zpRSDP           = 0x070
	zpExtRamdisk     = 0x0c0
	zpExtRamdiskSize = 0x0c4
	zpE820Entries    = 0x1e8
	zpE820           = 0x2d0
	zpE820Size       = 20
	zpSize           = 0x1000
	// loaderUndefined is type_of_loader of a loader without a number.
	loaderUndefined = 0xff
)

// startLinux builds what the 32-bit and the 64-bit boot protocol want (Linux,
// Documentation/arch/x86/boot.rst, "32-bit Boot Protocol", "64-bit Boot Protocol").
func (g *guest) startLinux(img *image, rd region) (abi.VCPUContext, error) {
	zp := record(make([]byte, zpSize))
	copy(zp[hdrStart:], img.header)
	zp.put8(hdrLoaderType, loaderUndefined)
	// The kernel stays where it is; there is no heap for a real-mode part.
	zp[hdrLoadFlags] = zp[hdrLoadFlags]&^(kaslrFlag|canUseHeap) | loadedHigh
	zp.put32(hdrCode32, uint32(img.entry))
	zp.put16(hdrHeapEnd, 0)
	zp.put64(hdrSetupData, 0)
	zp.put32(hdrCmdline, uint32(g.at(cmdlineAt)))
	zp.put32(hdrRamdisk, uint32(rd.at))
	zp.put32(hdrRamdiskSize, uint32(rd.size))
	zp.put32(zpExtRamdisk, uint32(rd.at>>32))
	zp.put32(zpExtRamdiskSize, uint32(rd.size>>32))
	zp.put64(zpRSDP, board.ACPIBase)
	zp.put8(zpE820Entries, uint8(len(g.layout)))
	for i, r := range g.layout {
		off := zpE820 + i*zpE820Size
		zp.put64(off, r.Start)
		zp.put64(off+8, r.Size)
		zp.put32(off+16, uint32(r.Type))
	}
	if err := g.write(g.at(paramsAt), zp); err != nil {
		return abi.VCPUContext{}, err
	}
	var c abi.VCPUContext
	var err error
	if img.protocol == linux32 {
		c, err = g.context32(img.entry), g.writeGDT(accessCode32)
	} else {
		c, err = g.context64(img.entry), g.writeTables()
	}
	if err != nil {
		return abi.VCPUContext{}, err
	}
	c.GPR[rsi] = uint64(g.at(paramsAt))
	return c, nil
}
