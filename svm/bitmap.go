// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package svm

import (
	"ringo/hv/x86"
	"ringo/mm"
	"ringo/mm/phys"
)

// Sizes in pages (APM Vol. 2, "I/O Permissions Map" and "MSR Intercepts").
const (
	iopmPages  = 3
	msrpmPages = 2
)

// passThrough are the MSRs a guest reads and writes without an exit: exactly
// those that VMLOAD and VMSAVE switch (APM Vol. 3, "VMLOAD"). All others exit,
// those outside the three ranges of the bitmap by themselves. PAT is not here:
// not every CPU switches G_PAT (QEMU does not).
var passThrough = [...]uint32{
	x86.MSRSysenterCS, x86.MSRSysenterESP, x86.MSRSysenterEIP,
	x86.MSRSTAR, x86.MSRLSTAR, x86.MSRCSTAR, x86.MSRSFMASK,
	x86.MSRFSBase, x86.MSRGSBase, x86.MSRKernelGSBase,
}

// msrBit returns the number of msr's read bit in the map (the write bit is the
// next one), and whether the map covers msr.
func msrBit(msr uint32) (uint64, bool) {
	for i, base := range [...]uint32{0, 0xc000_0000, 0xc001_0000} {
		if n := msr - base; n < 0x2000 {
			return uint64(i)*0x4000 + uint64(n)*2, true
		}
	}
	return 0, false
}

// writeIOPM makes every port of the map at a exit. The third page serves
// accesses that start below port 65536 and end above.
func writeIOPM(m phys.Memory, a mm.HPA) { fillOnes(m, a, iopmPages) }

// writeMSRPM makes every MSR but the allowed ones exit.
func writeMSRPM(m phys.Memory, a mm.HPA) {
	fillOnes(m, a, msrpmPages)
	for _, msr := range passThrough {
		bit, ok := msrBit(msr)
		if !ok {
			panic("svm: MSR outside the permission map")
		}
		w := a + mm.HPA(bit/64*8)
		m.Store64(w, m.Load64(w)&^(3<<(bit%64)))
	}
}

func fillOnes(m phys.Memory, a mm.HPA, pages int) {
	for end := a + mm.HPA(pages*mm.PageSize); a < end; a += 8 {
		m.Store64(a, ^uint64(0))
	}
}
