// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vmx

import (
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/phys"
)

// Sizes in pages (SDM Vol. 3, "I/O-Bitmap Addresses" and "MSR-Bitmap Address").
const (
	ioPages  = 2
	msrPages = 1
)

// passThrough are the MSRs a guest reads and writes without an exit: those that
// the VMCS switches, and those of liveMSRs. All others exit, those outside the
// two ranges of the bitmap by themselves.
var passThrough = [...]uint32{
	x86.MSRSysenterCS, x86.MSRSysenterESP, x86.MSRSysenterEIP,
	x86.MSRFSBase, x86.MSRGSBase,
	x86.MSRSTAR, x86.MSRLSTAR, x86.MSRCSTAR, x86.MSRSFMASK, x86.MSRKernelGSBase,
}

// msrBit returns the number of msr's read bit in the bitmap (the write bit is
// 2048 bytes further on), and whether the bitmap covers msr.
func msrBit(msr uint32) (uint64, bool) {
	for i, base := range [...]uint32{0, 0xc000_0000} {
		if n := msr - base; n < 0x2000 {
			return uint64(i)*0x2000 + uint64(n), true
		}
	}
	return 0, false
}

const writeHalf = 2048 // bytes

// writeIO makes every port of the bitmaps at a exit.
func writeIO(m phys.Memory, a mm.HPA) { fillOnes(m, a, ioPages) }

// writeMSR makes every MSR but the allowed ones exit.
func writeMSR(m phys.Memory, a mm.HPA) {
	fillOnes(m, a, msrPages)
	for _, msr := range passThrough {
		open(m, a, 0, msr)
		open(m, a, writeHalf, msr)
	}
}

// open lets guests read (half 0) or write (writeHalf) msr.
func open(m phys.Memory, a, half mm.HPA, msr uint32) {
	bit, ok := msrBit(msr)
	if !ok {
		panic("vmx: MSR outside the bitmap")
	}
	w := a + half + mm.HPA(bit/64*8)
	m.Store64(w, m.Load64(w)&^(1<<(bit%64)))
}

func fillOnes(m phys.Memory, a mm.HPA, pages int) {
	for end := a + mm.HPA(pages*mm.PageSize); a < end; a += 8 {
		m.Store64(a, ^uint64(0))
	}
}
