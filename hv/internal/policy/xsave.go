// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package policy

import "math/bits"

// maxState is one more than the highest state component that guests may have.
const maxState = 8

// legacyArea is the size of the FXSAVE image and the XSAVE header.
const legacyArea = 512 + 64

// xsave is leaf 0xd: the layout of the XSAVE area, for the states that are
// switched (SDM Vol. 1, "Managing State Using the XSAVE Feature Set").
type xsave struct {
	mask uint64 // of XCR0; 0 = no XSAVE
	caps uint32 // subleaf 1, EAX
	part [maxState]struct{ size, off, flags uint32 }
}

// init reads the host's layout. allowed is what the backend switches.
func (x *xsave) init(host func(leaf, sub uint32) Result, allowed uint64) {
	if host(0, 0).EAX < 0xd || host(1, 0).ECX&c1XSAVE == 0 {
		return
	}
	h := host(0xd, 0)
	m := (uint64(h.EDX)<<32 | uint64(h.EAX)) & allowed & xAllow
	if m&(xX87|xSSE) != xX87|xSSE {
		return
	}
	if m&xAVX == 0 || m&xAVX512 != xAVX512 {
		m &^= xAVX512
	}
	x.mask = m
	x.caps = host(0xd, 1).EAX & allowD1A
	for i := uint32(2); i < maxState; i++ {
		if m>>i&1 != 0 {
			r := host(0xd, i)
			x.part[i].size, x.part[i].off, x.part[i].flags = r.EAX, r.EBX, r.ECX&2
		}
	}
}

// standard is the size of the area in standard form for the states in xcr0.
func (x *xsave) standard(xcr0 uint64) uint32 {
	n := uint32(legacyArea)
	for s := xcr0 & x.mask >> 2 << 2; s != 0; s &= s - 1 {
		p := &x.part[bits.TrailingZeros64(s)]
		n = max(n, p.off+p.size)
	}
	return n
}

// compacted is the size in compacted form; flag bit 1 aligns a part to 64 bytes.
func (x *xsave) compacted(xcr0 uint64) uint32 {
	n := uint32(legacyArea)
	for s := xcr0 & x.mask >> 2 << 2; s != 0; s &= s - 1 {
		p := &x.part[bits.TrailingZeros64(s)]
		if p.flags&2 != 0 {
			n = (n + 63) &^ 63
		}
		n += p.size
	}
	return n
}

// leaf answers leaf 0xd for a vCPU with XCR0 xcr0.
func (x *xsave) leaf(xcr0 uint64, sub uint32) Result {
	switch {
	case sub == 0:
		return Result{uint32(x.mask), x.standard(xcr0), x.standard(x.mask), uint32(x.mask >> 32)}
	case sub == 1:
		r := Result{EAX: x.caps}
		if x.caps&aDXSAVEC != 0 {
			r.EBX = x.compacted(xcr0)
		}
		return r
	case sub < maxState:
		p := &x.part[sub]
		return Result{EAX: p.size, EBX: p.off, ECX: p.flags}
	}
	return Result{}
}
